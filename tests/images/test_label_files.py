"""Label images are read back as they were written, by our reader and by others."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_maskrcnn.data.formats.label_images import read_labels
from keras_maskrcnn.images.label_files import save_label_image

LABELS = {
    "uint16": np.array([[0, 1, 65535], [300, 0, 2]], np.uint16),
    "uint32": np.array([[0, 1, 65536], [2**31 - 1, 0, 2]], np.uint32),
}


@pytest.mark.parametrize(("kind", "name"), [("uint16", "a.tif"), ("uint16", "a.png"), ("uint32", "a.TIFF")])
def test_numbers_are_read_back(kind, name, tmp_path):
    save_label_image(LABELS[kind], tmp_path / name)
    np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS[kind])
    with Image.open(tmp_path / name) as image:
        assert image.mode == {"uint16": "I;16", "uint32": "I"}[kind]
        np.testing.assert_array_equal(np.asarray(image), LABELS[kind])


def test_other_programs_read_the_tiffs(tmp_path):
    for kind, labels in LABELS.items():
        save_label_image(labels, tmp_path / "a.tif")
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            page = file.pages[0]
            assert page.compression.name == "ADOBE_DEFLATE" and page.bitspersample == int(kind[4:])
            np.testing.assert_array_equal(page.asarray(), labels)


@pytest.mark.parametrize(
    ("labels", "name", "reason"),
    [
        (
            LABELS["uint32"],
            "a.png",
            "a.png: a PNG holds the numbers up to 65535, not 2147483647; a TIFF holds more",
        ),
        (LABELS["uint16"], "a.jpg", "a.jpg: a label image is written as .tif, .tiff or .png"),
        (LABELS["uint16"].astype(np.int64), "a.tif", r"uint16 or uint32; got int64 \(2, 3\)"),
        (LABELS["uint16"][None], "a.tif", r"uint16 or uint32; got uint16 \(1, 2, 3\)"),
    ],
)
def test_what_would_not_be_read_back_is_refused_and_nothing_written(labels, name, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        save_label_image(labels, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_label_image_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    save_label_image(LABELS["uint16"], path)
    before = path.read_bytes()

    def fails(image, part, **options):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fails)
    with pytest.raises(OSError, match="No space left"):
        save_label_image(LABELS["uint16"] * 0, path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["a.tif"]
