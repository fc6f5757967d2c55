"""What many annotations at once are read as is what each by itself is: records, problems and the report alike."""

import copy
import json
import math

import numpy as np
import pytest
from coco_files import annotation, content, load
from fuzzing import WRONG

from keras_maskrcnn.data.formats.coco_annotations import Annotations
from keras_maskrcnn.data.formats.coco_content import read_content
from keras_maskrcnn.data.formats.coco_plain import PlainReader

HEIGHT, WIDTH = 300, 400
OUTLINE = [[60, 50, 160, 50, 160, 130, 60, 130]]
CORNER = [60, 50, 160, 50, 160, 60, 70, 60, 70, 130, 60, 130]
SQUARE = {"bbox": [60, 50, 100, 80], "area": 8000, "segmentation": OUTLINE}
DOUBTFUL = {
    "twice around, so that nothing is inside": {"segmentation": [OUTLINE[0] * 2]},
    "one polygon four times": {"segmentation": [CORNER] * 4, "area": 6800},
    "two polygons apart": {"segmentation": [CORNER, [80, 70, 150, 70, 150, 120, 80, 120]], "area": 5200},
    "thinner than a pixel": {"segmentation": [[60, 50.1, 160, 50.1, 160, 50.2]], "bbox": [60, 50, 100, 0.2], "area": 9},
    "apart from its box": {"bbox": [200, 200, 60, 60], "area": 3000},
    "touching its box": {"bbox": [160, 130, 60, 60], "area": 3000},
    "corners for a bbox": {"bbox": [60, 50, 160, 130]},
    "beside its image": {"segmentation": [[410, 50, 500, 50, 500, 130]]},
    "partly beside its image": {"segmentation": [[350, 50, 500, 50, 500, 130]], "bbox": [350, 50, 50, 80], "area": 99},
    "a little outside": {"segmentation": [[-1, -1, 80, -1, 80, 80, -1, 80]], "bbox": [-1, -1, 81, 81], "area": 6400},
    "box far outside": {"bbox": [60, 50, 500, 80]},
    "area of another unit": {"area": 90},
    "area beyond its box": {"area": 80_000},
    "area of 0": {"area": 0},
    "no area": {"area": ...},
    "area that is none": {"area": math.nan},
    "no bbox": {"bbox": ...},
    "bbox of three": {"bbox": [60, 50, 100]},
    "bbox of true and false": {"bbox": [True, False, 100, 80]},
    "bbox of no numbers": {"bbox": ["60", "50", "100", "80"]},
    "bbox that is not finite": {"bbox": [60, math.nan, 100, 80]},
    "bbox without an end": {"bbox": [60, 50, math.inf, 80]},
    "bbox that no float holds": {"bbox": [60, 50, 10**400, 80]},
    "negative width": {"bbox": [160, 50, -100, 80]},
    "box too thin to hold anything": {"bbox": [60, 50, 0.005, 80], "area": 0.4},
    "box without area": {"bbox": [60, 50, 0, 80]},
    "flat list": {"segmentation": OUTLINE[0]},
    "no polygons": {"segmentation": []},
    "no segmentation": {"segmentation": ...},
    "odd numbers": {"segmentation": [[60, 50, 160, 50, 160, 130, 60]]},
    "two points": {"segmentation": [[60, 50, 160, 130]]},
    "one good polygon of two": {"segmentation": [OUTLINE[0], [60, 50]]},
    "text in a polygon": {"segmentation": [[60, 50, "160", 50, 160, 130]]},
    "true and false": {"segmentation": [[True, False, True, True, False, True]]},
    "not finite": {"segmentation": [[60, 50, math.nan, 50, 160, 130]]},
    "far away": {"segmentation": [[60, 50, 1e7, 50, 160, 130]]},
    "numbers that no float holds": {"segmentation": [[60, 50, 10**30, 50, 10**400, 130]]},
    "pairs of points": {"segmentation": [[[60, 50], [160, 50], [160, 130]]]},
    "RLE": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [60 * HEIGHT + 50, 80, 119_870 - 60 * HEIGHT]}},
    "RLE of another size": {"segmentation": {"size": [5, 5], "counts": [25]}},
    "crowd": {"iscrowd": 1},
    "crowd by text": {"iscrowd": "0"},
    "crowd by null": {"iscrowd": None},
    "ignored": {"ignore": 1},
    "difficult by a tick": {"attributes": {"difficult": "true"}},
    "ignored by text": {"ignore": "no"},
    "not ignored": {"ignore": 0, "attributes": {"occluded": True}},
    "id as text": {"id": "seven"},
    "id that repeats": {"id": 1},
    "id that is none": {"id": [1]},
    "no id": {"id": ...},
    "image_id as text": {"image_id": "7"},
    "image_id that is true": {"image_id": True},
    "image_id of nobody": {"image_id": 77},
    "image_id that is a list": {"image_id": [7]},
    "category_id as text": {"category_id": "5"},
    "category_id of nobody": {"category_id": 55},
    "category_id that is a dict": {"category_id": {}},
    "category that is no class": {"category_id": 6},
    "keypoints": {"keypoints": [70, 60, 2, 80, 70, 1]},
    "keypoints of another number": {"keypoints": [70, 60, 2]},
}  # fmt: skip


def file_of(*annotations):
    images = [{"id": n, "file_name": f"{n}.png", "height": HEIGHT, "width": WIDTH} for n in (7, 8, "9")]
    categories = [{"id": 9, "name": "nut"}, {"id": 5, "name": "bolt"}, {"id": 6, "name": "_background_"}]
    return content(*annotations, images=images, categories=categories)


def outline(random):
    """A bent outline, as people draw them."""
    angles = np.linspace(0, 2 * np.pi, random.integers(3, 40), endpoint=False)
    radius = random.uniform(0.5, 1, len(angles)) * random.uniform(2, 80)
    x, y = np.cos(angles) * radius, np.sin(angles) * radius
    points = np.stack([x + 20 * np.sin(y / 30), y], axis=1) + random.uniform(0, (WIDTH, HEIGHT))
    return np.round(points.clip(0, (WIDTH, HEIGHT)), 2)


def drawn(number, seed):
    """An annotation with one or two outlines, its area and bbox about theirs."""
    random = np.random.default_rng(seed)
    parts = [outline(random) for _ in range(random.integers(1, 3))]
    points = np.concatenate(parts)
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    turned = [np.roll(part, -1, axis=0) for part in parts]
    area = sum(
        abs((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / 2 for a, b in zip(parts, turned, strict=True)
    )
    return annotation(
        number,
        image_id=int(random.choice([7, 8])),
        category_id=int(random.choice([5, 9])),
        bbox=[x1, y1, x2 - x1, y2 - y1],
        area=float(area),
        segmentation=[part.ravel().tolist() for part in parts],
    )


def one_by_one(monkeypatch, what, folder, **options):
    """What is read if no annotation is taken without a look at it alone."""
    with monkeypatch.context() as patch:
        patch.setattr(PlainReader, "_values", lambda self, row: None)
        parsed = json.loads(json.dumps(what))  # with lists of numbers
        return outcome(
            lambda met: read_content(
                parsed, str(folder / "annotations.json"), folder, problems=met, **options
            )
        )


def outcome(read):
    met = []
    try:
        records, names = read(met)
    except ValueError as error:
        return str(error), met
    fields = [
        (
            record.image, record.image_id, record.height, record.width, record.class_names, record.keypoint_names,
            record.boxes.tolist(), record.class_ids.tolist(), record.crowd.tolist(), record.areas.tolist(),
            None if record.keypoints is None else record.keypoints.tolist(),
            None if record.masks is None else tuple(record.masks),
            [str(array.dtype) for array in (record.boxes, record.class_ids, record.crowd, record.areas)],
        )
        for record in records
    ]  # fmt: skip
    return fields, names, str(records.report), records.report.unusable, met


def check_same(monkeypatch, what, folder, **options):
    found = outcome(lambda met: load(folder, what, check_images=False, problems=met, **options))
    expected = one_by_one(monkeypatch, what, folder, check_images=False, **options)
    np.testing.assert_equal(found, expected)  # in which NaN is NaN
    assert repr(found[-1]) == repr(expected[-1])
    return found


def looked_at(monkeypatch):
    """The annotations that are read one by one from now on."""
    seen, read = [], Annotations._read_one
    monkeypatch.setattr(
        Annotations, "_read_one", lambda self, row, place: (seen.append(row), read(self, row, place))
    )
    return seen


@pytest.mark.parametrize("masks", [True, False])
def test_good_objects_are_read_alike_and_few_alone(masks, tmp_path, monkeypatch):
    rows = [drawn(number, number) for number in range(1, 1200)]
    alone = looked_at(monkeypatch)
    records, _ = load(tmp_path, file_of(*rows), check_images=False, masks=masks)
    assert records.report.objects > 1100 and len(alone) < (0.1 if masks else 0.01) * len(rows)
    check_same(monkeypatch, file_of(*rows), tmp_path, masks=masks)


def test_coordinates_are_those_of_the_file(tmp_path):
    rows = [drawn(number, number) for number in range(50)]
    records, _ = load(tmp_path, file_of(*rows), check_images=False)
    found = [mask for record in records for mask in record.masks]
    expected = [row["segmentation"] for image_id in (7, 8) for row in rows if row["image_id"] == image_id]
    assert found == expected


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("kind", DOUBTFUL)
def test_doubtful_objects_are_read_as_if_alone(kind, masks, tmp_path, monkeypatch):
    odd = annotation(1000, **{**SQUARE, **DOUBTFUL[kind]})
    rows = [drawn(1, 1), drawn(2, 2), odd, drawn(3, 3), annotation(4, **SQUARE)]
    check_same(monkeypatch, file_of(*rows), tmp_path, masks=masks)


@pytest.mark.parametrize(
    "second", ["twice around, so that nothing is inside", "image_id of nobody", "text in a polygon"]
)
@pytest.mark.parametrize("kind", DOUBTFUL)
def test_two_faults_together_are_told_as_if_alone(kind, second, tmp_path, monkeypatch):
    rows = [
        annotation(n, **{**SQUARE, **DOUBTFUL[name]}) for n, name in enumerate((kind, second), start=1000)
    ]
    both = annotation(1002, **{**SQUARE, **DOUBTFUL[second], **DOUBTFUL[kind]})
    check_same(monkeypatch, file_of(drawn(1, 1), *rows, both, drawn(2, 2)), tmp_path)


@pytest.mark.parametrize("seed", range(60))
def test_values_that_are_wrong_anywhere_are_read_as_if_alone(seed, tmp_path, monkeypatch):
    random = np.random.default_rng(seed)
    rows = [drawn(number, 100 * seed + number) for number in range(1, 25)]
    for _ in range(4):
        row = rows[random.integers(len(rows))]
        holder, key = row, list(row)[random.integers(len(row))]
        while isinstance(holder[key], list) and holder[key] and random.random() < 0.6:
            holder, key = holder[key], int(random.integers(len(holder[key])))
        holder[key] = copy.deepcopy(WRONG[random.integers(len(WRONG))])
    check_same(monkeypatch, file_of(*rows), tmp_path, masks=bool(seed % 4))


@pytest.mark.parametrize("seed", range(40))
def test_boxes_and_areas_near_their_limits_are_read_as_if_alone(seed, tmp_path, monkeypatch):
    random = np.random.default_rng(seed)
    rows = [drawn(number, 5000 + 100 * seed + number) for number in range(1, 60)]
    for row in rows:
        shift = random.choice([0, 2, 9.5, 10.5, 30], 4) * random.choice([-1, 1], 4)
        x, y, width, height = (np.array(row["bbox"]) + shift).tolist()
        row["bbox"] = [
            x,
            y,
            width + x if random.random() < 0.3 else width,
            height + y if random.random() < 0.3 else height,
        ]
        row["area"] *= float(random.choice([0.45, 0.5, 0.55, 1, 1.9, 2, 2.1]))
    check_same(monkeypatch, file_of(*rows), tmp_path)
