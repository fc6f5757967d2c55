"""How the fields of a Config are declared, and the one check and the one description that follow from it.

A field's annotation says its type and its choices, `ranged` its range, and the string below it what it means.
"""

import ast
import dataclasses
import inspect
import itertools
import math
import textwrap
from typing import Any, Literal, TypeVar, get_args, get_origin

Class = TypeVar("Class", bound=type)
_NOUNS = {int: ("an integer", "integers"), float: ("a number", "numbers"), str: ("a string", "strings")}


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a value must be besides of its type; of a sequence, what each of its numbers must be."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """Whether `low` itself is too low."""
    length: int | None = None
    """Items of the sequence, of the innermost one if it is nested; None for any number."""
    non_empty: bool = False
    """Whether that sequence needs an item."""
    network: bool = False
    """Whether the field says what the network is made of: models that differ in it have other tensors."""


def ranged(default: Any, low: float = -math.inf, high: float = math.inf, **rule: Any) -> Any:
    """Declare a field whose numbers lie in low..high; `rule` are further fields of `Rule`."""
    return dataclasses.field(default=default, metadata={"rule": Rule(low, high, **rule)})


def structural(default: Any) -> Any:
    """Declare a switch or a choice that says what the network is made of."""
    return ranged(default, network=True)


def rule_of(field: dataclasses.Field) -> Rule:
    """Return the rule that a field was declared with."""
    return field.metadata.get("rule", Rule())


def frozen(value: Any) -> Any:
    """Return a value with tuples in place of lists, and Python's numbers in place of numpy's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def as_declared(field: dataclasses.Field, value: Any) -> Any:
    """Return a checked value, as a float where that is declared and an integer was given: graphs tell them apart."""
    return float(value) if field.type is float else value


def check_value(field: dataclasses.Field, value: Any) -> None:
    """Raise a ValueError unless a frozen value is what the field was declared as."""
    if not _fits(value, field.type, rule_of(field)):
        raise ValueError(f"Config.{field.name} must be {expected(field.type, rule_of(field))}; got {value!r}")


def _fits(value: Any, kind: Any, rule: Rule) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and _items_fit(value, get_args(kind)[0], rule)
    if get_origin(kind) is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if kind not in (int, float):
        return isinstance(value, kind)
    if isinstance(value, bool) or not isinstance(value, (int, kind)):
        return False
    low_enough = value > rule.low if rule.above else value >= rule.low
    return low_enough and value <= rule.high and abs(value) < math.inf  # NaN is none of these


def _items_fit(values: tuple, kind: Any, rule: Rule) -> bool:
    if get_origin(kind) is not tuple and (
        (rule.length is not None and len(values) != rule.length) or (rule.non_empty and not values)
    ):
        return False
    return all(_fits(value, kind, rule) for value in values)


def expected(kind: Any, rule: Rule) -> str:
    """Say in words which values a field of this type and rule may have."""
    if kind is bool:
        return "true or false"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is tuple:
        return f"a {_sequences(kind, rule).replace('sequences', 'sequence', 1)}"
    noun = _NOUNS[kind][0].replace("a number", f"a {_finite(rule)}number")
    return f"{noun}{_range(rule)}"


def _sequences(kind: Any, rule: Rule) -> str:
    item = get_args(kind)[0]
    if get_origin(item) is tuple:
        return f"sequences of {_sequences(item, rule)}"
    count = "" if rule.length is None else f"{rule.length} "
    noun = _NOUNS[item][1].replace("numbers", f"{_finite(rule)}numbers")
    return f"{'non-empty ' if rule.non_empty else ''}sequences of {count}{noun}{_range(rule)}"


def _finite(rule: Rule) -> str:
    return "finite " if math.isinf(rule.high) else ""


def _range(rule: Rule) -> str:
    if math.isinf(rule.low):
        return ""
    if not rule.above:
        return f" of at least {rule.low}" if math.isinf(rule.high) else f" in {rule.low}..{rule.high}"
    return f" above {rule.low}" + ("" if math.isinf(rule.high) else f" and at most {rule.high}")


def network_fields(cls: type) -> list[str]:
    """Return the fields that say what the network is made of.

    Not among those of Config are the ones that count something: class_names, keypoint_names, cascade_ious, anchor_sizes
    and anchor_ratios.
    """
    return [field.name for field in dataclasses.fields(cls) if rule_of(field).network]


def descriptions(cls: type) -> dict[str, str]:
    """Return the string below each field, which editors and mkdocstrings show but Python itself does not keep.

    They are read from the source; without it, as in some frozen applications, there are none.
    """
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError):
        return {}
    texts = {}
    for field, text in itertools.pairwise(body.body if isinstance(body, ast.ClassDef) else ()):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(content))):
                texts[name] = " ".join(content.split())
    return texts


def documented(cls: Class) -> Class:
    """Add the fields' descriptions to the docstring of a dataclass, for `help`."""
    texts = descriptions(cls)
    lines = [
        f"    {field.name} ({expected(field.type, rule_of(field))}): {texts.get(field.name, '')}"
        for field in dataclasses.fields(cls)
    ]
    wrapped = [textwrap.fill(line, 110, subsequent_indent=" " * 8) for line in lines]
    cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__ or ""), "", "Args:", *wrapped])
    return cls
