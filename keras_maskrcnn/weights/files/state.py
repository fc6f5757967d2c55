"""The state dict within what a checkpoint holds, as arrays of numpy's types in this machine's byte order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_maskrcnn.weights.files.proxies import Array, TensorProxy
from keras_maskrcnn.weights.files.refusal import Budget, RefusedError

State = dict[str, np.ndarray]

BFLOAT16 = "bfloat16"
"""Our name of the element type that numpy does not have; it is read as the equal float32."""

WRAPPERS = ("model", "state_dict", "model_state_dict", "blobs")
"""Under which of their entries training scripts, Detectron2 and Caffe2 keep the tensors."""


def widen(array: np.ndarray, item: str) -> np.ndarray:
    """Return `array` with native byte order, and float32 where its uint16 are bfloat16's bits."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if item != BFLOAT16:
        return native
    return (native.astype(np.uint32) << 16).view(np.float32)


def state_of(root: Any, file_size: int, read: Callable[[Any], np.ndarray] | None = None) -> State:
    """Return the named tensors of an unpickled checkpoint; what lies beside the state dict is not read.

    Args:
        root: what the unpickler built.
        file_size: bytes of the file, to which all tensors together must be in proportion.
        read: returns the array of a tensor, if the file can hold others than numpy's.

    Raises:
        RefusedError: there is no dict of tensors, or they are larger than the file can hold.
    """
    entries = _unwrap(root)
    budget = Budget(file_size)
    state = {}
    for name, value in entries.items():
        if isinstance(value, dict | list | tuple) and value:
            raise RefusedError(
                f"holds {str(name)[:100]!r} as a {type(value).__name__}, where a tensor is expected"
            )
        if not isinstance(value, TensorProxy):
            continue
        if not isinstance(name, str):
            raise RefusedError(f"holds a tensor under {str(name)[:100]}, which is no name")
        budget.spend(name, value.shape, value.item_size)
        if isinstance(value, Array):
            state[name] = widen(value.array, "")
        elif read is not None:
            state[name] = read(value)
    if not state:
        raise RefusedError(
            f"holds no named tensors, only {', '.join(map(repr, list(entries)[:5]))[:200] or 'nothing'}"
        )
    return state


def _unwrap(root: Any) -> dict:
    for _ in range(4):
        if not isinstance(root, dict):
            raise RefusedError(f"holds a {type(root).__name__}, where named tensors are expected")
        inner = next((root[key] for key in WRAPPERS if isinstance(root.get(key), dict)), None)
        if inner is None:
            return root
        root = inner
    raise RefusedError("holds dicts in dicts, where named tensors are expected")
