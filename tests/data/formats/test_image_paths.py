"""Paths as tools write them lead to the files that they mean, by one rule in all readers."""

import json
import unicodedata

import numpy as np
import pytest
from coco_files import HEIGHT, WIDTH, annotation, content, load
from PIL import Image

from keras_maskrcnn.data.formats.image_paths import ImageFolder, find_images
from keras_maskrcnn.data.formats.labelme import load_labelme
from keras_maskrcnn.data.formats.via import load_via

ACCENTED = "b\u00e9b\u00e9.png"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "s1").mkdir()
    names = ("s1/a.png", "b.png", "my c.png", "D.JPG", unicodedata.normalize("NFD", ACCENTED), "50%20.png")
    for name in names:
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("s1/a.png", "s1/a.png"),
        ("s1\\a.png", "s1/a.png"),
        ("C:\\scans\\s1\\a.png", "s1/a.png"),
        ("\\\\server\\share\\b.png", "b.png"),
        ("/mnt/data/s1/a.png", "s1/a.png"),
        ("/mnt/data/s2/b.png", "b.png"),
        ("../../elsewhere/b.png", "b.png"),
        ("./b.png", "b.png"),
        ("https://host.org/sets/1/b.png?token=x%2Fy", "b.png"),
        ("file:///C:/scans/my%20c.png", "my c.png"),
        ("s3://bucket/my%20c.png", "my c.png"),
        ("/data/local-files/?d=scans/s1/a.png", "s1/a.png"),
        ("my%20c.png", "my c.png"),
        ("50%20.png", "50%20.png"),  # there is a file of this name
        ("D.jpg", "D.JPG"),
        ("b.PNG", "b.png"),
        (ACCENTED, unicodedata.normalize("NFD", ACCENTED)),
        ("a.png", None),  # the end of no path leads down
        ("C:\\scans\\gone.png", None),
        ("", None),
        ("..", None),
        ("nul\0.png", None),
        ("x" * 5000 + ".png", None),
    ],
)
def test_the_end_of_a_path_leads_to_its_file(folder, path, file):
    assert ImageFolder(folder).find(path) == (None if file is None else folder / file)


def test_a_path_that_leaves_the_folder_is_taken_as_it_is_unless_it_must_stay_inside(folder):
    images = ImageFolder(folder / "s1")
    assert images.find("../b.png") == images.find("..\\b.png").parent / "b.png"
    assert images.find("../b.png").is_file() and images.find_inside("../b.png") is None


def test_what_may_be_several_files_is_named(folder):
    for name in ("e.png", "e.Png"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / name, "png")
    if len(list(folder.glob("e.*"))) == 2:  # on systems that tell the cases apart
        with pytest.raises(ValueError, match=r"e.PNG may be e.Png or e.png in"):
            ImageFolder(folder).find("e.PNG")


def test_files_to_which_several_paths_lead_are_left_out(folder):
    problems = []
    paths = ("C:\\x\\b.png", "C:\\y\\b.png", "s1/a.png", "gone.png")
    found = find_images(ImageFolder(folder), paths, problems)
    assert found == {"s1/a.png": folder / "s1/a.png", "gone.png": None}
    assert problems == [f"C:\\x\\b.png and C:\\y\\b.png all lead to one file, {folder / 'b.png'}"]


def test_a_file_that_another_path_says_itself_is_that_paths(folder):
    problems = []
    found = find_images(ImageFolder(folder), ("s2/b.png", "b.png"), problems)
    assert found == {"s2/b.png": None, "b.png": folder / "b.png"} and problems == []


def images(*names):
    return [
        {"id": 7 + k, "file_name": name, "height": HEIGHT, "width": WIDTH} for k, name in enumerate(names)
    ]


def test_coco_finds_them_and_says_so(folder):
    records, _ = load(
        folder, content(annotation(), images=images("C:\\scans\\s1\\a.png", "my%20c.png", "b.png"))
    )
    assert [record.image for record in records] == [
        str(folder / name) for name in ("s1/a.png", "my c.png", "b.png")
    ]
    assert "2 images found by the end of their path" in str(records.report)
    assert "by the end" not in str(load(folder, content(annotation(), images=images("b.png")))[0].report)


def test_objects_of_two_images_never_land_on_one(folder):
    problems = []
    what = content(annotation(), images=images("C:\\x\\b.png", "C:\\y\\b.png", "my c.png"))
    records, _ = load(folder, what, problems=problems)
    assert [record.image for record in records] == [str(folder / "my c.png")]
    assert "all lead to one file" in problems[0] and "x" in problems[0] and "y" in problems[0]


def test_via_finds_them(folder):
    region = {"shape_attributes": {"name": "circle", "cx": 30, "cy": 20, "r": 9}, "region_attributes": {}}
    names = ("C:\\scans\\s1\\a.png", "https://host.org/my%20c.png")
    entries = {name: {"filename": name, "regions": [region]} for name in names}
    (folder / "via.json").write_text(json.dumps(entries))
    records, _ = load_via(folder / "via.json", folder)
    assert [record.image for record in records] == [str(folder / "s1/a.png"), str(folder / "my c.png")]
    assert "2 images found by the end of their path" in str(records.report)
    entries |= {name: {"filename": name, "regions": []} for name in ("C:\\x\\b.png", "D:\\b.png")}
    (folder / "via.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="all lead to one file"):
        load_via(folder / "via.json", folder)


def test_labelme_finds_them(folder):
    shape = {"label": "nut", "shape_type": "polygon", "points": [[10, 5], [30, 5], [30, 35]]}
    for number, path in enumerate(("..\\images\\my%20c.png", "s1/A.PNG", "/mnt/s1/a.png")):
        (folder / f"{number}.json").write_text(json.dumps({"imagePath": path, "shapes": [shape]}))
    problems = []
    records, _ = load_labelme(folder, problems=problems)
    assert [record.image for record in records] == [str(folder / "my c.png"), str(folder / "s1/a.png")]
    assert len(problems) == 1 and "A.PNG is not there" in problems[0]  # another name, not another ending
