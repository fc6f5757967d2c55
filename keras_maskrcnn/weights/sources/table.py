"""Name tables: which tensor of a source is which variable of ours, and in what layout.

A source has one function that returns its table for a model. The same table reads the source and writes it back.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from fnmatch import fnmatchcase

import keras
import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.network.network import Network


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
BACKGROUND_LAST = Layout(lambda x: np.roll(x, 1, axis=0), lambda x: np.roll(x, -1, axis=0))
"""Of a classifier's bias, whose last class is the background at the source and whose first is it here."""


def both(first: Layout, second: Layout) -> Layout:
    """Return the layout that reads by `first` and then by `second`, and writes the other way round."""
    return Layout(lambda x: second.read(first.read(x)), lambda x: first.write(second.write(x)))


CLASSIFIER = both(BACKGROUND_LAST, TORCH_DENSE)
"""Of its kernel."""


def torch_dense_after_flatten(height: int, width: int) -> Layout:
    """Return the layout of a dense layer whose input was flattened as C, H, W there and is H, W, C here."""

    def read(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), -1, height, width).transpose(2, 3, 1, 0).reshape(-1, len(x))

    def write(x: np.ndarray) -> np.ndarray:
        out = x.shape[1]
        return x.reshape(height, width, -1, out).transpose(3, 2, 0, 1).reshape(out, -1)

    return Layout(read, write)


def background_only_here(layout: Layout, rows: int) -> Layout:
    """Return the layout of a predictor that lacks, at the source, the first rows: those of the background.

    Nothing reads what they predict: here they are zeros, and written they are left out.
    """

    def read(x: np.ndarray) -> np.ndarray:
        return layout.read(np.concatenate([np.zeros((rows, *x.shape[1:]), x.dtype), x]))

    return Layout(read, lambda x: layout.write(x)[rows:])


def predictor_layouts(has_background: bool, kernel: Layout, rows: int) -> tuple[Layout, Layout]:
    """Return the layouts of kernel and bias of a predictor that has `rows` for each class, and none for the background
    at the source; `has_background` says whether it has them here."""
    if not has_background:
        return kernel, SAME
    return background_only_here(kernel, rows), background_only_here(SAME, rows)


def background_only_there(layout: Layout, rows: int) -> Layout:
    """Return the layout of a predictor that has, at the source only, first rows for the background, which go unread."""

    def write(x: np.ndarray) -> np.ndarray:
        written = layout.write(x)
        return np.concatenate([np.zeros((rows, *written.shape[1:]), written.dtype), written])

    return Layout(lambda x: layout.read(x[rows:]), write)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor of the source and the variable it belongs to."""

    key: str
    variable: keras.Variable
    layout: Layout = SAME


TORCH = {
    "kernel": ".weight",
    "bias": ".bias",
    "gamma": ".weight",
    "beta": ".bias",
    "moving_mean": ".running_mean",
    "moving_variance": ".running_var",
}
"""What torch appends to a layer's name for each variable."""


def parameters(
    layer: keras.layers.Layer,
    key: str,
    endings: Mapping[str, str],
    kernel: Layout = SAME,
    bias: Layout = SAME,
) -> Iterator[Entry]:
    """Yield the entries of a layer's own variables, those of `endings` that it has.

    Args:
        layer: a convolution, a dense layer or a normalisation.
        key: the source's name of the layer.
        endings: by our name of a variable, what the source appends to the layer's.
        kernel: layout of the kernel.
        bias: layout of the bias.
    """
    layouts = {"kernel": kernel, "bias": bias}
    for name, ending in endings.items():
        variable = getattr(layer, name, None)
        if variable is not None:
            yield Entry(key + ending, variable, layouts.get(name, SAME))


def torch_conv(layer: keras.layers.Layer, conv: str, norm: str) -> Iterator[Entry]:
    """Yield the entries of a ConvNorm whose convolution and normalisation have these names in torch."""
    yield from parameters(layer, conv, TORCH, TORCH_CONV)
    if layer.normalization is not None:
        yield from parameters(layer.normalization, norm, TORCH)


def refuse_parts(source: str, parts: Mapping[str, bool]) -> None:
    """Refuse a model with parts that a source's models do not have.

    Args:
        source: its name.
        parts: whether the model has each part, by the part's name.

    Raises:
        ValueError: it has one; the message names all of them.
    """
    there = [part for part, has in parts.items() if has]
    if there:
        raise ValueError(f"{source} has no names for a model with {', '.join(there)}")


def parts_not_in_torch(config: Config) -> dict[str, bool]:
    """Return, for `refuse_parts`, what neither torchvision's nor Detectron2's layers can be made of."""
    return {
        'norm="none"': config.norm == "none",
        "conv_bias": config.conv_bias,
        "rpn_softmax": config.rpn_softmax,
        "box_fc_norm": config.box_fc_norm,
        "head_norm in a keypoint head": bool(config.keypoint_names) and config.head_norm != "none",
        'mask_head="mlp"': config.mask_head == "mlp",
        'mask_loss="softmax"': config.mask_head != "none" and config.mask_loss == "softmax",
    }


def unnamed_parts(network: Network, heads: tuple[str, ...]) -> dict[str, bool]:
    """Return, for `refuse_parts`, what no source or only this one has names for.

    Args:
        network: of the model.
        heads: the RoI heads that the source has names for.
    """
    others = {f"a {head.name} head": True for head in network.roi_heads if head.name not in heads}
    return {"a custom backbone": network.has_custom_backbone, **others}


def load(
    table: Iterable[Entry],
    state: MutableMapping[str, np.ndarray],
    model: keras.layers.Layer,
    ignored: tuple[str, ...] = (),
) -> None:
    """Set every weight of `model` from `state`, or none of them.

    Args:
        table: what belongs where.
        state: the source's tensors by name. Each is taken out once it is set, so that memory need not hold all
            tensors twice; if an error is raised, all are still there.
        model: a model or a layer whose weights the table must cover exactly once.
        ignored: names that are knowingly not used, with "*" for any part.

    Raises:
        ValueError: a tensor is missing, left over, of another shape, no floats, or NaN or Inf, or a weight is not
            covered exactly once; the message lists all of them.
    """
    load_weights(list(table), state, model.weights, ignored)


def load_weights(
    entries: list[Entry],
    state: MutableMapping[str, np.ndarray],
    weights: list[keras.Variable],
    ignored: tuple[str, ...] = (),
) -> None:
    """As `load`, for a part of a model that has these weights."""
    problems = [*_uncovered(entries, weights), *_misfits(entries, state, ignored)]
    if problems:
        raise ValueError(
            f"The weights do not fit the model ({len(problems)} problems):\n  " + "\n  ".join(problems)
        )
    for entry in entries:
        entry.variable.assign(entry.layout.read(state.pop(entry.key)))


def save(table: Iterable[Entry]) -> dict[str, np.ndarray]:
    """Return the source's tensors by name, rebuilt from the model's variables."""
    return {entry.key: np.ascontiguousarray(entry.layout.write(entry.variable.numpy())) for entry in table}


def _uncovered(entries: list[Entry], weights: list[keras.Variable]) -> Iterator[str]:
    paths = {id(weight): weight.path for weight in weights}
    count = dict.fromkeys(paths, 0)
    for entry in entries:
        count[id(entry.variable)] = count.get(id(entry.variable), 0) + 1
        paths.setdefault(id(entry.variable), entry.variable.path)
    yield from (f"variable {paths[key]} would be set {n} times" for key, n in count.items() if n != 1)


def _misfits(
    entries: list[Entry], state: Mapping[str, np.ndarray], ignored: tuple[str, ...]
) -> Iterator[str]:
    for entry in entries:
        array = state.get(entry.key)
        if array is None:
            yield f"missing from the file: {entry.key}"
            continue
        wanted = entry.layout.write(np.broadcast_to(np.float32(0), entry.variable.shape)).shape
        if array.shape != wanted:
            yield f"{entry.key} has shape {array.shape}; the model needs {wanted}"
        elif array.dtype.kind != "f":
            yield f"{entry.key} holds {array.dtype}; the model needs floats"
        elif not np.isfinite(array).all():
            yield f"{entry.key} holds NaN or Inf, as a training that diverged leaves it"
    used = {entry.key for entry in entries}
    for key in state:
        if key not in used and not any(fnmatchcase(key, pattern) for pattern in ignored):
            yield f"not part of this model: {key}"
