"""Moved images and shapes, against scikit-image's warp of whole images and hand-made maps."""

import numpy as np
import pytest
from PIL import Image
from skimage.draw import polygon2mask
from skimage.transform import AffineTransform as SkimageTransform
from skimage.transform import warp

from keras_maskrcnn.data.augment.affine import AffineTransform, _warped, box_corners, move_image, move_shape
from keras_maskrcnn.data.augment.window import Window
from keras_maskrcnn.data.checks import mask_extent
from keras_maskrcnn.masks.rle import mask_to_rle, segmentation_to_rle

HEIGHT, WIDTH = 60, 80
IDENTITY = np.eye(2, 3)


def random_transform(rng, scales=(0.4, 1.6)):
    """A rotation by any angle, flipped or not, that puts the middle of the image into the middle of a canvas."""
    angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(*scales)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = linear @ np.diag([rng.choice([-1, 1]), 1])
    height, width = rng.integers(60, 120, 2)
    shift = np.array([width, height]) / 2 - linear @ [WIDTH / 2, HEIGHT / 2]
    return AffineTransform(np.concatenate([linear, shift[:, None]], axis=1), int(height), int(width))


def reference(image, transform, order):
    """scikit-image counts from the centre of the first pixel."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    forward = np.linalg.inv(half) @ np.concatenate([transform.matrix, [[0, 0, 1]]]) @ half
    return warp(
        image.astype(np.float64),
        SkimageTransform(forward).inverse,
        order=order,
        output_shape=(transform.height, transform.width),
    )


def seen(shape, transform, supersampling=1):
    """The shape as a mask of the whole canvas."""
    mask = np.zeros((transform.height * supersampling, transform.width * supersampling), bool)
    mask[shape.slices] = shape.mask
    return mask


def moved(segmentation, transform, supersampling=1):
    shape = move_shape(segmentation, HEIGHT, WIDTH, transform, supersampling)
    return shape.clipped(transform.height * supersampling, transform.width * supersampling)


def extent(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("kind", ["polygons", "rle"])
@pytest.mark.parametrize("seed", range(12))
def test_shapes_move_as_whole_images_do(seed, kind):
    rng = np.random.default_rng(seed)
    transform = random_transform(rng)
    blunt = np.array([[10, 8], [50, 4], [70, 20], [60, 50], [20, 55], [8, 30]]) + rng.uniform(-3, 3, (6, 2))
    mask = polygon2mask((HEIGHT, WIDTH), blunt[:, ::-1] - 0.5)
    segmentation = [blunt.ravel().tolist()] if kind == "polygons" else mask_to_rle(mask)
    shape = moved(segmentation, transform)
    found, expected = seen(shape, transform), reference(mask, transform, 0) > 0.5
    assert (found & expected).sum() / (found | expected).sum() > (0.93 if kind == "polygons" else 0.98)
    assert np.abs(shape.box(1) - extent(expected)).max() <= 1
    assert np.abs(shape.box(1) - extent(found)).max() <= 1
    assert shape.area == pytest.approx(mask.sum() * transform.scale**2, rel=0.05)


@pytest.mark.parametrize("seed", range(12))
def test_rles_are_warped_as_with_the_whole_image_around_them(seed):
    rng = np.random.default_rng(seed)
    transform, supersampling = random_transform(rng), 1 + seed % 3
    mask = np.zeros((HEIGHT, WIDTH), bool)
    left, top = rng.integers(0, [WIDTH - 15, HEIGHT - 12])
    mask[top : top + 12, left : left + 15] = rng.random((12, 15)) < 0.8
    x1, y1, x2, y2 = extent(mask)
    window = transform.window(np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]), supersampling)
    whole = _warped(Image.fromarray(mask.astype(np.uint8)), window, Image.Resampling.NEAREST, 0)
    shape = move_shape(mask_to_rle(mask), HEIGHT, WIDTH, transform, supersampling)
    np.testing.assert_array_equal(shape.mask, np.asarray(whole) > 0)


def test_an_empty_mask_has_no_cells():
    shape = moved(mask_to_rle(np.zeros((HEIGHT, WIDTH), bool)), AffineTransform(IDENTITY, HEIGHT, WIDTH))
    assert shape.area == 0 and not shape.mask.any()


@pytest.mark.parametrize("seed", range(6))
def test_pixels_move_as_scikit_image_moves_them(seed):
    rng = np.random.default_rng(seed)
    transform = random_transform(rng, scales=(0.6, 1.6))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = (2 * columns + rows).astype(np.float32)[..., None]
    found = move_image(image, transform, (-50.0,))
    expected = reference(image[..., 0], transform, 1)
    weight = reference(np.ones_like(image[..., 0]), transform, 1)
    inside, outside = weight > 0.999, weight == 0  # and in between the border
    np.testing.assert_allclose(found[inside, 0], expected[inside], atol=0.01)
    assert (found[outside, 0] == -50).all()
    rounded = move_image(image.astype(np.uint8).repeat(3, axis=2), transform, (9.0,) * 3)
    np.testing.assert_allclose(rounded[inside], found[inside].repeat(3, axis=1), atol=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("seed", range(8))
def test_parts_of_the_canvas_have_the_pixels_of_all_of_it(seed, dtype):
    rng = np.random.default_rng(seed)
    transform = random_transform(rng, scales=(0.2, 1.6))
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(dtype)
    fill = (9.0, 99.0, 199.0)
    whole = whole_canvas(image, transform, fill)
    np.testing.assert_allclose(move_image(image, transform, fill), whole, atol=1e-3)
    apart = [Window(3, 5, 20, 30), Window(30, 2, 50, 40)]
    for windows in (apart, [*apart, Window(0, 0, 45, 45)], []):  # the second of which are moved as one
        wanted = np.zeros(whole.shape[:2], bool)
        for window in windows:
            wanted[window.slices] = True
        found = move_image(image, transform, fill, windows)
        np.testing.assert_allclose(found[wanted], whole[wanted], atol=1e-3)
        assert found.shape == whole.shape and (windows or (found == fill).all())


def whole_canvas(image, transform, fill):
    """Pillow's transform of each band onto all of the canvas at once."""
    shrink = max(1, int(1 / transform.scale))
    placed = AffineTransform(transform.matrix * [[shrink, shrink, 1]], transform.height, transform.width)
    bands = [Image.fromarray(np.ascontiguousarray(image[..., i])).reduce(shrink) for i in range(3)]
    color = [int(value) for value in fill] if image.dtype == np.uint8 else fill
    moved = [_warped(band, placed, Image.Resampling.BILINEAR, color[i]) for i, band in enumerate(bands)]
    return np.stack([np.asarray(band) for band in moved], axis=2)


def test_without_a_move_everything_stays_to_the_pixel():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    mask = rng.random((HEIGHT, WIDTH)) < 0.3
    transform = AffineTransform(IDENTITY, HEIGHT, WIDTH)
    np.testing.assert_array_equal(move_image(image, transform, (0.0,) * 3), image)
    np.testing.assert_array_equal(seen(moved(mask_to_rle(mask), transform), transform), mask)


def test_an_image_that_shrinks_much_is_averaged():
    image = np.zeros((HEIGHT, WIDTH, 1), np.float32)
    image[::2, ::2] = 100  # a quarter of the pixels
    found = move_image(image, AffineTransform(IDENTITY / 4, HEIGHT // 4, WIDTH // 4), (0.0,))
    np.testing.assert_allclose(found, 25)


def test_shapes_on_a_finer_grid_keep_fractions_of_pixels():
    rectangle = box_corners(np.array([10, 10, 30, 22]))
    shrunk = AffineTransform(IDENTITY / 4, 15, 20)
    shape = moved(rectangle, shrunk, supersampling=4)
    np.testing.assert_array_equal(shape.box(4), [2.5, 2.5, 7.5, 5.5])
    assert shape.area == shape.mask.sum() == 20 * 12


def test_what_is_clipped_has_a_box_that_ends_at_the_canvas():
    shape = moved(
        box_corners(np.array([10, 10, 30, 22])), AffineTransform(IDENTITY - [[0, 0, 15], [0, 0, 0]], 15, 80)
    )
    np.testing.assert_array_equal(shape.box(1), [0, 10, 15, 15])
    assert shape.mask.sum() == 15 * 5 and shape.area == 20 * 12


def test_what_is_outside_has_no_mask_left():
    for shift in ([-100, 0], [100, 0], [0, -100], [0, 100]):
        transform = AffineTransform(IDENTITY + np.array([[0, 0, shift[0]], [0, 0, shift[1]]]), HEIGHT, WIDTH)
        shape = moved(box_corners(np.array([10, 10, 30, 22])), transform)
        assert shape.mask.sum() == 0 and shape.area == 240


def test_polygons_that_reach_out_of_their_image_end_at_its_border():
    transform = AffineTransform(IDENTITY + np.array([[0, 0, 20], [0, 0, 20]]), 150, 150)
    shape = moved([[-10, -10, 40, -10, 40, 30, -10, 30]], transform)
    np.testing.assert_array_equal(shape.box(1), [20, 20, 60, 50])
    assert shape.area == 40 * 30


def test_parts_and_holes_of_what_is_covered_count_as_not_seen():
    parts = [[10, 10, 20, 10, 20, 20, 10, 20], [40, 30, 60, 30, 60, 50, 40, 50]]
    shape = moved(parts, AffineTransform(IDENTITY, HEIGHT, WIDTH))
    assert shape.area == 100 + 400
    np.testing.assert_array_equal(shape.box(1), [10, 10, 60, 50])


@pytest.mark.parametrize("kind", ["polygon", "rle"])
def test_what_does_not_meet_the_canvas_has_no_cell_on_it(kind):
    random = np.random.default_rng(0)
    met = 0
    for _ in range(300):
        box = np.concatenate(
            [corner := random.uniform(0, [WIDTH - 3, HEIGHT - 3]), corner + random.uniform(1, 3, 2)]
        )
        segmentation = box_corners(box)
        if kind == "rle":
            segmentation = segmentation_to_rle(segmentation, HEIGHT, WIDTH)
            box = np.array(mask_extent(segmentation))
        angle, scale = random.uniform(0, 2 * np.pi), random.uniform(0.3, 3)
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = (
            random.uniform(-15, [45, 35]) - linear @ (box[:2] + box[2:]) / 2
        )  # on the canvas or a little beside
        matrix = np.column_stack([linear, shift])
        transform = AffineTransform(matrix, 20, 30)
        (meets,) = transform.meets(box[None])
        cells = move_shape(segmentation, HEIGHT, WIDTH, transform, 4).clipped(80, 120).mask.sum()
        assert meets or cells == 0
        met += meets and cells > 0
    assert 30 < met < 270
