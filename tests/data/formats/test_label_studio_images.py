"""The files that Label Studio's tasks mean: uploaded, served from a folder, in a bucket or on the web."""

import pytest

from keras_maskrcnn.data.formats.label_studio_images import TaskImages


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scans").mkdir()
    for name in ("plain.png", "photo (1) é.jpg", "image 0.png", "0a1b2c3d-exported.png", "scans/b.tif"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/upload/1/f802a5d3-plain.png", "plain.png"),
        ("/data/upload/1/be22b0a6-photo_1_%C3%A9.jpg", "photo (1) é.jpg"),
        ("http://localhost:8080/data/upload/7/bbd7063c-image_0.png", "image 0.png"),
        ("/data/upload/1/0a1b2c3d-exported.png", "0a1b2c3d-exported.png"),
        ("upload/1/0a1b2c3d-exported.png", "0a1b2c3d-exported.png"),
        ("/data/local-files/?d=scans/b.tif", "scans/b.tif"),
        ("/data/local-files/?d=disk/scans%2Fb.tif", "scans/b.tif"),
        ("s3://bucket/scans/b.tif", "scans/b.tif"),
        ("gs://bucket/project/plain.png", "plain.png"),
        ("https://example.org/scans/b.tif?token=1", "scans/b.tif"),
        ("scans/b.tif", "scans/b.tif"),
    ],
)
def test_references_lead_to_files(folder, path, name):
    assert TaskImages(folder).find(path).relative_to(folder).as_posix() == name


@pytest.mark.parametrize("path", ["/data/upload/1/f802a5d3-gone.png", "f802a5d-plain.png", "http://[/a.png"])
def test_others_lead_nowhere(folder, path):
    assert TaskImages(folder).find(path) is None


def test_files_that_would_be_called_alike_are_named(folder):
    (folder / "image (0).png").touch()
    with pytest.raises(ValueError, match=r"image_0.png may be image \(0\).png or image 0.png in"):
        TaskImages(folder).find("/data/upload/1/bbd7063c-image_0.png")
