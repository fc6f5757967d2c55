"""COCO's categories become classes, but for those that are none."""

import unicodedata

import pytest
from coco_files import annotation, content, load, with_images

from keras_maskrcnn.data.formats.coco_categories import near_name


@pytest.fixture
def folder(tmp_path):
    return with_images(tmp_path)


def categories(*names, **supercategories):
    return [
        {"id": number, "name": name, "supercategory": supercategories.get(name, "none")}
        for number, name in enumerate(names)
    ]


def test_a_group_without_objects_is_no_class(folder):
    rows = categories("parts-x7", "bolt", "nut", bolt="parts-x7", nut="parts-x7")
    records, names = load(folder, content(annotation(category_id=1), categories=rows))
    assert names == ["bolt", "nut"] and records[0].class_ids.tolist() == [1]
    assert records.report.category_ids == [1, 2]
    assert "supercategories without objects: parts-x7" in str(records.report)
    assert load(folder, content(annotation(category_id=1), categories=rows), class_names=["nut", "bolt"])[1]


def test_a_group_with_the_name_of_its_class(folder):
    rows = [
        {"id": 0, "name": "bolt", "supercategory": "none"},
        {"id": 1, "name": "bolt", "supercategory": "bolt"},
    ]
    for options in ({}, {"class_names": ["bolt"]}):
        records, names = load(folder, content(annotation(category_id=1), categories=rows), **options)
        assert names == ["bolt"] and records[0].class_ids.tolist() == [1]
        assert records.report.category_ids == [1]


def test_a_group_with_objects_and_one_that_is_asked_for_are_classes(folder):
    rows = categories("part", "bolt", bolt="part")
    used = content(annotation(1, category_id=0), annotation(2, category_id=1), categories=rows)
    assert load(folder, used)[1] == ["part", "bolt"]
    unused = content(annotation(category_id=1), categories=rows)
    assert load(folder, unused, class_names=["part", "bolt"])[0].report.category_ids == [0, 1]


def test_a_category_that_is_its_own_supercategory_is_a_class(folder):
    person = [{"id": 1, "name": "person", "supercategory": "person"}]
    assert load(folder, content(categories=person, annotations=[]))[1] == ["person"]


@pytest.mark.parametrize("name", ["_background_", "__ignore__", "background", "Void", "unlabeled"])
def test_names_for_what_is_no_object_are_no_classes(folder, name):
    rows = categories(name, "bolt")
    records, names = load(folder, content(annotation(category_id=1), categories=rows))
    assert names == ["bolt"] and f"no classes by their names: {name}" in str(records.report)
    assert load(folder, content(annotation(category_id=1), categories=rows), class_names=[name, "bolt"])[1]


def test_objects_of_reserved_names_are_left_out_and_counted(folder):
    rows = categories("__ignore__", "bolt")
    what = content(annotation(1, category_id=0), annotation(2, category_id=1), categories=rows)
    records, names = load(folder, what)
    assert names == ["bolt"] and records[0].class_ids.tolist() == [1]
    assert records.report.unusable == {"the category __ignore__, which is no class": [1]}


def test_a_plain_name_with_objects_is_a_class(folder):
    rows = categories("background", "bolt")
    assert load(folder, content(annotation(category_id=0), categories=rows))[1] == ["background", "bolt"]


def test_nothing_but_reserved_names_is_said(folder):
    with pytest.raises(ValueError, match=r"annotations.json: none of its categories is a class"):
        load(folder, content(categories=categories("_background_")))


def test_categories_of_one_name_are_one_class(folder):
    rows = [{"id": 4, "name": "bolt"}, {"id": 2, "name": "nut"}, {"id": 9, "name": "bolt"}]
    what = content(annotation(1, category_id=4), annotation(2, category_id=9), categories=rows)
    records, names = load(folder, what)
    assert names == ["nut", "bolt"] and records[0].class_ids.tolist() == [2, 2]
    assert records.report.category_ids == [2, 4]
    assert "categories 4 and 9 are both named bolt, and are one class" in str(records.report)


def test_a_category_that_is_listed_twice_is_one(folder):
    row = {"id": 5, "name": "bolt"}
    records, names = load(folder, content(annotation(), categories=[row, row]))
    assert names == ["bolt"] and "category 5, bolt, is listed twice" in str(records.report)


def test_broken_categories_are_collected(folder):
    rows = [
        {"id": 5, "name": "bolt"},
        {"id": 5, "name": "nut"},
        {"id": "x", "name": "cap"},
        {"id": 8, "name": " "},
    ]
    problems = []
    _, names = load(folder, content(annotation(), categories=rows), problems=problems)
    assert names == ["bolt"]
    reasons = ["its id occurs twice, here and for bolt", "must be a whole number", "must be a string"]
    assert len(problems) == 3 and all(reason in text for reason, text in zip(reasons, problems, strict=True))
    with pytest.raises(ValueError, match="whole number"):
        load(folder, content(categories=rows[2:3]))


def test_ids_may_be_numbers_in_one_list_and_text_in_another(folder):
    rows = [{"id": "5", "name": "bolt"}]
    image = {"id": 7.0, "file_name": "a.png", "height": 40, "width": 60}
    what = content(annotation(image_id="7"), annotation(2, category_id=5.0), categories=rows, images=[image])
    records, _ = load(folder, what)
    assert records[0].class_ids.tolist() == [1, 1] and records.report.category_ids == [5]
    assert records[0].image_id == 7 and isinstance(records[0].image_id, int)


def test_accents_may_be_composed_or_not(folder):
    composed = "\u00e9crou"
    rows = [{"id": 5, "name": unicodedata.normalize("NFD", composed)}]
    records, names = load(folder, content(annotation(), categories=rows), class_names=[composed])
    assert names == [composed] and records[0].class_ids.tolist() == [1]


def test_a_name_that_is_nearly_one_of_the_class_names_is_told(folder):
    with pytest.raises(ValueError, match=r"categories Bolt \(nearly 'bolt'\) are not among"):
        load(folder, content(categories=[{"id": 5, "name": "Bolt"}]), class_names=["bolt"])


def test_nearly_equal_names():
    alike = ["Hot dog", "hot dog ", "HOT  DOG", "hot\u00a0dog", "hot\u200b dog"]
    assert len(set(map(near_name, alike))) == 1
    assert len({near_name(name) for name in ("hot dog", "hotdog", "cat", "caf\u00e9", "cafe")}) == 5
