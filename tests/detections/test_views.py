"""The views of an image: which there are, and the way of pixels, boxes and masks there and back."""

import numpy as np
import pytest
from examples import tiny

from keras_maskrcnn.detections.views import ORIENTATIONS, View, check_views, make_views

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 255, (40, 60, 3)).astype(np.uint8)
BY_NUMPY = {
    "horizontal_flip": np.fliplr,
    "vertical_flip": np.flipud,
    "rotate90": np.rot90,
    "rotate180": lambda image: np.rot90(image, 2),
    "rotate270": lambda image: np.rot90(image, 3),
    "transpose": lambda image: image.swapaxes(0, 1),
    "transverse": lambda image: np.rot90(image, 2).swapaxes(0, 1),
}


def view(name):
    return make_views(name)[1]


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_an_orientation_is_what_numpy_makes_of_an_image(name):
    np.testing.assert_array_equal(view(name).image(IMAGE), BY_NUMPY[name](IMAGE))


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_box_holds_the_same_pixels_in_a_view_and_comes_back(name):
    box = np.array([[12, 5, 32, 15]], np.float32)
    moved = view(name).boxes(box, (40, 60))
    x1, y1, x2, y2 = moved[0].astype(int)
    np.testing.assert_array_equal(view(name).image(IMAGE)[y1:y2, x1:x2], BY_NUMPY[name](IMAGE[5:15, 12:32]))
    np.testing.assert_array_equal(view(name).original_boxes(moved, (40, 60)), box)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_masks_of_a_view_come_back_as_those_of_the_image(name):
    masks = RNG.random((3, 7, 7))
    seen = np.stack([BY_NUMPY[name](mask) for mask in masks])
    np.testing.assert_array_equal(view(name).original_masks(seen), masks)


def test_every_orientation_is_seen_at_the_usual_scale_and_at_every_other():
    assert make_views(None) == make_views(()) == (View(),)
    assert make_views("horizontal_flip") == (View(), View(flip_x=True))
    assert make_views(1.5) == (View(), View(scale=1.5))
    assert make_views(("horizontal_flip", 0.75, "rotate90", 1.5)) == tuple(
        View(*orientation, scale)
        for scale in (1, 0.75, 1.5)
        for orientation in ((False, False, False), (False, False, True), (True, True, False))
    )
    images = {view.image(IMAGE).tobytes() for view in make_views("d4")}
    assert len(images) == 8


def test_a_view_is_resized_to_a_multiple_of_the_configs_size():
    larger = View(scale=1.25).config(tiny(min_size=65, max_size=97))
    assert (larger.min_size, larger.max_size) == (81, 121)
    assert View(flip_x=True).config(tiny()) == tiny()
    microscope = tiny(image_scale=2.0)
    check_views(make_views(0.001), microscope)
    assert View(scale=1.5).config(microscope) == tiny(image_scale=3.0)


@pytest.mark.parametrize(
    ("augment", "reason"),
    [
        ("sideways", "transverse, d4 and scales like 1.5; got 'sideways'"),
        (("horizontal_flip", True), "finite numbers above 0; got True"),
        (0, "finite numbers above 0; got 0"),
        ((float("nan"),), "got nan"),
        ((float("inf"),), "got inf"),
        (("rotate90", None), "got None"),
        ((1.5, 1.5), r"augment has 1\.5 twice"),
        (1, "augment has 1 twice: the image as it is, at scale 1, is always detected in"),
        (("rotate90", "d4"), "augment has 'd4' twice"),
    ],
)
def test_what_is_no_view_is_refused(augment, reason):
    with pytest.raises(ValueError, match=reason):
        make_views(augment)


def test_views_that_a_model_cannot_detect_in_are_refused():
    check_views(make_views(None), tiny(keypoint_names=("nose",)))
    with pytest.raises(ValueError, match="augment is for boxes and masks; this model detects keypoints"):
        check_views(make_views("rotate90"), tiny(keypoint_names=("nose",)))
    square = tiny(square=True, max_size=128)
    check_views(make_views("d4"), square)
    with pytest.raises(ValueError, match=r"augment=0\.5: .* to a square of max_size 128"):
        check_views(make_views(0.5), square)
    with pytest.raises(ValueError, match=r"augment=0\.001 leaves nothing of min_size 64"):
        check_views(make_views(0.001), tiny())
