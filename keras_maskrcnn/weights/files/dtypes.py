"""Element types and byte orders of files, brought to what numpy has here."""

import numpy as np

BFLOAT16 = "bfloat16"
"""Our name of the element type that numpy does not have; it is read as the equal float32."""


def widen(array: np.ndarray, item: str) -> np.ndarray:
    """Return `array` with native byte order, and float32 where its uint16 are bfloat16's bits."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if item != BFLOAT16:
        return native
    return (native.astype(np.uint32) << 16).view(np.float32)
