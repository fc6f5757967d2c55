"""Label Studio's brush strokes: bits that its own library reads and writes alike, and errors for what is broken."""

import re

import numpy as np
import pytest

from keras_maskrcnn.data.formats.brush_rle import decode_brush, encode_brush

EXAMPLE = [0, 0, 0, 60, 57, 27, 254, 23, 0, 183, 255, 133, 192, 0]
"""What label-studio-sdk writes for a mask of 3 rows of 5 pixels."""


def example():
    mask = np.zeros((3, 5), bool)
    mask[1, 1:4] = True
    return mask


def masks():
    rng = np.random.default_rng(0)
    yield example()
    for height, width in [(1, 1), (1, 7), (40, 60), (33, 17), (300, 400)]:
        yield np.zeros((height, width), bool)
        yield np.ones((height, width), bool)
        yield rng.random((height, width)) < 0.5
        drawn = np.zeros((height, width), bool)
        drawn[height // 4 : height // 2 + 1, width // 3 : width // 2 + 1] = True
        yield drawn


def bits(*numbers):
    """Bytes of (number, how many bits it has)."""
    text = "".join(f"{number:0{width}b}" for number, width in numbers)
    text += "0" * (-len(text) % 8)
    return [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]


def head(count, word=8, sizes=(3, 4, 8, 16)):
    return [(count, 32), (word - 1, 5), *((size - 1, 4) for size in sizes)]


def test_the_bytes_are_those_of_label_studio():
    assert encode_brush(example()) == EXAMPLE
    np.testing.assert_array_equal(decode_brush(EXAMPLE, 3, 5), example())


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: f"{mask.shape}, {mask.mean():.2f}")
def test_every_mask_comes_back_equal(mask):
    np.testing.assert_array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)


def test_literals_and_runs_that_end_within_a_pixel_are_read():
    # Two pixels of red, green, blue, alpha: alpha is 0 of the first, 7 of the second.
    stream = bits(
        *head(8), (0, 1), (0, 2), (4, 3), *((value, 8) for value in (9, 9, 9, 0, 5)), (1, 1), (1, 2), (2, 4), (7, 8)
    )  # fmt: skip
    assert decode_brush(stream, 1, 2).tolist() == [[False, True]]


def test_lengths_may_have_any_number_of_bits():
    stream = bits(
        *head(8, sizes=(1, 2, 5, 16)), (1, 1), (0, 2), (1, 1), (0, 8), (1, 1), (2, 2), (5, 5), (255, 8)
    )
    assert decode_brush(stream, 2, 1).tolist() == [[True], [True]]


def test_the_tools_own_library_agrees():
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    for mask in masks():
        values = np.repeat(mask.ravel() * 255, 4).astype(np.uint8)
        written = encode_brush(mask)
        assert written == brush.encode_rle(values)
        np.testing.assert_array_equal(brush.decode_rle(written), values)
    rng = np.random.default_rng(1)
    values = np.where(rng.random(4 * 30 * 20) < 0.5, 0, rng.integers(0, 256, 4 * 30 * 20)).astype(np.uint8)
    expected = values.reshape(30, 20, 4)[..., 3] > 0
    np.testing.assert_array_equal(decode_brush(brush.encode_rle(values), 30, 20), expected)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("text", "must be a list of bytes"),
        ([1, 2.5], "must be a list of bytes"),
        ([1, 256], "must be a list of bytes"),
        ([1, 10**30], "must be a list of bytes"),
        ([], "too short: 0 bytes"),
        (EXAMPLE[:6], "too short: 6 bytes"),
        (EXAMPLE[:-3], "ends after 36 of 60 values"),
        (bits(*head(60, word=16)), "values of 16 bits"),
        (bits(*head(64)), "has 64 values, not the 4 of each pixel of an image of 5 x 3"),
        (bits(*head(60), (1, 1), (2, 2), (99, 8), (0, 8)), "has 40 values more than it says"),
    ],
)
def test_what_is_broken_is_refused(data, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        decode_brush(data, 3, 5)
