import pytest

from keras_maskrcnn.artefacts.place import check_place, put
from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.runtime.description import description_path


def artefact(path, text):
    """A made-up artefact: a file, or a folder of one, with its description."""
    if path.suffix:
        path.write_text(text)
    else:
        path.mkdir()
        (path / "model.xml").write_text(text)
    description_path(path).parent.mkdir(exist_ok=True)
    description_path(path).write_text("{}")
    return path


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [
        ("model.pb", "onnx", "a file of the format onnx ends with .onnx"),
        ("model", "litert", "a file of the format litert ends with .tflite"),
        ("model.xml", "openvino", "openvino is a folder; leave out .xml"),
        ("none/model.onnx", "onnx", "there is no folder"),
    ],
)
def test_a_path_that_the_format_cannot_have_is_refused(tmp_path, name, format, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        check_place(tmp_path / name, Request(format))


def test_what_is_no_artefact_is_not_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").touch()
    with pytest.raises(ValueError, match="there is a folder that is no artefact"):
        check_place(tmp_path / "photos", Request("saved_model"))
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="what is there is of another kind"):
        check_place(tmp_path / "file", Request("openvino"))
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", Request("openvino"))


@pytest.mark.parametrize("name", ["model.onnx", "folder"])
def test_an_artefact_takes_the_place_of_another(tmp_path, name):
    (tmp_path / "made").mkdir()
    part, path = artefact(tmp_path / "made" / name, "new"), artefact(tmp_path / name, "old")
    check_place(path, Request("onnx" if path.suffix else "openvino"))
    put(part, path)
    assert (path if path.suffix else path / "model.xml").read_text() == "new"
    assert description_path(path).exists()
    assert {file.name for file in tmp_path.iterdir()} <= {"made", name, "model.json"}


@pytest.mark.parametrize("name", ["model.onnx", "folder"])
def test_a_failure_leaves_the_artefact_that_was_there(tmp_path, name, monkeypatch):
    (tmp_path / "made").mkdir()
    part, path = artefact(tmp_path / "made" / name, "new"), artefact(tmp_path / name, "old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    monkeypatch.setattr("shutil.copytree", full)
    with pytest.raises(OSError, match="No space left"):
        put(part, path)
    assert (path if path.suffix else path / "model.xml").read_text() == "old"
    assert {file.name for file in tmp_path.iterdir()} <= {"made", name, "model.json"}
