"""Opening images: what a file claims is known and bounded before it is decoded, and what is no file is refused."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_maskrcnn.images.io import header_sizes, image_size, read_image
from keras_maskrcnn.images.opening import open_image, page_count
from keras_maskrcnn.masks.rle import segmentation_to_rle
from keras_maskrcnn.masks.segmentation_checks import MOST_PIXELS


def png_header(width: int, height: int) -> bytes:
    """A PNG that says its size and holds nothing."""
    content = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + content
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def empty_chunk(kind: bytes) -> bytes:
    return struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))


def save_png_header(path, width, height):
    path.write_bytes(png_header(width, height) + empty_chunk(b"IDAT") + empty_chunk(b"IEND"))


def test_a_size_that_cannot_be_counted_is_refused_before_anything_is_decoded(tmp_path):
    path = tmp_path / "claims.png"
    save_png_header(path, 46341, 46341)  # 88,000 pixels more than 2^31
    for read in (image_size, read_image):
        with pytest.raises(
            ValueError, match=rf"claims\.png: .*46341 x 46341 .*{MOST_PIXELS} pixels are the most"
        ):
            read(path)
    save_png_header(path, 46340, 46340)
    assert image_size(path) == (46340, 46340)


def test_a_tiff_and_an_array_file_are_bounded_alike(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 5), np.uint8))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    for tag in (256, 257):  # width and height
        place = content.find(struct.pack("<HHI", tag, 3, 1))
        if place < 0:
            place = content.find(struct.pack("<HHI", tag, 4, 1))
        content[place : place + 12] = struct.pack("<HHII", tag, 4, 1, 70000)
    (tmp_path / "a.tif").write_bytes(content)
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"shape": (70000, 70000), "fortran_order": False, "descr": "|u1"}
        )
    for name in ("a.tif", "a.npy"):
        for read in (image_size, read_image):
            with pytest.raises(ValueError, match=rf"{name.replace('.', '[.]')}: "):
                read(tmp_path / name)


@pytest.mark.parametrize(
    "segmentation", [[[9, 9, 99, 9, 99, 99]], {"size": [50000, 50000], "counts": [2500000000]}]
)
def test_masks_of_such_images_are_refused_for_that_reason(segmentation):
    with pytest.raises(ValueError, match=r"an image of 50000 x 50000 .* pixels is too large"):
        segmentation_to_rle(segmentation, 50000, 50000)


def test_an_image_beyond_pillows_limit_has_a_size_and_is_read_where_it_may_be_large(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    path = tmp_path / "large.png"
    pixels = np.arange(120, dtype=np.uint8).reshape(10, 12)
    Image.fromarray(pixels).save(path)
    assert header_sizes(path) == ((10, 12), (10, 12))
    with pytest.raises(ValueError, match=r"large\.png: .*12 x 10 .*limit of 100.*--tile.*MAX_IMAGE_PIXELS"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, 1, any_size=True)[..., 0], pixels)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], pixels)


def test_the_size_of_a_tiff_is_in_its_header(tmp_path):
    """Whether Pillow knows its kind or only tifffile does: the pixels are cut off here."""
    tifffile = pytest.importorskip("tifffile")
    for name, dtype in (("known.tif", np.uint8), ("unknown.tif", np.complex64)):
        tifffile.imwrite(tmp_path / name, np.zeros((300, 500), dtype))
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: max(400, len(content) // 2)])
        assert image_size(tmp_path / name) == (300, 500)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "a.json"])
def test_a_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (read_image, image_size):
        with pytest.raises(
            ValueError, match=rf"{name.replace('.', '[.]')}: .*this is a named pipe, not a file"
        ):
            read(tmp_path / name)


def test_a_folder_and_a_device_are_no_images(tmp_path):
    with pytest.raises(ValueError, match="this is a folder, not a file"):
        read_image(tmp_path)
    with pytest.raises(ValueError, match="this is a device, not a file"):
        read_image(os.devnull)


def test_bytes_and_open_files_are_images():
    pixels = np.random.default_rng(0).integers(0, 255, (7, 9, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    for kind in (bytes, bytearray, memoryview, io.BytesIO):
        source = kind(file.getvalue())
        np.testing.assert_array_equal(read_image(source), pixels)
    assert image_size(file.getvalue()) == (7, 9)
    with pytest.raises(ValueError, match="image of type bytes: the image cannot be read"):
        read_image(b"no image")
    for nothing in (7, None):
        with pytest.raises(ValueError, match="no path, bytes of a file, open file, array or PIL image"):
            read_image(nothing)


@pytest.mark.parametrize("shape", [(), (10,), (2, 3, 4, 3)])
def test_an_array_file_of_another_rank_is_named(tmp_path, shape):
    np.save(tmp_path / "flat.npy", np.zeros(shape, np.uint8))
    for read in (read_image, image_size):
        with pytest.raises(ValueError, match=r"flat\.npy: .*an image must be \[H, W\]"):
            read(tmp_path / "flat.npy")


def frames(count):
    return [Image.fromarray(np.full((6, 8), 40 * number, np.uint8)) for number in range(1, count + 1)]


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.webp", "a.png"])
def test_pages_and_frames_are_counted_and_the_first_is_read_with_a_warning(tmp_path, name):
    path = tmp_path / name
    first, *others = frames(3)
    first.save(path, save_all=True, append_images=others)
    with open_image(path) as image:
        assert page_count(image) == 3
    said = rf"{name.replace('.', '[.]')}: it has 3 pages or frames, of which only the first"
    with pytest.warns(UserWarning, match=said):
        pixels = read_image(path)
    np.testing.assert_allclose(pixels, 40, atol=3)


def test_an_alpha_channel_is_dropped_with_a_warning_if_it_says_something(tmp_path):
    pixels = np.full((6, 8, 4), 255, np.uint8)
    pixels[..., :3] = 40
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.full((6, 8, 3), 40))
    pixels[2, 3, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match="it has transparent pixels, and its alpha channel is dropped"):
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.full((6, 8, 3), 40))


def test_smaller_copies_of_a_page_are_no_pages(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        file.write(np.full((64, 64), 200, np.uint8))
        file.write(np.full((32, 32), 200, np.uint8), subfiletype=1)
    with open_image(tmp_path / "pyramid.tif") as image:
        assert page_count(image) == 1 and image.size == (64, 64)


def test_what_only_tifffile_reads_has_pages_too(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    stack = np.random.default_rng(0).uniform(0, 255, (4, 6, 8))  # of 64 bits, which Pillow does not know
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    with pytest.warns(UserWarning, match="it has 4 pages"):
        pixels = read_image(tmp_path / "stack.tif", 1)
    np.testing.assert_allclose(pixels[..., 0], stack[0], rtol=1e-6)
    np.testing.assert_allclose(read_image(tmp_path / "stack.tif", 4), np.moveaxis(stack, 0, 2), rtol=1e-6)
