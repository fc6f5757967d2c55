"""A `.keras` file that is not what it says is refused before anything is made of it."""

import json
import zipfile

import keras
import pytest
from examples import tiny
from places import TESTS
from small_model import small_model

from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.network.least_weights import least_weights
from keras_maskrcnn.weights.files.keras_file import check_keras_file
from keras_maskrcnn.weights.transfer import read_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "small.keras"
    small_model().save(path)
    return path


def changed(path, target, change):
    """Copy a file with another description: what `change` makes of it, in place or as text."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(parts["config.json"])
    parts["config.json"] = change(described) or json.dumps(described)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def widen(**fields):
    return lambda described: described["config"]["config"].update(fields)


def widen_backbone(described):
    described["config"]["backbone"]["config"]["layers"][1]["config"]["filters"] = 10**8


@pytest.mark.parametrize(
    "change",
    [
        widen(fpn_channels=64_000),
        widen(box_head_channels=10**9),
        widen(rpn_convs=10**6),
        widen(mask_head_channels=10**5),
        widen(class_names=[f"class {number}" for number in range(10**5)]),
        widen(keypoint_names=["nose"], keypoint_head_channels=10**5),
        widen_backbone,
    ],
)
def test_a_model_too_large_for_its_file_is_not_made(change, saved, tmp_path):
    path = changed(saved, tmp_path / "large.keras", change)
    with pytest.raises(
        ValueError, match=r"large\.keras: the model that it describes has at least [\d,]+ weights"
    ):
        check_keras_file(path, MaskRCNN)


def rename(**fields):
    return lambda described: described.update(fields)


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            rename(registered_name="Functional", class_name="Functional"),
            "this is a Functional, not a MaskRCNN",
        ),
        (rename(registered_name=None, module="os", class_name="system"), "this is a system, not a MaskRCNN"),
        (rename(registered_name=[], module={}, class_name={}), "not a MaskRCNN"),
        (lambda described: "[]", "this is a file without a model, not a MaskRCNN"),
        (lambda described: '{"a":' * 10**5 + "1" + "}" * 10**5, "the file is damaged, or no .keras file"),
        (lambda described: "{", "the file is damaged, or no .keras file"),
        (lambda described: b"\xff\xfe\x00", "the file is damaged, or no .keras file"),
        (widen(depth=[18]), r"its Config cannot be read: Config\.depth"),
        (widen(class_names={"cat": 1}), "its Config cannot be read"),
        (widen(colour="red"), "its Config cannot be read"),
        (lambda described: described.update(config=[]), "its Config cannot be read"),
    ],
)
def test_what_is_no_mask_rcnn_is_refused_by_the_name_of_the_file(change, reason, saved, tmp_path):
    path = changed(saved, tmp_path / "odd.keras", change)
    with pytest.raises(ValueError, match=r"odd\.keras: .*" + reason):
        read_model(path, MaskRCNN)


def test_a_file_without_a_description_is_damaged(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(
        ValueError, match=r"a\.keras: the file is damaged, or no \.keras file: it has no config"
    ):
        check_keras_file(tmp_path / "a.keras", MaskRCNN)


def test_a_class_of_ones_own_is_read(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Own(MaskRCNN):
        pass

    model = small_model()
    Own(model.config, backbone=model.backbone).save(tmp_path / "own.keras")
    check_keras_file(tmp_path / "own.keras", MaskRCNN)


FIELDS = (
    {},
    {"box_convs": 2, "box_fcs": 1, "rpn_convs": 2, "mask_head": "none", "keypoint_names": ("nose",)},
    {"architecture": "c4", "anchor_sizes": ((32,),), "box_pool_size": 14},
)


@pytest.mark.parametrize("changes", FIELDS)
def test_the_least_number_of_weights_is_near_the_real_one(changes):
    model = MaskRCNN(tiny(keypoint_head_channels=32, **changes))
    backbones = [layer for layer in (model.backbone, model.res5) if layer is not None]
    real = model.count_params() - sum(layer.count_params() for layer in backbones)
    assert 0.8 * real < least_weights(model.config) <= real


def test_nor_is_it_too_large_for_what_version_0_1_0_saved():
    for path in (TESTS / "saved_by_0_1_0").glob("*.keras"):
        check_keras_file(path, MaskRCNN)
