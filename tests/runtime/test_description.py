import json

import pytest

from keras_maskrcnn.runtime.description import KEY, VERSION, description_path, read_description


def test_it_stands_beside_files_and_within_folders(tmp_path):
    assert description_path("a/model.onnx").as_posix() == "a/model.json"
    assert description_path("a/model.tflite").as_posix() == "a/model.json"
    assert description_path("a/folder").as_posix() == "a/folder/assets.extra/keras_maskrcnn.json"


@pytest.fixture(autouse=True)
def artefact(tmp_path):
    """The file that is described."""
    (tmp_path / "model.onnx").touch()


def test_it_is_read(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps({KEY: VERSION, "format": "onnx"}))
    assert read_description(tmp_path / "model.onnx")["format"] == "onnx"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "this is no description of an artefact"),
        ("[]", "this is no description of an artefact"),
        ('{"a": 1}', "this is no description of an artefact"),
        (
            json.dumps({KEY: VERSION + 1}),
            f"a description of version {VERSION + 1}, and this package knows {VERSION}",
        ),
    ],
)
def test_what_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_description(tmp_path / "model.onnx")


def test_an_artefact_without_it_is_told(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"its description .*model\.json is missing, which export writes"
    ):
        read_description(tmp_path / "model.onnx")


def test_an_artefact_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx: there is no such artefact"):
        read_description(tmp_path / "none.onnx")
