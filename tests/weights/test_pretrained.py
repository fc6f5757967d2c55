"""Published weights by name, with randomly generated files on a server on this machine."""

import dataclasses
import functools
import io
import logging
import shutil

import keras
import numpy as np
import pytest
from file_server import closed_url, serving
from names import random_state
from published import CLASS_LAYERS, assert_has, model_of, preset, published_state, write

from keras_maskrcnn.models.load import load_pretrained
from keras_maskrcnn.weights.files.write import write_pth
from keras_maskrcnn.weights.sources import torchvision
from keras_maskrcnn.weights.sources.table import save


@pytest.fixture(autouse=True)
def all_is_logged(caplog):
    caplog.set_level(logging.INFO, "keras_maskrcnn")


@functools.cache
def published_file(family, folder):
    return write(folder, family).read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def published(folder):
    """A preset of the tiny torchvision model, and the server that has its file."""
    data = published_file("torchvision", folder)
    with serving({"/weights.pth": data}) as server:
        yield preset("torchvision", f"{server.url}/weights.pth", data), server


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_model_is_downloaded_converted_once_and_used_offline(published, tmp_path, capsys):
    row, server = published
    assert_has(load_pretrained(row, cache_dir=tmp_path), published_state("torchvision"))
    assert "Downloading data from" in capsys.readouterr().out
    (converted,) = tmp_path.glob("*.npz")
    assert names(tmp_path) == sorted([converted.name, "weights.pth"])

    offline = dataclasses.replace(row, url=closed_url())
    assert_has(load_pretrained(offline, cache_dir=tmp_path), published_state("torchvision"))
    (tmp_path / "weights.pth").unlink()
    assert_has(load_pretrained(offline, cache_dir=tmp_path), published_state("torchvision"))
    assert capsys.readouterr().out == "" and server.requests == ["/weights.pth"]


def test_the_cache_is_a_folder_of_keras(published, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    load_pretrained(published[0])
    assert (tmp_path / "keras_maskrcnn" / "weights.pth").exists()


def test_a_downloaded_file_that_is_there_is_enough(published, tmp_path):
    row, server = published
    (tmp_path / "weights.pth").write_bytes(server.content["/weights.pth"])
    offline = dataclasses.replace(row, url=closed_url())
    assert_has(load_pretrained(offline, cache_dir=tmp_path), published_state("torchvision"))


@pytest.fixture(scope="module")
def cache(folder, tmp_path_factory):
    """A folder with the published file and what it was converted to."""
    cache = tmp_path_factory.mktemp("cache")
    data = published_file("torchvision", folder)
    (cache / "weights.pth").write_bytes(data)
    load_pretrained(preset("torchvision", closed_url(), data), cache_dir=cache)
    return cache


@pytest.mark.parametrize("damage", ["a bit", "cut off", "another model"])
def test_a_damaged_converted_file_is_made_again(damage, published, cache, tmp_path, caplog):
    row, _ = published
    shutil.copytree(cache, tmp_path, dirs_exist_ok=True)
    (converted,) = tmp_path.glob("*.npz")
    whole = converted.read_bytes()
    data = bytearray(whole)
    if damage == "a bit":
        data[len(data) // 2] ^= 1
    elif damage == "cut off":
        del data[len(data) // 2 :]
    else:
        content = io.BytesIO()
        np.savez(content, other=np.ones(3))
        data = content.getvalue()
    converted.write_bytes(data)
    assert_has(load_pretrained(row, cache_dir=tmp_path), published_state("torchvision"))
    assert f"{converted} is damaged" in caplog.text
    assert names(tmp_path) == sorted([converted.name, "weights.pth"])
    assert len(converted.read_bytes()) == len(whole)


def test_another_file_than_the_published_one_leaves_nothing(published, tmp_path):
    row, _ = published
    with pytest.raises(ValueError, match=r"the download was removed.*its sha256 begins with"):
        load_pretrained(dataclasses.replace(row, hash="sha256:00000000"), cache_dir=tmp_path)
    assert names(tmp_path) == []


def test_without_a_hash_what_cannot_be_read_is_removed(tmp_path):
    with serving({"/weights.h5": b"<!DOCTYPE html><html>Sign in"}) as server:
        row = preset("matterport", f"{server.url}/weights.h5")
        with pytest.raises(ValueError, match=r"the download was removed.*web page"):
            load_pretrained(row, cache_dir=tmp_path)
    assert names(tmp_path) == []


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path):
    with pytest.raises(ConnectionError, match=r"put it at .*weights\.pth"):
        load_pretrained(preset("torchvision", closed_url()), cache_dir=tmp_path)
    assert names(tmp_path) == []


def test_with_other_classes_their_layers_are_new_and_it_says_which(published, tmp_path, caplog):
    model = load_pretrained(published[0], class_names=["cat", "dog", "bird"], cache_dir=tmp_path)
    assert model.config.class_names == ("cat", "dog", "bird")
    assert_has(model, published_state("torchvision"), without=CLASS_LAYERS)
    assert f"New layers, to be trained: {', '.join(CLASS_LAYERS)}. All others are from" in caplog.text
    assert names(tmp_path) == ["weights.pth"]


def test_with_as_many_other_classes_they_are_new_too(published, tmp_path, caplog):
    model = load_pretrained(published[0], class_names=["cat", "dog"], cache_dir=tmp_path)
    bias = model.box_heads[0].logits.bias.numpy()
    assert (bias != published_state("torchvision")["roi_heads.box_predictor.cls_score.bias"]).any()
    assert "New layers" in caplog.text


def test_other_fields_of_the_config_are_set(published, tmp_path, caplog):
    row, _ = published
    model = load_pretrained(row, cache_dir=tmp_path, score_threshold=0.5, frozen_stages=5)
    assert model.config == dataclasses.replace(row.config, score_threshold=0.5, frozen_stages=5)
    assert_has(model, published_state("torchvision"))
    assert "New layers" not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"scores": 0.5}, "Config has no field 'scores'; nearest: "),
        ({"norm": "best"}, "Config.norm must be one of"),
        ({"class_names": ["cat", "cat"]}, "class_names holds cat more than once"),
        ({"class_names": "cat"}, "class_names must be a non-empty sequence of strings"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_downloaded(arguments, reason, published, tmp_path):
    row, server = published
    with pytest.raises(ValueError, match=reason):
        load_pretrained(row, cache_dir=tmp_path, **arguments)
    assert server.requests == []


def test_a_change_of_the_network_is_refused_with_what_does_not_fit(published, tmp_path):
    with pytest.raises(
        ValueError, match=r"not a file of tiny_torchvision[\s\S]*not part of this model: roi_heads\.mask"
    ):
        load_pretrained(published[0], cache_dir=tmp_path, mask_head="none")
    assert names(tmp_path) == ["weights.pth"]


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(ValueError, match="nearest: maskrcnn_resnet50_fpn_coco"):
        load_pretrained("maskrcnn_resnet50_fpn")


def backbone_file(folder):
    """A classifier's file and its tensors."""
    model = model_of("torchvision")
    state = random_state(torchvision.resnet(model.backbone.stem, model.backbone.stages, ""), seed=3)
    write_pth(folder / "resnet18.pth", {**state, "fc.weight": np.zeros((10, 512), "float32")})
    return folder / "resnet18.pth", state


def test_of_a_backbone_all_but_the_backbone_is_new(tmp_path, caplog):
    path, state = backbone_file(tmp_path)
    with serving({"/resnet18.pth": path.read_bytes()}) as server:
        row = preset("torchvision", f"{server.url}/resnet18.pth", dataset="ImageNet")
        with pytest.raises(ValueError, match="is a backbone: class_names must say"):
            load_pretrained(row, cache_dir=tmp_path / "cache")
        model = load_pretrained(row, class_names=["cat"], cache_dir=tmp_path / "cache", mask_head="none")
    assert model.config.class_names == ("cat",) and model.mask_head is None
    for entry in torchvision.resnet(model.backbone.stem, model.backbone.stages, ""):
        np.testing.assert_array_equal(save([entry])[entry.key], state[entry.key])
    assert "New layers, to be trained: fpn, rpn_head, box_head." in caplog.text
    assert names(tmp_path / "cache") == ["resnet18.pth"]
    with pytest.raises(ValueError, match="not a file of tiny_torchvision"):
        load_pretrained(row, weights=write(tmp_path, "torchvision"), class_names=["cat"])


def test_a_model_of_lower_precision_is_not_what_is_kept(published, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        load_pretrained(published[0], cache_dir=tmp_path)
    finally:
        keras.config.set_dtype_policy(before)
    assert names(tmp_path) == ["weights.pth"]
