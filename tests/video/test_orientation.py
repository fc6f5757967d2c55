import numpy as np
import pytest

from keras_maskrcnn.video.orientation import is_turned, upright


def by_definition(image, matrix):
    """Each pixel where the matrix puts it: x' = a x + c y, y' = b x + d y, moved so that all are in the image."""
    height, width = image.shape[:2]
    (a, b), (c, d) = matrix
    places = {(x, y): (a * x + c * y, b * x + d * y) for x in range(width) for y in range(height)}
    left, top = (min(place[axis] for place in places.values()) for axis in (0, 1))
    right, bottom = (max(place[axis] for place in places.values()) for axis in (0, 1))
    turned = np.zeros((bottom - top + 1, right - left + 1, 3), image.dtype)
    for (x, y), (new_x, new_y) in places.items():
        turned[new_y - top, new_x - left] = image[y, x]
    return turned


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("turned", [False, True])
def test_pixels_go_where_the_matrix_puts_them(signs, turned):
    first, second = signs
    matrix = np.array([[0, first], [second, 0]] if turned else [[first, 0], [0, second]])
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    np.testing.assert_array_equal(upright(image, matrix), by_definition(image, matrix))
    assert is_turned(matrix) == turned


def test_without_a_matrix_an_image_stays():
    image = np.zeros((4, 6, 3), np.uint8)
    assert upright(image, None) is image and not is_turned(None)
