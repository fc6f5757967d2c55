"""CVAT: images are found in all that it exports, and what is no export of images says which to choose."""

import zipfile

import pytest
from cvat_files import image, meta, write

from keras_maskrcnn.data.formats.cvat import load_cvat
from keras_maskrcnn.data.formats.load import load_dataset

NUT = '<box label="nut" xtl="1" ytl="1" xbr="9" ybr="9"/>'


def files(records, folder):
    return [record.image.removeprefix(f"{folder}/") for record in records]


def test_the_folder_of_an_unpacked_archive_is_the_dataset(tmp_path):
    write(tmp_path, image(NUT, "day 1/a.png"), image("", "b.png"), names=["day 1/a.png", "b.png"])
    records, names = load_dataset(tmp_path)
    assert files(records, tmp_path) == ["images/day 1/a.png", "images/b.png"]
    assert [len(record.boxes) for record in records] == [1, 0] and names == ["nut"]
    assert [record.image_id for record in records] == [1, 2]


def test_images_beside_the_file_or_where_one_says(tmp_path):
    path = write(tmp_path, image(NUT))
    (tmp_path / "images").rename(tmp_path / "photos")
    assert files(load_cvat(path, tmp_path / "photos")[0], tmp_path) == ["photos/a.png"]
    (tmp_path / "photos" / "a.png").rename(tmp_path / "a.png")
    assert files(load_cvat(path)[0], tmp_path) == ["a.png"]


def test_an_archive_says_to_unpack_it(tmp_path):
    write(tmp_path, image(NUT))
    with zipfile.ZipFile(tmp_path / "job_3.zip", "w") as archive:
        archive.write(tmp_path / "annotations.xml", "annotations.xml")
    with pytest.raises(ValueError, match=r"job_3.zip: this is an archive: unpack it, and give the folder"):
        load_dataset(tmp_path / "job_3.zip")


def test_tracks_say_which_export_to_choose(tmp_path):
    box = '<box frame="0" outside="0" occluded="0" keyframe="1" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0"/>'
    path = write(tmp_path, f'<track id="0" label="nut" source="manual">{box}</track>')
    with pytest.raises(
        ValueError, match=r'annotations.xml: .*"CVAT for video" has: export it as "CVAT for images 1.1"'
    ):
        load_dataset(path)


def test_a_project_has_subsets_in_folders_and_ids_that_repeat(tmp_path):
    labels = meta(("nut", "any"), top="project")
    parts = [image(NUT, subset="Train", task_id="1"), image("", subset="Val", task_id="2")]
    path = write(tmp_path, labels, *parts, names=["Train/a.png", "Val/a.png"])
    records, _ = load_cvat(path)
    assert files(records, tmp_path) == ["images/Train/a.png", "images/Val/a.png"]
    assert [len(record.boxes) for record in records] == [1, 0]
    assert files(load_dataset(path, subset="Val")[0], tmp_path) == ["images/Val/a.png"]
    with pytest.raises(ValueError, match="no image is of the subset 'Test'; there are Train, Val"):
        load_cvat(path, subset="Test")


def test_images_of_one_name_are_told_apart_or_named(tmp_path):
    path = write(tmp_path, image(NUT, task_id="1"), image(NUT, task_id="2"))
    problems = []
    with pytest.raises(ValueError, match=r"there are no images; what was refused: image a.png occurs twice"):
        load_cvat(path, problems=problems)
    assert problems == [f"{path}: image a.png occurs twice"]


def test_frames_of_a_film_have_no_ending(tmp_path):
    path = write(tmp_path, image(NUT, "frame_000007"), names=["frame_000007.png"])
    (tmp_path / "images" / "frame_000007.png").rename(tmp_path / "images" / "frame_000007.PNG")
    assert files(load_cvat(path)[0], tmp_path) == ["images/frame_000007.PNG"]


def test_tags_are_left_out_and_counted(tmp_path):
    tag = '<tag label="night" source="manual"/>'
    records, names = load_cvat(write(tmp_path, image(tag + NUT + tag)))
    assert names == ["nut"] and len(records[0].boxes) == 1
    assert "2 tags, which are of whole images, are left out" in records.report.notes


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (image(NUT, size=(41, 60)), "a.png: the image is 60 x 40"),
        (
            image(NUT, size=("many", 60)),
            "image a.png: its height and width must be whole numbers from 1; got 'many'",
        ),
        (image(NUT, size=(0, 60)), "whole numbers from 1"),
        (image(NUT, size=(10**9, 10**9)), "image a.png: an image of .* is too large"),
        (image(NUT).replace('name="a.png"', ""), 'an <image> has no "name"'),
        (image(NUT, "b.png"), "b.png"),
    ],
)
def test_images_that_are_broken_missing_or_of_another_size_are_named(tmp_path, part, reason):
    with pytest.raises(ValueError, match=f"annotations.xml: .*{reason}"):
        load_cvat(write(tmp_path, part))


def test_a_problem_leaves_the_rest_as_it_is(tmp_path):
    problems = []
    line = '<polyline label="nut" points="1,1;2,2"/>'
    path = write(tmp_path, image(line + NUT), image(NUT, "b.png"))
    records, _ = load_cvat(path, problems=problems)
    assert len(records) == 1 and len(records[0].boxes) == 1 and len(problems) == 2
