"""Custom files for a model that has published weights."""

import dataclasses
import logging

import numpy as np
import pytest
from checkpoints import state_dict, whole, write_zip
from examples import tiny
from names import random_state
from published import (
    CLASS_LAYERS,
    CONFIGS,
    FROZEN,
    SOURCES,
    assert_has,
    preset,
    published_state,
    source_of,
    write,
)

from keras_maskrcnn.models.load import load_pretrained
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.weights.sources import matterport, mmdet, torchvision
from keras_maskrcnn.weights.sources.table import save


@pytest.fixture(autouse=True)
def all_is_logged(caplog):
    caplog.set_level(logging.INFO, "keras_maskrcnn")


@pytest.mark.parametrize("family", CONFIGS)
def test_a_local_file_of_each_family_is_loaded_without_the_cache(family, tmp_path):
    path = write(tmp_path, family)
    model = load_pretrained(preset(family), weights=path, cache_dir=tmp_path / "cache")
    assert_has(model, published_state(family), SOURCES[source_of(family)])
    assert model.config == CONFIGS[family]
    assert not (tmp_path / "cache").exists()


def test_a_missing_file_is_named(tmp_path):
    for name in ("no.pth", "no.keras"):
        with pytest.raises(FileNotFoundError, match=f"{name}: there is no such file"):
            load_pretrained(preset("torchvision"), weights=tmp_path / name)


def changed(state, change):
    state = dict(state)
    key = "backbone.fpn.layer_blocks.0.0.weight"
    if change == "missing":
        del state[key]
    elif change == "too many":
        state["extra.weight"] = np.zeros(3, "float32")
    else:
        state[key] = state[key][:-1]
    return state


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("missing", r"1 problems.*\n.*missing from the file: backbone\.fpn\.layer_blocks\.0\.0\.weight"),
        ("too many", r"1 problems.*\n.*not part of this model: extra\.weight"),
        (
            "shape",
            r"1 problems.*\n.*layer_blocks\.0\.0\.weight has shape \(31, 32, 3, 3\); the model needs \(32,",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_is_wrong(change, reason, tmp_path):
    path = write(tmp_path, "torchvision", changed(published_state("torchvision"), change))
    with pytest.raises(ValueError, match=rf"weights\.pth is not a file of tiny_torchvision\. .*{reason}"):
        load_pretrained(preset("torchvision"), weights=path)


@pytest.mark.parametrize(
    ("file", "family", "reason"),
    [
        ("detectron2", "torchvision", r"not of torchvision: no tensor is called backbone\.body\.\.\.\."),
        ("torchvision", "detectron2", r"not of detectron2: no tensor is called backbone\.bottom_up\. or"),
        ("detectron2", "mmdet", r"not of mmdet: no tensor is called roi_head\.\.\.\."),
        ("torchvision", "matterport", "not Matterport's Mask R-CNN"),
        ("torchvision", "keypoints", "has 2 classes, the published file 1: class_names must name them"),
    ],
)
def test_a_file_of_another_model_is_refused(file, family, reason, tmp_path):
    path = write(tmp_path, file)
    with pytest.raises(ValueError, match=rf"{path.name}.*{reason}"):
        load_pretrained(preset(family), weights=path)


def of_three_classes(source, config):
    return random_state(
        source.table(MaskRCNN(dataclasses.replace(config, class_names=("cat", "dog", "bird"))).network)
    )


@pytest.mark.parametrize("family", ["torchvision", "detectron2", "mmdet"])
def test_a_custom_file_of_other_classes_keeps_its_heads(family, tmp_path, caplog):
    source = SOURCES[family]
    state = of_three_classes(source, CONFIGS[family])
    path = write(tmp_path, family, state)
    with pytest.raises(ValueError, match="has 3 classes, the published file 2: class_names must name them"):
        load_pretrained(preset(family), weights=path)
    with pytest.raises(ValueError, match="has 3 classes; class_names has 2 names"):
        load_pretrained(preset(family), weights=path, class_names=["cat", "dog"])
    model = load_pretrained(preset(family), weights=path, class_names=["cat", "dog", "bird"])
    assert_has(model, state, source)
    assert model.config.class_names == ("cat", "dog", "bird")
    assert "New layers" not in caplog.text


def stated(tmp_path, state, classes):
    """A file as MMDetection writes it, which states its classes."""
    tensors = {key: whole(str(number), array) for number, (key, array) in enumerate(state.items())}
    meta = {"dataset_meta": {"classes": classes}}
    content = {"meta": meta, "state_dict": state_dict(tensors)}
    storages = {str(number): array for number, array in enumerate(state.values())}
    return write_zip(tmp_path / "epoch_12.pth", content, storages)


def test_mmdetections_files_state_their_classes(tmp_path, caplog):
    state = of_three_classes(mmdet, CONFIGS["mmdet"])
    path = stated(tmp_path, state, ("cat", "dog", "bird"))
    model = load_pretrained(preset("mmdet"), weights=path)
    assert model.config.class_names == ("cat", "dog", "bird")
    assert_has(model, state, mmdet)
    assert "New layers" not in caplog.text
    other = load_pretrained(preset("mmdet"), weights=path, class_names=["nut", "bolt", "screw"])
    assert_has(other, state, mmdet, without=CLASS_LAYERS)
    assert "New layers, to be trained: box_head/logits" in caplog.text


def test_names_that_are_not_the_files_classes_do_not_count(tmp_path):
    # a configuration of other num_classes, with the names of COCO left as they were
    state = of_three_classes(mmdet, CONFIGS["mmdet"])
    path = stated(tmp_path, state, ("circle", "square"))
    with pytest.raises(ValueError, match="has 3 classes, the published file 2: class_names must name them"):
        load_pretrained(preset("mmdet"), weights=path)
    assert_has(
        load_pretrained(preset("mmdet"), weights=path, class_names=["cat", "dog", "bird"]), state, mmdet
    )


def test_early_files_have_underscores_in_published_names(tmp_path):
    config = dataclasses.replace(CONFIGS["mmdet"], class_names=("traffic light", "square"))
    path = stated(tmp_path, published_state("mmdet"), ("traffic_light", "square"))
    row = dataclasses.replace(preset("mmdet"), config=config)
    assert load_pretrained(row, weights=path).config == config


def test_matterports_classes_need_no_names_and_its_depth_is_found(tmp_path):
    state = of_three_classes(matterport, CONFIGS["matterport"])
    path = write(tmp_path, "matterport", state)
    deeper = dataclasses.replace(
        preset("matterport"), config=dataclasses.replace(CONFIGS["matterport"], depth=101)
    )
    model = load_pretrained(deeper, weights=path)
    assert model.config == dataclasses.replace(
        CONFIGS["matterport"], class_names=("class 1", "class 2", "class 3")
    )
    assert_has(model, state, matterport)
    named = load_pretrained(deeper, weights=path, class_names=["cat", "dog", "bird"])
    assert_has(named, state, matterport)


def test_custom_keypoints_are_named_or_new(tmp_path, caplog):
    path = write(tmp_path, "keypoints")
    other = ("left hand", "right hand", "left foot", "right foot")
    model = load_pretrained(preset("keypoints"), weights=path, keypoint_names=other)
    assert "New layers, to be trained: keypoint_head/logits." in caplog.text
    custom = write(tmp_path, "keypoints", save(torchvision.table(model.network)), "custom")
    with pytest.raises(ValueError, match="has 4 keypoints, the published file 3: keypoint_names must name"):
        load_pretrained(preset("keypoints"), weights=custom)
    kept = load_pretrained(preset("keypoints"), weights=custom, keypoint_names=other)
    np.testing.assert_array_equal(kept.keypoint_head.logits.bias, model.keypoint_head.logits.bias)


def test_names_of_2019_are_known(tmp_path):
    state = {
        key.replace("rpn.head.conv.0.0.", "rpn.head.conv."): array
        for key, array in published_state("torchvision").items()
    }
    model = load_pretrained(preset("torchvision"), weights=write(tmp_path, "torchvision", state))
    assert_has(model, published_state("torchvision"))


def test_a_keras_file_is_taken_as_it_is_or_with_changes(tmp_path, caplog):
    custom = MaskRCNN(tiny(**FROZEN, class_names=("cat",), score_threshold=0.3))
    custom.save(tmp_path / "custom.keras")
    state = save(torchvision.table(custom.network))
    same = load_pretrained(preset("torchvision"), weights=tmp_path / "custom.keras")
    assert same.config == custom.config
    assert_has(same, state)
    assert "New layers" not in caplog.text
    other = load_pretrained(
        preset("torchvision"), weights=tmp_path / "custom.keras", class_names=["dog"], max_detections=3
    )
    assert (other.config.class_names, other.config.max_detections) == (("dog",), 3)
    assert other.config.score_threshold == 0.3
    assert_has(other, state, without=CLASS_LAYERS)
    assert "New layers, to be trained: box_head/logits" in caplog.text
    with pytest.raises(
        ValueError, match=r"custom\.keras is not a file of tiny_keypoints: its mask_head is 'fcn'"
    ):
        load_pretrained(preset("keypoints"), weights=tmp_path / "custom.keras")
