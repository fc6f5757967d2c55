"""The dataset check reports images that cannot be read, or are not what was annotated."""

import dataclasses

import numpy as np
import pytest
from faults import HEIGHT, WIDTH, check, only, with_fault
from PIL import Image

from keras_maskrcnn.images.io import image_size


def test_a_missing_image(files, tmp_path):
    found = only(check(with_fault(files, image=str(tmp_path / "none.png"))))
    assert (found.severity, found.kind, found.image) == ("error", "missing image", str(tmp_path / "none.png"))
    assert found.reason == "there is no such image file"


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_an_image_that_is_truncated(ending, files, tmp_path):
    path = tmp_path / f"truncated.{ending}"
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:-900])
    assert image_size(path) == (HEIGHT, WIDTH)  # the header is whole
    found = only(check(with_fault(files, image=str(path))))
    assert (found.severity, found.kind, found.image) == ("error", "unreadable image", str(path))
    assert "truncated" in found.reason
    assert not check(with_fault(files, image=str(path)), quick=True).issues


def test_an_image_of_another_size(files, tmp_path):
    path = tmp_path / "other.png"
    Image.new("RGB", (WIDTH + 1, HEIGHT)).save(path)
    found = only(check(with_fault(files, image=str(path))))
    assert (found.kind, found.image) == ("image size", str(path))
    assert found.reason == "the image is 81 x 64 (width x height), but annotated as 80 x 64"
    found = only(check(with_fault(files, image=np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8))))
    assert (found.kind, found.image) == ("image size", "image 'drawn 2'")


def test_annotations_made_on_the_image_before_its_exif_rotation(files, tmp_path):
    rotated = rotated_image(tmp_path, 6)
    found = only(check(with_fault(files, image=rotated)))
    assert (found.severity, found.kind, found.image) == ("error", "EXIF orientation", rotated)
    assert "displayed as 64 x 80 (width x height), but annotated as 80 x 64" in found.reason


def test_an_exif_rotation_that_sizes_cannot_tell(files, tmp_path):
    rotated = rotated_image(tmp_path, 3)
    found = only(check(with_fault(files, image=rotated)))
    assert (found.severity, found.kind, found.image) == ("note", "EXIF orientation", rotated)
    assert not check(with_fault(files, image=rotated_image(tmp_path, 1))).issues


def test_an_image_of_several_pages(files, tmp_path):
    pages = [Image.new("RGB", (WIDTH, HEIGHT), (90 * number, 90, 90)) for number in range(3)]
    for name in ("stack.tif", "film.gif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        found = only(check(with_fault(files, image=str(tmp_path / name))))
        assert (found.severity, found.kind, found.image) == ("warning", "several pages", str(tmp_path / name))
        assert found.reason.startswith("it has 3 pages or frames, of which only the first is read")


def test_an_image_of_which_some_pixels_are_transparent(files, tmp_path):
    image = Image.new("RGBA", (WIDTH, HEIGHT), (90, 90, 90, 255))
    image.save(tmp_path / "opaque.png")
    assert not check(with_fault(files, image=str(tmp_path / "opaque.png"))).issues
    image.putpixel((3, 4), (90, 90, 90, 254))
    image.save(tmp_path / "glass.png")
    found = only(check(with_fault(files, image=str(tmp_path / "glass.png"))))
    assert (found.severity, found.kind) == ("warning", "transparent image")
    assert found.reason.startswith("it has transparent pixels, and its alpha channel is dropped")


def test_images_that_are_all_nearly_black(files):
    deep = [dataclasses.replace(one, image=dark(one, np.uint16, 4095)) for one in files]
    found = only(check(deep))
    assert (found.severity, found.kind, found.image, found.count) == (
        "warning",
        "dark images",
        None,
        len(files),
    )
    assert found.reason.startswith(
        f"in {len(files)} images with values 0..65535, the largest value is 4095 of 65535"
    )
    flat = [dataclasses.replace(one, image=dark(one, np.uint8, 1)) for one in files]
    assert "the largest value is 1 of 255" in only(check(flat)).reason
    found = only(check(files, validation=flat))
    assert found.split == "validation" and "values of 1 bit" in found.reason


def test_dark_images_among_bright_ones_are_as_they_are(files):
    assert not check(with_fault(files, image=dark(files[2], np.uint8, 3))).issues
    deep = [dataclasses.replace(one, image=dark(one, np.uint16, 60000)) for one in files]
    assert not check(with_fault(deep, image=dark(files[2], np.uint16, 900))).issues
    assert not check(with_fault(files, image=dark(files[2], np.uint8, 0))).issues


def dark(record, dtype, largest):
    """An array for a record, unlike others', with values from 0 to the largest."""
    seed = sum(map(ord, str(record.image_id)))
    pixels = np.random.default_rng(seed).integers(0, largest + 1, (HEIGHT, WIDTH, 3))
    pixels[0, 0] = largest
    return pixels.astype(dtype)


def rotated_image(folder, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "rotated.jpg", exif=exif)
    return str(folder / "rotated.jpg")
