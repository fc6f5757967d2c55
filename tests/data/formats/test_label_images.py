"""Label images: the numbers that files of every kind hold, or an error that names the file."""

import struct

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.label_images import read_label_image, read_labels, read_shape_mask

SQUARES = np.zeros((8, 10), np.uint8)
SQUARES[1:4, 1:4] = 1
SQUARES[5:7, 6:9] = 2


def tiff(path, bits, rows, samples=1, photometric=1):
    """Write a TIFF by hand, of bits that Pillow does not write; rows are bytes."""
    width = len(rows[0]) * 8 // (bits * samples)
    data = b"".join(rows)
    entries = [
        (256, 4, 1, width), (257, 4, 1, len(rows)), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, photometric),
        (273, 4, 1, 8), (277, 3, 1, samples), (278, 4, 1, len(rows)), (279, 4, 1, len(data)),
    ]  # fmt: skip
    more = b""
    if samples > 1:  # a list of the bits of each channel, behind the data
        entries[2] = (258, 3, samples, 8 + len(data))
        more = struct.pack(f"<{samples}H", *[bits] * samples)
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *row) for row in entries)
    start = 8 + len(data) + len(more)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, start) + data + more + directory + bytes(4))


def test_tiffs_of_few_bits_give_the_values_of_the_file(tmp_path):
    tiff(tmp_path / "two.tif", 2, [bytes([0b00011011])])
    assert read_labels(tmp_path / "two.tif").tolist() == [[0, 1, 2, 3]]
    tiff(tmp_path / "four.tif", 4, [bytes([0x0F, 0x17])])
    assert read_labels(tmp_path / "four.tif").tolist() == [[0, 15, 1, 7]]


def test_a_tiff_of_colours_of_sixteen_bits_is_refused_since_half_of_them_would_be_lost(tmp_path):
    tiff(tmp_path / "deep.tif", 16, [struct.pack("<6H", 1, 0, 0, 0, 300, 7)], samples=3, photometric=2)
    with pytest.raises(ValueError, match=r"deep\.tif: .*16 bits, of which 8 would be lost"):
        read_labels(tmp_path / "deep.tif")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint32])
def test_whole_numbers_are_labels_in_any_type(tmp_path, dtype):
    np.save(tmp_path / "a.npy", SQUARES.astype(dtype))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.npy"), SQUARES)
    if dtype == np.float32:
        Image.fromarray(SQUARES.astype(dtype)).save(tmp_path / "a.tif")
        np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), SQUARES)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0.5, "a fraction"),
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (-1, "least is -1"),
        (1e17, "at most"),
    ],
)
def test_other_numbers_are_refused(tmp_path, value, reason):
    values = SQUARES.astype(np.float64)
    values[0, 0] = value
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(ValueError, match=rf"a\.npy: .*{reason}"):
        read_labels(tmp_path / "a.npy")


def save(path, array, mode):
    Image.fromarray(array, mode).save(path)
    return path


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("color", [0, 255])
def test_a_mask_in_the_alpha_channel_is_an_object(tmp_path, mode, color):
    pixels = np.full((8, 10, len(mode)), color, np.uint8)
    pixels[..., -1] = np.where(SQUARES > 0, 255, 0)
    pixels[4, 1, -1] = 90  # less than half of a soft edge
    labels = read_labels(save(tmp_path / "a.png", pixels, mode))
    np.testing.assert_array_equal(labels > 0, SQUARES > 0)
    assert len(np.unique(labels)) == 2


def test_what_is_transparent_is_background_whatever_colour_it_hides(tmp_path):
    pixels = np.zeros((8, 10, 2), np.uint8)
    pixels[..., 0] = np.where(SQUARES > 0, SQUARES, 200)
    pixels[..., 1] = np.where(SQUARES > 0, 255, 0)
    np.testing.assert_array_equal(read_labels(save(tmp_path / "a.png", pixels, "LA")), SQUARES)


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_an_alpha_channel_of_one_value_says_nothing(tmp_path, alpha):
    pixels = np.stack([SQUARES, np.full_like(SQUARES, alpha)], axis=2)
    np.testing.assert_array_equal(read_labels(save(tmp_path / "a.png", pixels, "LA")), SQUARES)


def test_the_masks_of_shapes_are_read_by_the_same_rule(tmp_path):
    pixels = np.zeros((8, 10, 4), np.uint8)
    pixels[..., 3] = 255 * SQUARES.clip(0, 1)
    for mode, array in (("RGBA", pixels), ("L", SQUARES), ("P", SQUARES)):
        with open(save(tmp_path / "a.png", array, mode), "rb") as file:
            np.testing.assert_array_equal(read_shape_mask(file), SQUARES > 0)


def test_colours_of_print_are_no_numbers(tmp_path):
    Image.new("CMYK", (10, 8)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: .*its colours are CMYK"):
        read_labels(tmp_path / "a.tif")


def test_the_kind_of_a_file_says_what_it_could_hold(tmp_path):
    kinds = {"byte": SQUARES, "wide": SQUARES.astype(np.uint16), "color": np.stack([SQUARES] * 3, axis=2)}
    for kind, array in kinds.items():
        Image.fromarray(array).save(tmp_path / "a.png")
        assert read_label_image(tmp_path / "a.png").kind == kind
