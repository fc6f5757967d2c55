"""The samples for CVAT, called as CVAT calls them: requests to the serverless function, and the sdk's own driver."""

import base64
import io
import json
import logging
import runpy
import sys
import types

import numpy as np
import pytest
import yaml
from cvat_server import new_context, post, serving, shapes_of
from PIL import Image
from places import ROOT
from small_model import small_model

import keras_maskrcnn as km
from samples import neighbours, sample

SAMPLES = ROOT / "samples" / "cvat"
main = sample("cvat/nuclio/main.py")
POINTS = ("left_eye", "right_eye", "nose")
SHAPES = {
    "mask": {},
    "rectangle": {"mask_head": "none"},
    "skeleton": {"keypoint_names": POINTS, "keypoint_head_channels": 8},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A file of a model that finds each kind of shape, whatever it is shown."""
    folder = tmp_path_factory.mktemp("models")
    for shapes, changes in SHAPES.items():
        small_model(**changes).save(folder / f"{shapes}.keras")
    return folder


@pytest.fixture(scope="module")
def picture():
    """Drawn nuclei, [H, W, 3]."""
    cells = sample("nuclei/cells.py")
    image, _ = cells.draw_cells(96, 128, 12, seed=0, brightest=255)
    return np.repeat(image.astype(np.uint8)[..., None], 3, axis=2)


def request_of(picture, **more):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return {"image": base64.b64encode(file.getvalue()).decode(), **more}


def prepare(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["prepare.py", *map(str, arguments)])
    with neighbours(SAMPLES / "nuclio" / "prepare.py"):
        runpy.run_path(str(SAMPLES / "nuclio" / "prepare.py"), run_name="__main__")
    return arguments[1]


def deployed(monkeypatch, folder):
    """The handler of a prepared folder as nuclio starts it, its context, and its labels as CVAT reads them."""
    function = yaml.safe_load((folder / "function.yaml").read_text())
    for row in function["spec"]["env"]:
        monkeypatch.setenv(row["name"], row["value"])
    module = types.SimpleNamespace(**runpy.run_path(str(folder / "main.py")))
    context = new_context()
    module.init_context(context)
    return module.handler, context, json.loads(function["metadata"]["annotations"]["spec"])


def decoded(points, height, width):
    """A mask of CVAT's runs and box, as the sdk decodes it."""
    *runs, x1, y1, x2, y2 = points
    mask = np.zeros((height, width), bool)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    mask[y1 : y2 + 1, x1 : x2 + 1] = flat.reshape(y2 - y1 + 1, x2 - x1 + 1)
    return mask


def test_the_function_as_it_is_finds_nuclei(picture, untraced, monkeypatch):
    for name in ("MODEL", "SHAPES"):
        monkeypatch.delenv(name, raising=False)
    function = yaml.safe_load((SAMPLES / "nuclio" / "function.yaml").read_text())
    labels = json.loads(function["metadata"]["annotations"]["spec"])
    assert function["spec"]["handler"] == "main:handler"
    context = new_context()
    main.init_context(context)
    (truth,) = context.user_data.model.detect(picture, score_threshold=0.6)
    assert len(truth) > 4
    with serving(main.handler, context) as address:
        status, answer = post(address, request_of(picture, threshold=0.6))
    assert status == 200 and [item["confidence"] for item in answer] == [f"{one:.4f}" for one in truth.scores]
    for shape, mask in zip(shapes_of(answer, labels), truth.masks, strict=True):
        assert shape["type"] == "mask" and shape["label"] == "nucleus"
        np.testing.assert_array_equal(decoded(shape["points"], *mask.shape), mask)
    for shape, mask in zip(shapes_of(answer, labels, conv_mask_to_poly=True), truth.masks, strict=True):
        assert shape["type"] == "polygon"
        record = km.make_record(picture, masks=[[shape["points"]]], class_ids=[1], image_id=1)
        drawn = record.to_label_image() > 0
        assert (drawn & mask).sum() / (drawn | mask).sum() > 0.85


@pytest.mark.parametrize("shapes", SHAPES)
def test_a_prepared_function_answers_with_the_shapes_of_its_labels(
    shapes, models, picture, tmp_path, monkeypatch, capsys, untraced
):
    folder = prepare(monkeypatch, models / f"{shapes}.keras", tmp_path / "function", "--name", "parts")
    assert capsys.readouterr().out.startswith(f"nuctl deploy --project-name cvat --path {folder}")
    handler, context, labels = deployed(monkeypatch, folder)
    assert [(row["name"], row["type"]) for row in labels] == [("circle", shapes), ("square", shapes)]
    with serving(handler, context) as address:
        status, answer = post(address, request_of(picture))
    (truth,) = km.load_model(models / f"{shapes}.keras").detect(picture)
    found = shapes_of(answer, labels)
    rows = range(len(truth)) if shapes != "mask" else np.flatnonzero(truth.masks.any(axis=(1, 2)))
    assert status == 200 and len(found) == len(rows) > 0
    for shape, row in zip(found, rows, strict=True):
        assert (shape["label"], shape["type"]) == (truth.class_names[row], shapes)
        if shapes == "mask":
            np.testing.assert_array_equal(decoded(shape["points"], 96, 128), truth.masks[row])
        elif shapes == "rectangle":
            np.testing.assert_allclose(shape["points"], truth.boxes[row], rtol=1e-5)
        else:
            points = np.reshape(truth.coco_keypoints(row), (-1, 3))[:, :2]
            np.testing.assert_allclose([one["points"] for one in shape["elements"]], points, rtol=1e-5)


def test_labels_of_skeletons_have_a_drawing_of_their_points(models, tmp_path, monkeypatch):
    folder = prepare(monkeypatch, models / "skeleton.keras", tmp_path / "function")
    spec = yaml.safe_load((folder / "function.yaml").read_text())["metadata"]["annotations"]["spec"]
    for label in json.loads(spec):
        assert [one["name"] for one in label["sublabels"]] == list(POINTS)
        assert [label["svg"].count(f'data-label-name="{name}"') for name in POINTS] == [1, 1, 1]


def test_another_kind_of_shape_can_be_chosen(models, tmp_path, monkeypatch):
    arguments = models / "skeleton.keras", tmp_path / "function", "--shapes", "rectangle"
    function = yaml.safe_load((prepare(monkeypatch, *arguments) / "function.yaml").read_text())
    assert {"name": "SHAPES", "value": "rectangle"} in function["spec"]["env"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "KeyError: 'image'"),
        ({"image": "no base64!"}, "Error: "),
        ({"image": base64.b64encode(b"text").decode()}, "ValueError: "),
        (b"text", "TypeError"),
        ({"image": "", "threshold": "high"}, "ValueError: could not convert string to float"),
    ],
)
def test_requests_that_are_none_are_answered_with_the_reason(body, reason, models, monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL", str(models / "rectangle.keras"))
    monkeypatch.delenv("SHAPES", raising=False)
    context = new_context()
    main.init_context(context)
    answer = main.handler(context, types.SimpleNamespace(body=body))
    assert answer.status_code == 400 and reason in json.loads(answer.body)["error"]


# The sdk's driver, with a task that is in memory.


@pytest.fixture
def annotate(monkeypatch, picture):
    """Let the sdk's driver annotate a task of two images, whose labels are of a kind; return what it uploads."""
    cvataa = pytest.importorskip("cvat_sdk.auto_annotation", reason="cvat-sdk[masks] is not installed")
    from cvat_sdk.auto_annotation import driver

    def run(function, kind=None, **options):
        image = types.SimpleNamespace(load_image=lambda: Image.fromarray(picture))
        samples = [
            types.SimpleNamespace(frame_name=f"{number}.png", frame_index=number, media=image)
            for number in (0, 1)
        ]
        labels = [
            types.SimpleNamespace(
                name=label.name,
                id=100 + label.id,
                type=kind or label.type,
                attributes=[],
                sublabels=[
                    types.SimpleNamespace(name=one.name, id=200 + one.id, attributes=[])
                    for one in getattr(label, "sublabels", [])
                ],
            )
            for label in function.spec.labels
        ]
        task = types.SimpleNamespace(labels=labels, samples=samples)
        monkeypatch.setattr(driver, "TaskDataset", lambda client, task_id, load_annotations: task)
        uploaded = []
        api = types.SimpleNamespace(
            partial_update_annotations=lambda action, task_id, patched_labeled_data_request: uploaded.append(
                patched_labeled_data_request
            )
        )
        client = types.SimpleNamespace(logger=logging.getLogger("cvat"), tasks=types.SimpleNamespace(api=api))
        cvataa.annotate_task(client, 137, function, **options)
        return uploaded[0].shapes

    return run


def loaded(model, **parameters):
    """The function as `cvat-cli task auto-annotate --function-file` loads it, with its -p."""
    from cvat_cli._internal.common import FunctionLoader

    return FunctionLoader(None, SAMPLES / "auto_annotate.py", {"model": str(model), **parameters}).load()


@pytest.mark.parametrize("shapes", SHAPES)
def test_the_sdk_annotates_a_task(shapes, annotate, models, picture, untraced):
    pytest.importorskip("cvat_cli", reason="cvat-cli is not installed")
    path = models / f"{shapes}.keras"
    uploaded = annotate(loaded(path), conf_threshold=0.1)
    (truth,) = km.load_model(path).detect(picture, score_threshold=0.1)
    rows = range(len(truth)) if shapes != "mask" else np.flatnonzero(truth.masks.any(axis=(1, 2)))
    assert len(uploaded) == 2 * len(rows) > 0
    for shape, row in zip(uploaded, [*rows, *rows], strict=True):
        assert (shape.type.value, shape.label_id) == (shapes, 100 + truth.class_ids[row])
        np.testing.assert_allclose(shape.score, truth.scores[row], rtol=1e-6)
        if shapes == "mask":
            np.testing.assert_array_equal(decoded(map(int, shape.points), 96, 128), truth.masks[row])
        elif shapes == "rectangle":
            np.testing.assert_allclose(shape.points, truth.boxes[row], rtol=1e-6)
        else:
            points = np.reshape(truth.coco_keypoints(row), (-1, 3))[:, :2]
            np.testing.assert_allclose([one.points for one in shape.elements], points, rtol=1e-6)


def test_the_sdk_gets_polygons_where_it_asks_for_them(annotate, picture, untraced):
    pytest.importorskip("cvat_cli", reason="cvat-cli is not installed")
    function = loaded("nuclei_resnet18_fpn")
    uploaded = annotate(function, "any", conv_mask_to_poly=True, conf_threshold=0.6)
    (truth,) = function._model.detect(picture, score_threshold=0.6)
    assert {shape.type.value for shape in uploaded} == {"polygon"}
    polygons = [[shape.points] for shape in uploaded[: len(uploaded) // 2]]
    record = km.make_record(picture, masks=polygons, class_ids=[1] * len(polygons), image_id=1)
    drawn, masks = record.to_label_image() > 0, truth.masks.any(axis=0)
    assert (drawn & masks).sum() / (drawn | masks).sum() > 0.9
