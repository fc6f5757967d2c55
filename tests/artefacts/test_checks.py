import pytest
from examples import tiny

from keras_maskrcnn.artefacts import checks
from keras_maskrcnn.artefacts.checks import check_request
from keras_maskrcnn.artefacts.request import Request


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """No format lacks its packages, wherever the tests run."""
    monkeypatch.setattr(checks, "PACKAGES", {})
    monkeypatch.setattr(checks, "INT8", dict.fromkeys(checks.INT8, ()))


@pytest.mark.parametrize("format", ["saved_model", "onnx", "openvino", "litert"])
@pytest.mark.parametrize("masks", ["crops", "pasted", None])
def test_every_format_takes_float_images_and_any_masks(format, masks):
    assert check_request(format, "float", masks, tiny()) == Request(format, "float", masks)


@pytest.mark.parametrize(
    ("format", "inputs", "masks", "message"),
    [
        (
            "tflite",
            "float",
            "crops",
            "format must be one of 'saved_model', 'onnx', 'openvino', 'litert'; got 'tflite'",
        ),
        ("onnx", "int8", "crops", "inputs must be one of 'float', 'uint8'; got 'int8'"),
        ("onnx", "float", "rle", "masks must be one of 'crops', 'pasted', None; got 'rle'"),
    ],
)
def test_another_choice_is_refused_with_those_that_there_are(format, inputs, masks, message):
    with pytest.raises(ValueError, match=message):
        check_request(format, inputs, masks, tiny())


@pytest.mark.parametrize(
    ("format", "inputs", "masks", "changes", "message"),
    [
        (
            "openvino",
            "float",
            "crops",
            {"roi_sampling_ratio": 0, "roi_mode": "max"},
            "openvino has no RoIAlign by maximum whose number of samples .*: export to saved_model, or a model with",
        ),
        (
            "litert",
            "float",
            "crops",
            {"roi_sampling_ratio": 0},
            "export to onnx, openvino or saved_model, or a model with",
        ),
        ("litert", "uint8", "crops", {}, "litert computes sizes in single precision"),
        (
            "onnx",
            "uint8",
            "crops",
            {"resize": "pillow"},
            "Pillow's antialiased and rounded resizing has no operation",
        ),
        (
            "onnx",
            "uint8",
            "crops",
            {"resize": "skimage"},
            "scikit-image's resizing has no operation in a graph",
        ),
        (
            "onnx",
            "uint8",
            "crops",
            {"intensity_percentiles": (1, 99)},
            "intensity_percentiles are of the image at its",
        ),
        ("onnx", "float", "pasted", {"mask_head": "none"}, "this model has no mask head; leave it out"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_the_reason_and_what_instead(
    format, inputs, masks, changes, message
):
    with pytest.raises(ValueError, match=message):
        check_request(format, inputs, masks, tiny(**changes))


def test_adaptive_sampling_does_not_count_where_bins_are_single_samples():
    config = tiny(roi_sampling_ratio=0, roi_mode="crop_and_resize")
    assert check_request("litert", "float", "crops", config).format == "litert"


@pytest.mark.parametrize(
    ("format", "int8", "calibrate", "message"),
    [
        ("onnx", True, None, "int8=True: onnx is written in floats"),
        ("saved_model", True, ["one.png"], "int8=True: saved_model is written in floats"),
        ("openvino", True, None, "give some as calibrate, about 30"),
        ("openvino", True, [], "give some as calibrate, about 30"),
        ("openvino", False, ["one.png"], "calibrate is for openvino's int8 alone"),
        ("litert", True, ["one.png"], "calibrate is for openvino's int8 alone"),
        ("litert", "yes", None, "int8 must be True or False; got 'yes'"),
    ],
)
def test_int8_is_of_two_formats_and_calibration_of_one(format, int8, calibrate, message):
    with pytest.raises(ValueError, match=message):
        check_request(format, "float", "crops", tiny(), int8, calibrate)


def test_what_quantises_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(checks, "INT8", {"openvino": ("no_such_package",)})
    with pytest.raises(
        ImportError, match=r"int8=True needs no_such_package: pip install 'keras3-maskrcnn\[int8\]'"
    ):
        check_request("openvino", "float", "crops", tiny(), True, ["one.png"])


def test_packages_that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(checks, "PACKAGES", {"onnx": ("json", "no_such_package")})
    with pytest.raises(
        ImportError, match=r"onnx needs no_such_package: pip install 'keras3-maskrcnn\[onnx\]'"
    ):
        check_request("onnx", "float", "crops", tiny())
