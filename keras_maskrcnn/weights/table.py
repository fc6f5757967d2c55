"""Name tables: which tensor of a source is which variable of ours, and in what layout.

A source has one function that returns its table for a model. The same table reads the source and writes it back.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a source's array becomes ours and back, without loss.

    Attributes:
        read: from the source's array to ours.
        write: from ours to the source's.
    """

    read: Callable[[np.ndarray], np.ndarray]
    write: Callable[[np.ndarray], np.ndarray]


SAME = Layout(lambda x: x, lambda x: x)
TORCH_CONV = Layout(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
"""OIHW to HWIO; a transposed convolution's IOHW to Keras' HWOI is the same transposition."""
TORCH_DENSE = Layout(lambda x: x.T, lambda x: x.T)


def torch_dense_after_flatten(height: int, width: int) -> Layout:
    """Return the layout of a dense layer whose input was flattened as C, H, W there and is H, W, C here."""

    def read(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1, height, width).transpose(2, 3, 1, 0).reshape(-1, len(x))

    def write(x: np.ndarray) -> np.ndarray:
        out = x.shape[1]
        return x.reshape(height, width, -1, out).transpose(3, 2, 0, 1).reshape(out, -1)

    return Layout(read, write)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor of the source and the variable it belongs to."""

    key: str
    variable: keras.Variable
    layout: Layout = SAME


def load(
    table: Iterable[Entry], state: Mapping[str, np.ndarray], model: keras.Model, ignored: tuple[str, ...]
) -> None:
    """Set every variable of `model` from `state`, or none of them.

    Args:
        table: what belongs where.
        state: the source's tensors by name.
        model: whose variables the table must cover exactly once.
        ignored: endings of names that are knowingly not used.

    Raises:
        ValueError: a tensor is missing, left over or of another shape, or a variable is not covered exactly once;
            the message lists all of them.
    """
    entries = list(table)
    left = {key: value for key, value in state.items() if not key.endswith(ignored)}
    problems = _uncovered(entries, model)
    values = []
    for entry in entries:
        array = left.pop(entry.key, None)
        if array is None:
            problems.append(f"missing from the file: {entry.key}")
            continue
        wanted = entry.layout.write(np.broadcast_to(np.float32(0), entry.variable.shape)).shape
        if array.shape != wanted:
            problems.append(f"{entry.key} has shape {array.shape}; the model needs {wanted}")
            continue
        values.append((entry.variable, entry.layout.read(array)))
    problems += [f"not part of this model: {key}" for key in left]
    if problems:
        raise ValueError(
            f"The weights do not fit the model ({len(problems)} problems):\n  " + "\n  ".join(problems)
        )
    for variable, value in values:
        variable.assign(value)


def save(table: Iterable[Entry]) -> dict[str, np.ndarray]:
    """Return the source's tensors by name, rebuilt from the model's variables."""
    return {entry.key: np.ascontiguousarray(entry.layout.write(entry.variable.numpy())) for entry in table}


def _uncovered(entries: list[Entry], model: keras.Model) -> list[str]:
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    count = {id(variable): 0 for variable in model.variables if id(variable) not in metrics}
    for entry in entries:
        count[id(entry.variable)] = count.get(id(entry.variable), 0) + 1
    paths = {id(variable): variable.path for variable in model.variables}
    return [f"variable {paths[key]} would be set {n} times" for key, n in count.items() if n != 1]
