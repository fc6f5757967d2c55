"""The way from a model to an artefact, where a converter or a runtime does not do its part."""

import pytest
import tensorflow as tf
from exported import any_model

from keras_maskrcnn.artefacts import export as module
from keras_maskrcnn.artefacts.export import ExportReport, export
from keras_maskrcnn.artefacts.saved_model import write_saved_model


@pytest.fixture(scope="module")
def model():
    return any_model(max_detections=4, mask_head="none")


def test_an_artefact_that_finds_other_things_is_not_left_behind(model, tmp_path, monkeypatch):
    def write_another(inference, path, description):
        inference._run = moved(inference._run)
        write_saved_model(inference, path, description)

    def moved(run):
        return lambda inputs: {**(found := run(inputs)), "boxes": found["boxes"] + 1.0}

    monkeypatch.setitem(module.WRITERS, "saved_model", write_another)
    with pytest.raises(ValueError, match=r"finds other things than its model: 0 of 16 detections equal"):
        export(model, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_a_converter_that_fails_says_why_in_one_line(model, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("\nNo such operation\nat 0x7f\n")

    monkeypatch.setitem(module.WRITERS, "saved_model", fail)
    with pytest.raises(ValueError, match=r"saved_model could not be converted: No such operation$"):
        export(model, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_an_artefact_that_crashes_its_runtime_is_not_left_behind(model, tmp_path, monkeypatch):
    def write_nothing(_, path, __):
        path.mkdir()
        (path / "saved_model.pb").write_bytes(b"this is none")

    monkeypatch.setitem(module.WRITERS, "saved_model", write_nothing)
    with pytest.raises(ValueError, match=r"the artefact does not run .*; nothing was written"):
        export(model, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_arguments_are_checked_before_anything_is_converted(model, tmp_path):
    with pytest.raises(ValueError, match="images must be two or more"):
        export(model, tmp_path / "saved", images=["one.png"])
    with pytest.raises(FileNotFoundError, match=r"none\.png: there is no such image file"):
        export(model, tmp_path / "saved", images=["none.png", "none.png"])
    with pytest.raises(ValueError, match="input_signature cannot be chosen"):
        model.export(tmp_path / "saved", input_signature=[tf.TensorSpec([None])])


def test_keras_own_call_does_the_same(model, tmp_path, capsys):
    report = model.export(str(tmp_path / "saved"), verbose=False, masks=None)
    assert isinstance(report, ExportReport) and report.format == "saved_model"
    assert capsys.readouterr().out == ""
    assert set(tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"].structured_outputs) == {
        "boxes", "scores", "classes",
    }  # fmt: skip
    text = str(report)
    assert f"{report.comparison.compared} of {report.comparison.compared} detections equal" in text
    assert f"{report.path}: saved_model, {report.bytes / 1e6:.1f} MB" in text
