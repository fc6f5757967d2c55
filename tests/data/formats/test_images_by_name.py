import pytest

from keras_maskrcnn.data.formats.images_by_name import ImagesByName


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.jpg", "b.bmp", "c_mask.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.png").touch()
    return tmp_path


def test_the_first_name_that_there_is_counts(folder):
    images = ImagesByName(folder)
    assert images.find("a") == images.find("x", "a", "b") == folder / "a.png"
    assert images.find("x") is images.find("d") is images.find("notes") is None


def test_other_files_are_not_found(folder):
    assert ImagesByName(folder).find("c_mask") == folder / "c_mask.png"
    assert ImagesByName(folder, {(folder / "c_mask.png").resolve()}).find("c_mask") is None


def test_several_images_of_a_name_are_listed(folder):
    with pytest.raises(ValueError, match=r"several images for it: .*b\.bmp, .*b\.jpg"):
        ImagesByName(folder).find("b")
