"""The CUDA kernels: their arithmetic, run on the CPU (see cuda_on_cpu), and their library, compiled by nvcc."""

import shutil
import subprocess

import ml_dtypes
import numpy as np
import pytest
from places import TESTS
from roi_align_reference import BOXES, MAPS, STRIDES, reference

from keras_maskrcnn.ops import build, build_cuda
from keras_maskrcnn.ops.cuda_library import Library, make_call

SHIM = TESTS / "support" / "cuda_on_cpu"
BFLOAT16 = ml_dtypes.bfloat16


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The kernels, compiled by a C++ compiler to run on the CPU."""
    compiler = build.find_compiler()
    if compiler is None:
        pytest.skip("no C++ compiler")
    path = tmp_path_factory.mktemp("cuda") / "kernels.so"
    command = [compiler, "-std=c++17", "-O1", "-fPIC", "-shared", "-Wall", "-Wno-unknown-pragmas", "-Werror"]
    command += ["-I", SHIM, "-x", "c++", build_cuda.CUDA_SOURCE, "-o", path]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return Library(path)


def address(array):
    return array.ctypes.data


def run(library, features, boxes, images, levels, above, **settings):
    """Pooled values and the gradients of sum(pooled * above)."""
    features = [np.ascontiguousarray(feature) for feature in features]
    boxes, images, levels = np.float32(boxes), np.int32(images), np.int32(levels)
    dtype = features[0].dtype
    call = make_call(
        [feature.shape for feature in features],
        [address(feature) for feature in features],
        *(address(array) for array in (boxes, images, levels)),
        len(boxes),
        dtype=dtype.name,
        **settings,
    )
    size, channels = settings["output_size"], features[0].shape[3]
    pooled = np.full((len(boxes), size, size, channels), 99, dtype)
    library.forward(call, address(pooled))
    gradients = [np.full_like(feature, 99) for feature in features]
    workspace = np.empty(library.workspace(call), np.uint8)
    above = np.ascontiguousarray(above, dtype)
    library.gradient(call, address(above), [address(g) for g in gradients], address(workspace))
    return pooled, gradients


@pytest.fixture
def case():
    random = np.random.default_rng(7)
    features = [random.normal(size=(2, *size, 4)) for size in MAPS]
    boxes = np.tile(np.array(list(BOXES.values()), np.float32), (3, 1))
    levels = np.repeat(np.arange(3), len(BOXES))
    images = np.arange(len(boxes)) % 2
    above = random.normal(size=(len(boxes), 3, 3, 4))
    return features, boxes, images, levels, above


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
def test_values_and_gradients_are_the_definitions(library, case, sampling_ratio, aligned, mode, dtype):
    features, *regions = case
    settings = {"sampling_ratio": sampling_ratio, "aligned": aligned, "mode": mode}
    settings |= {"strides": STRIDES, "output_size": 3}
    features = [feature.astype(dtype) for feature in features]
    expected, wanted = reference(features, *regions, **settings)
    pooled, gradients = run(library, features, *regions, **settings)
    limit = 1e-10 if dtype == "float64" else 1e-5
    for name, row, values in zip(list(BOXES) * 3, pooled, expected, strict=True):
        np.testing.assert_allclose(row, values, rtol=0, atol=limit, err_msg=name)
    for found, values in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(found, values, rtol=0, atol=10 * limit)


@pytest.mark.parametrize("dtype", ["float16", BFLOAT16])
@pytest.mark.parametrize("mode", ["average", "max"])
def test_half_precision_is_summed_in_float32(library, case, dtype, mode):
    features, boxes, images, levels, above = case
    random = np.random.default_rng(5)
    features = [(random.permutation(f.size).reshape(f.shape) % 251 / 64 - 2).astype(dtype) for f in features]
    above = above.astype(dtype)
    settings = {"strides": STRIDES, "output_size": 3, "sampling_ratio": 2, "mode": mode, "aligned": False}
    pooled, gradients = run(library, features, boxes, images, levels, above, **settings)
    exact = [feature.astype(np.float64) for feature in features]
    expected, wanted = reference(exact, boxes, images, levels, above.astype(np.float64), **settings)
    rounding = 2**-8 if dtype == BFLOAT16 else 2**-11
    np.testing.assert_allclose(pooled.astype(np.float64), expected, rtol=rounding, atol=2e-4)
    if mode == "average":  # equal samples of a coarse map have no one maximum
        for found, values in zip(gradients, wanted, strict=True):
            np.testing.assert_allclose(found.astype(np.float64), values, rtol=rounding, atol=2e-3)


@pytest.mark.parametrize("channels", [1, 5, 130, 256, 300])
def test_any_number_of_channels(library, channels):
    random = np.random.default_rng(2)
    features = [random.normal(size=(1, 7, 9, channels))]
    boxes = [[1.3, 2.1, 6.2, 6.6], [-2.0, 3.1, 4.4, 9.7]]
    above = random.normal(size=(2, 2, 2, channels))
    settings = {"strides": [1], "output_size": 2, "sampling_ratio": 2, "aligned": True, "mode": "average"}
    pooled, gradients = run(library, features, boxes, [0, 0], [0, 0], above, **settings)
    expected, wanted = reference(features, np.float32(boxes), [0, 0], [0, 0], above, **settings)
    np.testing.assert_allclose(pooled, expected, atol=1e-10)
    np.testing.assert_allclose(gradients[0], wanted[0], atol=1e-10)


def test_more_boxes_than_a_word_has_bits(library):
    random = np.random.default_rng(3)
    features = [random.normal(size=(2, 40, 33, 3)), random.normal(size=(2, 20, 17, 3))]
    start = random.uniform(-10, 120, (75, 2))
    boxes = np.float32(np.concatenate([start, start + random.uniform(1, 60, (75, 2))], 1))
    images, levels = random.integers(0, 2, 75), random.integers(0, 2, 75)
    above = random.normal(size=(75, 7, 7, 3))
    settings = {"strides": [4, 8], "output_size": 7, "sampling_ratio": 2, "aligned": True, "mode": "average"}
    pooled, gradients = run(library, features, boxes, images, levels, above, **settings)
    expected, wanted = reference(features, boxes, images, levels, above, **settings)
    np.testing.assert_allclose(pooled, expected, atol=1e-10)
    for found, values in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(found, values, atol=1e-10)


@pytest.mark.parametrize("mode", ["average", "max"])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_odd_boxes_give_what_the_cpu_gives(library, mode, sampling_ratio):
    import tensorflow as tf

    from keras_maskrcnn.ops.roi_align import roi_align

    odd = [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, 0.0, 7.0]
    boxes = np.float32(np.stack(np.meshgrid(odd, odd, odd, odd), -1).reshape(-1, 4)[::7])
    features = [np.float32(np.random.default_rng(1).normal(size=(1, 3, 5, 1)))]
    at = np.zeros(len(boxes), np.int32)
    settings = {"strides": [4.0], "output_size": 2, "sampling_ratio": sampling_ratio, "mode": mode}
    above = np.ones((len(boxes), 2, 2, 1))
    pooled, gradients = run(library, features, boxes, at, at, above, aligned=True, **settings)
    with tf.GradientTape() as tape:
        surface = tf.constant(features[0])
        tape.watch(surface)
        expected = roi_align([surface], boxes, at, at, **settings)
    np.testing.assert_allclose(pooled, expected, atol=1e-5)
    np.testing.assert_allclose(gradients[0], tape.gradient(expected, surface), rtol=1e-4, atol=1e-4)


def test_a_box_of_no_image_or_level_pools_zeros(library):
    features = [np.ones((2, 4, 4, 4), np.float32)]
    boxes = [[0.0, 0.0, 4.0, 4.0]] * 5
    settings = {"strides": [1], "output_size": 1, "sampling_ratio": 2, "aligned": False, "mode": "average"}
    above = np.ones((5, 1, 1, 4))
    pooled, gradients = run(library, features, boxes, [0, 2, -1, 0, 0], [0, 0, 0, 1, -1], above, **settings)
    assert pooled[:, 0, 0, 0].tolist() == [1, 0, 0, 0, 0]
    assert gradients[0].sum() == pytest.approx(4)


def test_no_boxes_leave_a_zero_gradient(library):
    features = [np.ones((2, 9, 4, 4), np.float32)]
    settings = {"strides": [1], "output_size": 2, "sampling_ratio": 0, "aligned": True, "mode": "average"}
    empty = np.zeros((0, 4))
    pooled, gradients = run(library, features, empty, [], [], np.zeros((0, 2, 2, 4)), **settings)
    assert pooled.shape == (0, 2, 2, 4)
    assert not gradients[0].any()


def test_a_call_out_of_range_is_refused(library):
    call = make_call(
        [(1, 4, 4, 4)],
        [0],
        0,
        0,
        0,
        1,
        dtype="float32",
        strides=[0.0],
        output_size=2,
        sampling_ratio=2,
        aligned=True,
        mode="max",
    )
    with pytest.raises(RuntimeError, match="out of range"):
        library.forward(call, 0)


@pytest.fixture(scope="module")
def cuda_library(tmp_path_factory):
    """The kernels, compiled by nvcc for one generation of GPUs."""
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc")
    path = tmp_path_factory.mktemp("nvcc") / "kernels.so"
    build_cuda.compile_cuda_library(path, architectures=("80",))
    return path


def test_the_library_for_gpus_loads_anywhere_and_says_what_is_missing(cuda_library):
    status = Library(cuda_library).status()
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine may have a GPU")
    assert status is not None
    assert "CUDA" in status


def test_the_library_for_gpus_shows_only_its_own_names(cuda_library):
    if shutil.which("nm") is None:
        pytest.skip("no nm")
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", cuda_library], capture_output=True, text=True, check=True
    )
    names = [line.split()[-1] for line in listed.stdout.splitlines()]
    assert sorted(name for name in names if not name.startswith("maskrcnn_")) == []
    needed = subprocess.run(["ldd", cuda_library], capture_output=True, text=True, check=True).stdout
    assert "libcudart" not in needed  # TensorFlow's library has stubs of those names
