"""The state dict within what a checkpoint holds."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_maskrcnn.weights.files.dtypes import widen
from keras_maskrcnn.weights.files.pickled import Array
from keras_maskrcnn.weights.files.refusal import Budget, RefusedError
from keras_maskrcnn.weights.files.torch_pickle import Tensor

State = dict[str, np.ndarray]

WRAPPERS = ("model", "state_dict", "model_state_dict", "blobs")
"""Under which of their entries training scripts, Detectron2 and Caffe2 keep the tensors."""


def state_of(root: Any, file_size: int, read: Callable[[Tensor], np.ndarray] | None = None) -> State:
    """Return the named tensors of an unpickled checkpoint; what lies beside the state dict is not read.

    Args:
        root: what the machine built.
        file_size: bytes of the file, to which all tensors together must be in proportion.
        read: gives a tensor's array, if the file can hold tensors.

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
        if not isinstance(value, Array | Tensor):
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
