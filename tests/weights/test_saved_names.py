"""What a `.keras` file says of its classes is compared with the model that is to have its weights."""

import json
import warnings
import zipfile

import pytest
from examples import tiny

from keras_maskrcnn.weights.saved_names import check_saved_names


def saved(tmp_path, **fields):
    """A file with the Config of a model, as Keras saves it, and no weights."""
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        config = {"class_name": "MaskRCNN", "config": {"config": tiny(**fields).to_dict()}}
        file.writestr("config.json", json.dumps(config))
    return path


def test_the_same_classes_in_another_order_are_refused(tmp_path):
    path = saved(tmp_path, class_names=("square", "circle"))
    with pytest.raises(
        ValueError, match=r"model.keras: its class 1 is 'square', which is class 2 of the class_names"
    ):
        check_saved_names(path, tiny(class_names=("circle", "square")))
    path = saved(tmp_path, keypoint_names=("tail", "nose"))
    with pytest.raises(ValueError, match="its keypoint 1 is 'tail'"):
        check_saved_names(path, tiny(keypoint_names=("nose", "tail")))


def test_other_classes_are_warned_of(tmp_path):
    with pytest.warns(UserWarning, match="has other class names, cat, dog, than the model, circle, square"):
        check_saved_names(saved(tmp_path, class_names=("cat", "dog")), tiny())


def test_the_same_names_and_files_that_say_none_pass(tmp_path):
    (tmp_path / "a.weights.h5").write_bytes(b"nothing")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("config.json", "[1, 2]")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_saved_names(saved(tmp_path), tiny())
        for name in ("a.weights.h5", "other.keras", "gone.keras"):
            check_saved_names(tmp_path / name, tiny())
