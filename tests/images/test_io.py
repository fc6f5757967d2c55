"""Images: every kind of file and array becomes the same kind of pixels, or an error that names it."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from keras_maskrcnn.images.io import header_sizes, image_size, read_image
from keras_maskrcnn.images.resize import pad_batch, pad_to_multiple, resize_image
from keras_maskrcnn.images.resize_array import resize_whole
from keras_maskrcnn.images.sizes import resized_size

ORIENTATION = 0x0112


@pytest.fixture
def photo() -> np.ndarray:
    """[20, 30, 3] uint8: smooth, so that JPEG keeps it, and different in every corner."""
    y, x = np.mgrid[:20, :30]
    return np.stack([x * 8, y * 12, (x + y) * 5], axis=-1).astype(np.uint8)


def test_jpeg_pixels_are_pillows(tmp_path, photo):
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo).save(path, quality=70)
    np.testing.assert_array_equal(read_image(path), np.asarray(Image.open(path)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA", "1"])
def test_every_mode_becomes_rgb(tmp_path, photo, mode):
    path = tmp_path / "photo.tif"
    if mode == "P":
        path = tmp_path / "photo.png"
    image = Image.fromarray(photo).convert(mode)
    image.save(path)
    pixels = read_image(str(path))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")))


def test_gray_array_is_repeated_and_rgb_becomes_luminosity(photo):
    gray = photo[..., 0]
    np.testing.assert_array_equal(read_image(gray), np.repeat(gray[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_image(gray, channels=1), gray[..., None])
    expected = np.asarray(Image.fromarray(photo).convert("L"))[..., None]
    np.testing.assert_array_equal(read_image(photo, channels=1), expected)
    np.testing.assert_allclose(read_image(photo.astype(np.float32), channels=1), expected, atol=1)


def test_alpha_is_dropped_from_arrays(photo):
    alpha = np.zeros((20, 30, 1), np.uint8)
    np.testing.assert_array_equal(read_image(np.concatenate([photo, alpha], axis=2)), photo)
    gray_alpha = np.concatenate([photo[..., :1], alpha], axis=2)
    np.testing.assert_array_equal(read_image(gray_alpha, channels=1), photo[..., :1])
    np.testing.assert_array_equal(read_image(gray_alpha)[..., 2], photo[..., 0])


def test_sixteen_bits_come_to_255(tmp_path):
    values = np.array([[0, 257, 514], [65535, 32896, 100]], np.uint16)
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    expected = values.astype(np.float32)[..., None] / 257
    np.testing.assert_allclose(read_image(path, channels=1), expected)
    np.testing.assert_allclose(read_image(values, channels=1), expected)
    assert read_image(path, channels=1).max() == 255


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_is_applied_and_the_header_agrees(tmp_path, photo, orientation, suffix):
    path = tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 95, "lossless": True} if suffix != "tif" else {}
    Image.fromarray(photo).save(path, exif=exif, **options)
    turns = {3: 2, 6: 3, 8: 1}[orientation]
    pixels = read_image(path)
    assert pixels.shape == np.rot90(photo, turns).shape
    assert np.abs(pixels.astype(int) - np.rot90(photo, turns)).max() < 12
    assert image_size(path) == pixels.shape[:2]
    if suffix != "tif":
        assert header_sizes(path)[1] == (20, 30)


def deep_png(pixels, orientation=None):
    """A PNG of several channels of 16 bits, which Pillow does not write: [H, W, C] uint16."""
    colors = {2: 4, 3: 2, 4: 6}[pixels.shape[2]]

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width = pixels.shape[:2]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colors, 0, 0, 0))]
    parts += [chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))] if orientation else []
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.filterwarnings("ignore:An image may be read otherwise than it looks")
@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_png_of_several_channels_of_sixteen_bits_loses_none(tmp_path, count):
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, count)).astype(np.uint16)
    pixels[0, 0] = 65535
    path = tmp_path / "deep.png"
    path.write_bytes(deep_png(pixels))
    expected = pixels[..., :3] / 257 if count > 2 else np.repeat(pixels[..., :1] / 257, 3, axis=2)
    for channels in (3, None):
        np.testing.assert_allclose(read_image(path, channels), expected, rtol=1e-6)
    gray = expected[..., :1] if count == 2 else (expected @ [0.299, 0.587, 0.114])[..., None]
    np.testing.assert_allclose(read_image(path, 1), gray, rtol=1e-5)
    for orientation in range(1, 9):
        path.write_bytes(deep_png(pixels, orientation))
        with Image.open(path) as image:
            rotated = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), int)
        assert np.abs(read_image(path) - rotated).max() <= 1


def moved_behind_the_pixels(png: bytes, kinds: tuple[bytes, ...]) -> bytes:
    """Move a PNG's chunks of these kinds to right before its end."""
    chunks, start = [], 8
    while start < len(png):
        stop = start + 12 + int.from_bytes(png[start : start + 4])
        chunks.append(png[start:stop])
        start = stop
    late = [chunk for chunk in chunks if chunk[4:8] in kinds]
    assert late
    early = [chunk for chunk in chunks[:-1] if chunk not in late]
    return png[:8] + b"".join([*early, *late, chunks[-1]])


def rotated_png(photo, kind):
    """A PNG with orientation 6 as EXIF or as XMP, the way each is embedded."""
    data, options = io.BytesIO(), {}
    if kind == "exif":
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = 6
    else:
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    Image.fromarray(photo).save(data, "PNG", **options)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["exif", "xmp"])
@pytest.mark.parametrize("late", [False, True])
def test_a_png_says_its_orientation_before_or_behind_its_pixels(tmp_path, photo, kind, late):
    content = rotated_png(photo, kind)
    path = tmp_path / "turned.png"
    path.write_bytes(moved_behind_the_pixels(content, (b"eXIf", b"iTXt")) if late else content)
    assert header_sizes(path) == ((30, 20), (20, 30))
    np.testing.assert_array_equal(read_image(path), np.rot90(photo, 3))
    with Image.open(path) as lazy:
        np.testing.assert_array_equal(read_image(lazy), np.rot90(photo, 3))
        lazy.load()
        np.testing.assert_array_equal(read_image(lazy), np.rot90(photo, 3))


def test_the_size_of_a_png_cut_off_in_its_pixels_is_known(tmp_path):
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)).save(data, "PNG")
    path = tmp_path / "cut.png"
    path.write_bytes(data.getvalue()[:1000])
    assert image_size(path) == (40, 50)
    with pytest.raises(ValueError, match=r"cut\.png: .*truncated"):
        read_image(path)


def test_every_exif_orientation_is_rotated_as_pillow_does(tmp_path, photo):
    for orientation in range(10):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        path = tmp_path / f"{orientation}.png"
        Image.fromarray(photo).save(path, exif=exif)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
        np.testing.assert_array_equal(read_image(path), expected)
        assert image_size(path) == expected.shape[:2]


def test_five_channels_come_from_arrays_npy_and_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    array = np.random.default_rng(0).integers(0, 255, (8, 9, 5), np.uint8)
    np.save(tmp_path / "bands.npy", array)
    tifffile.imwrite(tmp_path / "pixels.tif", array, planarconfig="contig", photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "planes.tif", np.moveaxis(array, 2, 0), planarconfig="separate", photometric="minisblack"
    )
    for source in (array, tmp_path / "bands.npy", tmp_path / "pixels.tif", tmp_path / "planes.tif"):
        np.testing.assert_array_equal(read_image(source, channels=5), array)
        assert image_size(source) == (8, 9)


def test_pil_images_are_taken_as_they_are(photo):
    np.testing.assert_array_equal(read_image(Image.fromarray(photo)), photo)
    assert read_image(Image.fromarray(photo).convert("1"), channels=1).max() == 255


def test_a_truncated_file_is_named(tmp_path, photo):
    data = io.BytesIO()
    Image.fromarray(np.tile(photo, (20, 20, 1))).save(data, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    with pytest.raises(ValueError, match=r"cut\.jpg.*truncated"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"not an image"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "text.png"
    path.write_bytes(content)
    for read in (read_image, image_size):
        with pytest.raises(ValueError, match=r"text\.png.*cannot be read"):
            read(path)


def test_a_missing_file_is_named():
    for read in (read_image, image_size):
        with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
            read("nowhere.jpg")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((4, 4, 3), 0.5, np.float32), "multiply by 255"),
        (np.full((4, 4, 3), np.nan, np.float32), "NaN"),
        (np.linspace(-2, 2, 48).reshape(4, 4, 3), r"0\.\.255.*got -2\.0\.\.2\.0"),
        (np.linspace(0, 65535, 16).reshape(4, 4), r"0\.\.255.*got 0\.0\.\.65535\.0"),
        (np.full((4, 4, 3), 255.5, np.float32), r"got 255\.5\.\.255\.5"),
        (np.full((4, 4, 3), 256, np.int32), "0..255"),
        (np.zeros((3, 40, 50), np.uint8), "3 channels are wanted"),
        (np.zeros((2, 4, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.full((4, 4), "a"), "numbers"),
        (np.zeros((4, 4, 7), np.uint8), "3 channels are wanted"),
    ],
)
def test_arrays_that_cannot_be_pixels_are_refused(array, reason):
    with pytest.raises(ValueError, match=reason):
        read_image(array)


def test_stretched_values_may_be_of_any_range(recwarn):
    values = np.linspace(-2, 70000, 16).reshape(4, 4, 1)
    expected = np.linspace(0, 255, 16).reshape(4, 4, 1)
    for array in (values, values.round().astype(np.int32)):
        np.testing.assert_allclose(read_image(array, channels=1, percentiles=(0, 100)), expected, atol=0.1)
    twelve_bits = np.array([[0, 1000, 4000]], np.uint16)
    np.testing.assert_allclose(read_image(twelve_bits, 1, percentiles=(0, 100))[0, :, 0], [0, 63.75, 255])
    assert not recwarn.list  # of no dark image
    with pytest.raises(ValueError, match="NaN"):
        read_image(np.full((4, 4), np.nan), percentiles=(0, 100))


def test_floats_0_to_255_and_black_ones_are_taken():
    assert read_image(np.full((4, 4, 3), 200.5)).dtype == np.float32
    assert read_image(np.zeros((4, 4, 3))).max() == 0
    assert read_image(np.array([[0.0, 255.0]])).max() == 255
    assert read_image(np.full((4, 4, 5), 0.5), channels=5).max() == 0.5
    assert read_image(np.full((4, 4, 5), -300.5), channels=5).min() == -300.5


@pytest.mark.parametrize(
    ("height", "width", "rounding", "expected"),
    [
        (480, 640, "floor", (800, 1066)),
        (480, 640, "round", (800, 1067)),
        (427, 640, "floor", (800, 1199)),
        (300, 1000, "floor", (399, 1333)),
        (300, 1000, "round", (400, 1333)),
        (1, 5000, "floor", (1, 1333)),
        (480, 640, "round_once", (800, 1067)),
        (3, 62, "round", (64, 1333)),  # the product of both its scales is just below a half
        (3, 62, "round_once", (65, 1333)),  # mmcv.rescale_size((62, 3), (1333, 800)) is (1333, 65)
        (11, 22, "round_once", (667, 1333)),
        (480, 640, "half_even", (800, 1067)),
        (1000, 1200, "half_even", (1000, 1200)),
        (900, 1334, "half_even", (899, 1333)),
        (1000, 1333, "half_even", (1000, 1333)),
        (5, 3, "half_even", (1333, 800)),
        (640, 541, "half_even", (946, 800)),
        (1, 5000, "half_even", (1, 1333)),
    ],
)
def test_sizes_follow_the_source(height, width, rounding, expected):
    assert resized_size(height, width, 800, 1333, rounding) == expected


def test_half_even_rounds_halves_to_even():
    # Both are scaled by 2.5: 2.5 * 5 is 12.5 and 2.5 * 7 is 17.5.
    assert resized_size(4, 5, 10, 100, "half_even") == (10, 12)
    assert resized_size(4, 7, 10, 100, "half_even") == (10, 18)


def test_floor_keeps_the_slips_of_float_arithmetic():
    slips = [side for side in range(1, 2000) if resized_size(side, side, 800, 1333, "floor")[0] == 799]
    assert slips and all(int(side * (800 / side)) == 799 for side in slips)


def test_resize_is_bilinear_about_pixel_centres():
    ramp = np.arange(4, dtype=np.uint8)[None, :, None] * np.ones((4, 1, 1), np.uint8)
    wider = resize_image(ramp, (4, 8)).numpy()[0, :, 0]
    np.testing.assert_allclose(wider, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], atol=1e-6)
    # Without antialiasing a shrunk image only sees the neighbours of its sample points.
    comb = np.array([255, 0, 0, 0, 255, 0, 0, 0], np.uint8).reshape(1, 8, 1)
    np.testing.assert_allclose(resize_image(comb, (1, 2)).numpy().ravel(), [0, 0], atol=1e-6)


def test_the_sources_that_resize_whole_values_are_followed(photo):
    for method in ("pillow", "skimage"):
        found = resize_image(photo, (50, 17), method)
        assert found.dtype == tf.float32
        np.testing.assert_array_equal(found, resize_whole(photo, (50, 17), method))


def test_padding_reaches_a_common_multiple_at_the_bottom_right():
    small, large = np.ones((3, 5, 2), np.float32), np.full((6, 9, 2), 2, np.float32)
    images, sizes = pad_batch([small, tf.constant(large)], 4)
    assert images.shape == (2, 8, 12, 2)
    np.testing.assert_array_equal(sizes, [[3, 5], [6, 9]])
    np.testing.assert_array_equal(images[0, :3, :5], small)
    assert images[0].numpy().sum() == small.sum() and images[1].numpy().sum() == large.sum()
    np.testing.assert_array_equal(pad_to_multiple(tf.constant(small), 4), images[0, :4, :8])


def test_a_fax_coded_tiff_is_read(tmp_path):
    """CCITT group 4, as scanners write pages."""
    bits = np.random.default_rng(0).random((16, 24)) < 0.5
    Image.fromarray(bits).save(tmp_path / "page.tif", compression="group4")
    np.testing.assert_array_equal(read_image(tmp_path / "page.tif", 1)[..., 0], bits * 255)
    assert image_size(tmp_path / "page.tif") == (16, 24)
