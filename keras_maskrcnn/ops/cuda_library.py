"""The CUDA kernels of RoIAlign through ctypes: for any arrays that have an address, without TensorFlow."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

DTYPES = ("float32", "float16", "bfloat16", "float64")
MOST_LEVELS = 8


class Call(ctypes.Structure):
    """`struct MaskrcnnRoiAlign` of roi_align_cuda.h."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("dtype", "num_levels", "batch", "channels")),
        *((name, ctypes.c_int32) for name in ("output_size", "sampling_ratio", "aligned", "take_max")),
        ("heights", ctypes.c_int32 * MOST_LEVELS),
        ("widths", ctypes.c_int32 * MOST_LEVELS),
        ("strides", ctypes.c_float * MOST_LEVELS),
        ("features", ctypes.c_void_p * MOST_LEVELS),
        ("count", ctypes.c_int64),
        ("boxes", ctypes.c_void_p),
        ("image_indices", ctypes.c_void_p),
        ("levels", ctypes.c_void_p),
    )


def make_call(
    shapes: Sequence[Sequence[int]],
    features: Sequence[int],
    boxes: int,
    image_indices: int,
    levels: int,
    count: int,
    *,
    dtype: str,
    strides: Sequence[float],
    output_size: int,
    sampling_ratio: int,
    aligned: bool,
    mode: str,
) -> Call:
    """Describe a call.

    Args:
        shapes: [B, H_l, W_l, C] of each level.
        features: addresses of the levels' features.
        boxes: address of [N, 4] float32.
        image_indices: address of [N] int32, as is `levels`.
        levels: as `keras_maskrcnn.ops.roi_align.roi_align` has it, like what follows.
        count: N.
        dtype: one of DTYPES.
    """
    call = Call(
        dtype=DTYPES.index(dtype),
        num_levels=len(shapes),
        batch=shapes[0][0],
        channels=shapes[0][3],
        output_size=output_size,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        take_max=mode == "max",
        count=count,
        boxes=boxes,
        image_indices=image_indices,
        levels=levels,
    )
    for level, (shape, address, stride) in enumerate(zip(shapes, features, strides, strict=True)):
        call.heights[level], call.widths[level] = shape[1:3]
        call.features[level], call.strides[level] = address, stride
    return call


class Library:
    """The library at `path`.

    Raises:
        OSError: there is none, or it does not load.
    """

    def __init__(self, path: str | Path):
        self._library = ctypes.CDLL(str(path))
        self._library.maskrcnn_cuda_error.restype = ctypes.c_char_p
        self._library.maskrcnn_roi_align_gradient_workspace.restype = ctypes.c_int64

    def status(self) -> str | None:
        """Return why no GPU of this machine can be used, None if one can."""
        code = self._library.maskrcnn_cuda_status()
        return None if code == 0 else self._error(code)

    def forward(self, call: Call, pooled: int, stream: int = 0) -> None:
        """Write what is pooled to the address `pooled`.

        Raises:
            RuntimeError: CUDA or the library refused the call.
        """
        self._check(
            self._library.maskrcnn_roi_align(
                ctypes.byref(call), ctypes.c_void_p(pooled), ctypes.c_void_p(stream)
            )
        )

    def workspace(self, call: Call) -> int:
        """Return how many bytes of scratch memory `gradient` needs."""
        return self._library.maskrcnn_roi_align_gradient_workspace(ctypes.byref(call))

    def gradient(
        self, call: Call, above: int, feature_gradients: Sequence[int], workspace: int, stream: int = 0
    ) -> None:
        """Write the gradient to the features to the addresses `feature_gradients`.

        Raises:
            RuntimeError: CUDA or the library refused the call.
        """
        addresses = (ctypes.c_void_p * MOST_LEVELS)(*feature_gradients)
        self._check(
            self._library.maskrcnn_roi_align_gradient(
                ctypes.byref(call),
                ctypes.c_void_p(above),
                addresses,
                ctypes.c_void_p(workspace),
                ctypes.c_void_p(stream),
            )
        )

    def _check(self, code: int) -> None:
        if code != 0:
            raise RuntimeError(f"RoIAlign on the GPU: {self._error(code)} ({code})")

    def _error(self, code: int) -> str:
        return self._library.maskrcnn_cuda_error(code).decode()
