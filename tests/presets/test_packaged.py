"""The models that come with the package."""

import dataclasses

import numpy as np
import pytest

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.evaluation.instance_matching import score_label_images
from keras_maskrcnn.models.load import load_pretrained
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.utils.files import file_hash
from keras_maskrcnn.weights.files.read import read_config
from keras_maskrcnn.weights.files.write import write_half
from keras_maskrcnn.weights.sources import own
from keras_maskrcnn.weights.sources.table import save
from samples import sample

draw_cells = sample("nuclei/cells.py").draw_cells

NUCLEI = PRESETS["nuclei_resnet18_fpn"]


@pytest.fixture(scope="module")
def model():
    return load_pretrained("nuclei_resnet18_fpn")


def test_every_packaged_file_is_small_and_has_its_card_and_its_rows_config():
    rows = [row for row in PRESETS.values() if not row.url]
    assert NUCLEI in rows
    for row in rows:
        assert row.packaged_file.stat().st_size < 16 * 2**20
        assert Config.from_json(read_config(row.packaged_file)) == row.config
        assert row.hash == f"sha256:{file_hash(row.packaged_file, 'sha256')[:8]}"
        for heading in ("Data", "Licence", "Recipe", "Scores", "Not for"):
            assert f"\n## {heading}\n" in row.card


def test_the_model_of_nuclei_is_that_of_the_sample():
    assert NUCLEI.config == sample("nuclei/train.py").CONFIG


def test_nothing_is_downloaded_or_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert load_pretrained("nuclei_resnet18_fpn", score_threshold=0.9).config.score_threshold == 0.9
    assert not list(tmp_path.iterdir()) and capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", ["uint8", "uint16", "rgb"])
def test_it_finds_drawn_cells(kind, model):
    image, labels = draw_cells(160, 200, 30, seed=1, brightest=65535 if kind == "uint16" else 255)
    pixels = np.stack([image] * 3, axis=2) if kind == "rgb" else image
    (found,) = model.detect(pixels, score_threshold=0.5)
    assert score_label_images(labels, found.to_label_image(min_score=0.5)).accuracy[0] >= 0.9


def test_other_classes_get_new_layers_and_keep_the_rest(model):
    tuned = load_pretrained("nuclei_resnet18_fpn", class_names=["live", "dead"])
    assert tuned.config.num_classes == 2
    np.testing.assert_array_equal(tuned.backbone.weights[0].numpy(), model.backbone.weights[0].numpy())
    assert tuned.count_params() > model.count_params()


def small(**fields):
    return Config(
        **{"class_names": ("a", "b"), "depth": 18, "stem_channels": 8, "fpn_channels": 16, **fields},
        box_head_channels=16, mask_head_channels=8,
    )  # fmt: skip


def test_an_own_file_of_other_classes_tells_them_itself(small_own_file):
    path, written = small_own_file
    row = Preset("small", small(class_names=("one", "two", "three")), source="keras_maskrcnn", url="")
    model = load_pretrained(row, weights=path)
    assert model.config.class_names == ("a", "b")
    half = written.weights[0].numpy().astype(np.float16)
    np.testing.assert_array_equal(model.weights[0].numpy(), half)


@pytest.fixture(scope="module")
def small_own_file(tmp_path_factory):
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN

    model = MaskRCNN(small())
    path = tmp_path_factory.mktemp("own") / "small.safetensors"
    write_half(path, save(own.table(model.network)), model.config.to_json())
    return path, model


def test_an_own_file_of_another_network_is_refused(small_own_file):
    row = Preset("small", small(fpn_channels=32), source="keras_maskrcnn", url="")
    with pytest.raises(ValueError, match=r"its fpn_channels is 16, and 32 there"):
        load_pretrained(row, weights=small_own_file[0])


def test_a_file_without_a_config_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"backbone/x": np.zeros(3, np.float32)}, tmp_path / "bare.safetensors")
    with pytest.raises(ValueError, match=r"bare\.safetensors has no Config in its metadata"):
        load_pretrained(NUCLEI, weights=tmp_path / "bare.safetensors")


def test_a_row_without_url_and_file_is_refused():
    with pytest.raises(ValueError, match="elsewhere has no url and does not come with this package"):
        load_pretrained(dataclasses.replace(NUCLEI, name="elsewhere"))
