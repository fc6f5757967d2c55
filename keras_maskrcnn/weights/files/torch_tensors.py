"""What torch's pickles name besides numpy's arrays: tensors, which are windows on storages elsewhere in the file."""

import dataclasses
from typing import Any

import numpy as np

from keras_maskrcnn.weights.files.proxies import (
    ARRAYS,
    MAX_AXES,
    MMENGINE,
    Named,
    TensorProxy,
    is_size,
    named,
)
from keras_maskrcnn.weights.files.refusal import RefusedError
from keras_maskrcnn.weights.files.state import BFLOAT16, widen


def storage_type(item: str) -> np.dtype:
    """Return numpy's type for the bits of an element type."""
    return np.dtype("u2" if item == BFLOAT16 else item)


@dataclasses.dataclass(frozen=True)
class Storage:
    """A torch storage, whose data lie elsewhere in the file.

    Attributes:
        key: names the data.
        item: element type.
        total: elements of the data.
        start: of this storage in the data, in elements.
        length: of this storage in elements.
    """

    key: str
    item: str
    total: int
    start: int
    length: int


def storage(reference: Any) -> Storage:
    """Return the storage to which a persistent id of torch refers.

    Raises:
        RefusedError: the id is anything else.
    """
    if not isinstance(reference, tuple) or len(reference) not in (5, 6) or reference[0] != "storage":
        raise RefusedError("refers to data outside the pickle in another way than torch does")
    _, kind, key, _, total, *view = reference
    if not isinstance(kind, Named) or kind.item is None or not isinstance(key, str) or not is_size(total):
        raise RefusedError("refers to a torch storage that has no type, name or size")
    start, length = 0, total
    if view and view[0] is not None:
        _, start, length = view[0]
    if not is_size(start) or not is_size(length) or start + length > total:
        raise RefusedError(f"has a view beyond the end of the storage {key!r}")
    return Storage(key, kind.item, total, start, length)


class Tensor(TensorProxy):
    """Proxy of a torch tensor: a window on a storage.

    Args:
        storage: where its elements are.
        offset: of its first element in the storage.
        shape: sizes of its axes.
        strides: elements from one to the next along each axis.
    """

    def __init__(
        self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides
        self.item_size = storage_type(storage.item).itemsize

    def read(self, data: np.ndarray) -> np.ndarray:
        """Return the tensor from the whole data [N] of its storage, without a copy where numpy has the type."""
        if 0 in self.shape:
            return widen(np.empty(self.shape, data.dtype), self.storage.item)
        first = data[self.storage.start + self.offset :]
        steps = tuple(stride * data.itemsize for stride in self.strides)
        return widen(np.lib.stride_tricks.as_strided(first, self.shape, steps), self.storage.item)


def _tensor(source: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Tensor:
    sizes = (offset, *shape, *strides)
    if not isinstance(source, Storage) or len(shape) != len(strides) or len(shape) > MAX_AXES:
        raise RefusedError("holds a tensor that is not a window on a storage")
    if not all(map(is_size, sizes)):
        raise RefusedError("holds a tensor with a negative or impossible offset, size or stride")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= source.length:
        raise RefusedError(
            f"holds a tensor of shape {tuple(shape)} beyond the end of the storage {source.key!r}: "
            f"it needs {last + 1} elements of {source.length}"
        )
    return Tensor(source, offset, tuple(shape), tuple(strides))


ITEMS = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": BFLOAT16,
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?",
}  # fmt: skip
"""Our element types by how torch calls its storages."""

TENSORS = (
    ARRAYS
    | MMENGINE
    | named(
        {
            "torch._utils._rebuild_tensor": _tensor,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": lambda data, *rest: data,
            "torch.Size": tuple,
        }
    )
    | {("torch", f"{name}Storage"): Named(f"torch.{name}Storage", item=item) for name, item in ITEMS.items()}
)
"""What torch names besides."""
