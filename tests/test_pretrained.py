"""Published weights by name, with made-up files on a server on this machine."""

import dataclasses
import functools
import hashlib
import io
import shutil

import h5py
import keras
import numpy as np
import pytest
from examples import tiny
from file_server import closed_url, serving
from names import random_state

from keras_maskrcnn.model import MaskRCNN
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.pretrained import load_pretrained
from keras_maskrcnn.weights import detectron2, matterport, torchvision
from keras_maskrcnn.weights.table import save
from keras_maskrcnn.weights.writers import write_pkl, write_pth

FROZEN = {"norm": "frozen_batch_norm"}
POINTS = {
    "class_names": ("person",),
    "mask_head": "none",
    "keypoint_names": ("left hand", "right hand", "nose"),
}
MATTERPORT = {
    "depth": 50,
    "head_norm": "frozen_batch_norm",
    "conv_bias": True,
    "rpn_channels": 32,
    "rpn_softmax": True,
    "box_fc_norm": True,
}
CONFIGS = {
    "torchvision": tiny(**FROZEN),
    "detectron2": tiny(**FROZEN, background_outputs=False),
    "keypoints": tiny(**FROZEN, **POINTS, keypoint_head_channels=32, keypoint_convs=2),
    "matterport": tiny(**FROZEN, **MATTERPORT),
}
SOURCES = {"torchvision": torchvision, "detectron2": detectron2, "matterport": matterport}
ENDINGS = {"torchvision": ".pth", "detectron2": ".pkl", "matterport": ".h5"}
CLASS_LAYERS = ("box_head/logits", "box_head/deltas", "mask_head/logits")


def source_of(family):
    return "torchvision" if family == "keypoints" else family


@functools.cache
def model_of(family):
    """A model with the weights of `published_state`."""
    return MaskRCNN(CONFIGS[family])


@functools.cache
def published_state(family):
    return random_state(SOURCES[source_of(family)].table(model_of(family)))


def write_h5(path, state):
    with h5py.File(path, "w") as file:
        for name, array in state.items():
            file[name] = array


def write(folder, family, state=None, name="weights"):
    """Write a file of the family, as its framework would; return its path."""
    source = source_of(family)
    path = folder / f"{name}{ENDINGS[source]}"
    writer = {"torchvision": write_pth, "detectron2": write_pkl, "matterport": write_h5}[source]
    writer(path, published_state(family) if state is None else state)
    return path


@functools.cache
def published_file(family, folder):
    return write(folder, family).read_bytes()


def preset(family, url="https://nowhere.invalid/weights", data=b"", **changes):
    source = source_of(family)
    row = Preset(f"tiny_{family}", CONFIGS[family], source, url, **changes)
    return dataclasses.replace(row, hash=f"sha256:{hashlib.sha256(data).hexdigest()[:8]}") if data else row


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


def assert_has(model, state, source=torchvision, without=()):
    """The model has the tensors of `state`, but for those of layers whose names begin so."""
    found = {
        entry.key: save([entry])[entry.key]
        for entry in source.table(model)
        if not entry.variable.path.startswith(tuple(without))
    }
    assert len(found) > 50
    for key, array in found.items():
        np.testing.assert_array_equal(array, state[key], err_msg=key)


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
def test_a_damaged_converted_file_is_made_again(damage, published, cache, tmp_path, capsys):
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
    assert f"{converted} is damaged" in capsys.readouterr().out
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


def test_with_other_classes_their_layers_are_new_and_it_says_which(published, tmp_path, capsys):
    model = load_pretrained(published[0], class_names=["cat", "dog", "bird"], cache_dir=tmp_path)
    assert model.config.class_names == ("cat", "dog", "bird")
    assert_has(model, published_state("torchvision"), without=CLASS_LAYERS)
    shown = capsys.readouterr().out
    assert f"New layers, to be trained: {', '.join(CLASS_LAYERS)}. All others are from" in shown
    assert names(tmp_path) == ["weights.pth"]


def test_with_as_many_other_classes_they_are_new_too(published, tmp_path, capsys):
    model = load_pretrained(published[0], class_names=["cat", "dog"], cache_dir=tmp_path)
    bias = model.box_heads[0].logits.bias.numpy()
    assert (bias != published_state("torchvision")["roi_heads.box_predictor.cls_score.bias"]).any()
    assert "New layers" in capsys.readouterr().out


def test_other_fields_of_the_config_are_set(published, tmp_path, capsys):
    row, _ = published
    model = load_pretrained(row, cache_dir=tmp_path, score_threshold=0.5, frozen_stages=5)
    assert model.config == dataclasses.replace(row.config, score_threshold=0.5, frozen_stages=5)
    assert_has(model, published_state("torchvision"))
    assert "New layers" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"scores": 0.5}, "Unknown Config fields: scores"),
        ({"norm": "best"}, "Config.norm must be one of"),
        ({"class_names": ["cat", "cat"]}, "class_names holds cat more than once"),
        ({"class_names": "cat"}, "class_names must be a sequence"),
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


@pytest.mark.parametrize("family", CONFIGS)
def test_a_local_file_of_each_family_is_loaded_without_the_cache(family, folder, tmp_path):
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
        source.table(MaskRCNN(dataclasses.replace(config, class_names=("cat", "dog", "bird"))))
    )


@pytest.mark.parametrize("family", ["torchvision", "detectron2"])
def test_ones_own_file_of_other_classes_keeps_its_heads(family, tmp_path, capsys):
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
    assert "New layers" not in capsys.readouterr().out


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


def test_ones_own_keypoints_are_named_or_new(tmp_path, capsys):
    path = write(tmp_path, "keypoints")
    other = ("left hand", "right hand", "left foot", "right foot")
    model = load_pretrained(preset("keypoints"), weights=path, keypoint_names=other)
    assert "New layers, to be trained: keypoint_head/logits." in capsys.readouterr().out
    own = write(tmp_path, "keypoints", save(torchvision.table(model)), "own")
    with pytest.raises(ValueError, match="has 4 keypoints, the published file 3: keypoint_names must name"):
        load_pretrained(preset("keypoints"), weights=own)
    kept = load_pretrained(preset("keypoints"), weights=own, keypoint_names=other)
    np.testing.assert_array_equal(kept.keypoint_head.logits.bias, model.keypoint_head.logits.bias)


def test_names_of_2019_are_known(tmp_path):
    state = {
        key.replace("rpn.head.conv.0.0.", "rpn.head.conv."): array
        for key, array in published_state("torchvision").items()
    }
    model = load_pretrained(preset("torchvision"), weights=write(tmp_path, "torchvision", state))
    assert_has(model, published_state("torchvision"))


def test_a_keras_file_is_taken_as_it_is_or_with_changes(tmp_path, capsys):
    own = MaskRCNN(tiny(**FROZEN, class_names=("cat",), score_threshold=0.3))
    own.save(tmp_path / "own.keras")
    state = save(torchvision.table(own))
    same = load_pretrained(preset("torchvision"), weights=tmp_path / "own.keras")
    assert same.config == own.config
    assert_has(same, state)
    assert "New layers" not in capsys.readouterr().out
    other = load_pretrained(
        preset("torchvision"), weights=tmp_path / "own.keras", class_names=["dog"], max_detections=3
    )
    assert (other.config.class_names, other.config.max_detections) == (("dog",), 3)
    assert other.config.score_threshold == 0.3
    assert_has(other, state, without=CLASS_LAYERS)
    assert "New layers, to be trained: box_head/logits" in capsys.readouterr().out
    with pytest.raises(
        ValueError, match=r"own\.keras is not a file of tiny_keypoints: its mask_head is 'fcn'"
    ):
        load_pretrained(preset("keypoints"), weights=tmp_path / "own.keras")


def backbone_file(folder):
    """A classifier's file and its tensors."""
    model = model_of("torchvision")
    state = random_state(torchvision.resnet(model.backbone.stem, model.backbone.stages, ""), seed=3)
    write_pth(folder / "resnet18.pth", {**state, "fc.weight": np.zeros((10, 512), "float32")})
    return folder / "resnet18.pth", state


def test_of_a_backbone_all_but_the_backbone_is_new(tmp_path, capsys):
    path, state = backbone_file(tmp_path)
    with serving({"/resnet18.pth": path.read_bytes()}) as server:
        row = preset("torchvision", f"{server.url}/resnet18.pth", dataset="ImageNet")
        with pytest.raises(ValueError, match="is a backbone: class_names must say"):
            load_pretrained(row, cache_dir=tmp_path / "cache")
        model = load_pretrained(row, class_names=["cat"], cache_dir=tmp_path / "cache", mask_head="none")
    assert model.config.class_names == ("cat",) and model.mask_head is None
    for entry in torchvision.resnet(model.backbone.stem, model.backbone.stages, ""):
        np.testing.assert_array_equal(save([entry])[entry.key], state[entry.key])
    assert "New layers, to be trained: fpn, rpn_head, box_head." in capsys.readouterr().out
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
