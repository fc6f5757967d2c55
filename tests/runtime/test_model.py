"""`ExportedModel` with an engine that the tests make up; the formats' own tests run real ones."""

import subprocess
import sys

import numpy as np
import pytest
from made_up_engine import made_up

from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.runtime import engines

IMAGE = np.full((32, 48, 3), 100, np.uint8)  # resized to 64 x 96


def test_images_are_resized_and_detections_come_back_to_their_pixels(tmp_path, monkeypatch):
    model, engine = made_up(tmp_path, monkeypatch)
    (found,) = model.detect(IMAGE)
    assert engine.given[0]["images"].shape == (1, 64, 96, 3) and engine.given[0]["sizes"].tolist() == [
        [64, 96]
    ]
    np.testing.assert_array_equal(found.boxes, [[4, 4, 16, 20], [0, 0, 8, 8]])
    assert found.class_names == ["square", "circle"] and found.masks.shape == (2, 32, 48)
    assert found.masks[0, 4:20, 4:16].all() and found.masks[0].sum() == 16 * 12


def test_thresholds_and_limits_leave_the_best(tmp_path, monkeypatch):
    model, _ = made_up(tmp_path, monkeypatch)
    assert len(model.detect(IMAGE, score_threshold=0.5)[0]) == 1
    assert len(model.detect(IMAGE, max_detections=1)[0]) == 1


def test_batches_hold_several_images_where_the_artefact_takes_them(tmp_path, monkeypatch):
    model, engine = made_up(tmp_path, monkeypatch)
    assert len(model.detect([IMAGE] * 3, batch_size=2)) == 3
    assert [len(given["sizes"]) for given in engine.given] == [2, 1]
    model, engine = made_up(tmp_path, monkeypatch, Request("litert"))
    assert len(model.detect([IMAGE] * 3, batch_size=2)) == 3
    assert [len(given["sizes"]) for given in engine.given] == [1, 1, 1]


def test_an_artefact_that_resizes_gets_the_image_as_it_is(tmp_path, monkeypatch):
    model, engine = made_up(tmp_path, monkeypatch, Request("onnx", "uint8"))
    (found,) = model.detect(IMAGE)
    assert engine.given[0]["image"].shape == (32, 48, 3)
    np.testing.assert_array_equal(found.boxes[1], [0, 0, 16, 16])
    with pytest.raises(ValueError, match="the artefact takes images of 8 bits; got one of float32"):
        model.detect(IMAGE.astype(np.uint16) * 257)


def test_large_images_are_searched_in_tiles(tmp_path, monkeypatch):
    model, engine = made_up(tmp_path, monkeypatch)
    (found,) = model.detect(np.full((64, 64, 3), 100, np.uint8), tile=40, tile_overlap=0, tile_whole=False)
    assert len(engine.given) == 4 and found.width == 64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_threshold": 0.01}, "score_threshold must be from the artefact's 0.05 to 1; got 0.01"),
        ({"max_detections": 6}, "max_detections must be from 1 to the artefact's 5; got 6"),
        ({"masks": "png"}, 'masks must be "bool", "rle" or None'),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"augment": "d4"}, "augment='d4': an artefact's masks of several views cannot be joined"),
    ],
)
def test_what_the_artefact_cannot_give_is_refused(tmp_path, monkeypatch, options, message):
    model, _ = made_up(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=message):
        model.detect(IMAGE, **options)


def test_pasted_masks_are_left_to_the_runtime_itself(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r'its masks are pasted within it.*export it with masks="crops"'):
        made_up(tmp_path, monkeypatch, Request("onnx", "uint8", "pasted"))


def test_neither_tensorflow_nor_keras_is_loaded():
    program = (
        "import sys\nimport keras_maskrcnn.runtime\nimport keras_maskrcnn.runtime.engines\n"
        "print(sorted({'tensorflow', 'keras', 'matplotlib', 'skimage', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_what_is_no_artefact_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx: there is no such artefact"):
        engines.load_engine(tmp_path / "none.onnx")
    (tmp_path / "model.keras").touch()
    with pytest.raises(ValueError, match=r"an artefact is a \.onnx or \.tflite file, or the folder of"):
        engines.load_engine(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="an artefact is a"):
        engines.load_engine(tmp_path)
