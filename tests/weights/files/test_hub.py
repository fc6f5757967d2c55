"""Models published on the Hugging Face Hub, and fetched from it: a server on this machine stands in."""

import os
import subprocess
import sys

import hub_server
import keras
import numpy as np
import pytest
from examples_in_docs import blocks
from places import ROOT
from small_model import small_model

from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.weights.files.hub import fetch, is_on_hub

PAGE = ROOT / "docs" / "experiments.md"
PROGRAM = """
import sys
import keras
import keras_maskrcnn as km
import numpy as np
from keras_maskrcnn.config.config import Config

{recipe}
model.save("hf://your-name/parts")  # the card stays
for other in (km.load_model("hf://your-name/parts"), keras.saving.load_model("hf://your-name/parts")):
    assert type(other) is km.MaskRCNN and other.config == model.config
    for found, wanted in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(found, wanted)
for name in ("hf://your-name/nothing", "hf://your-name/other", "hf://parts"):
    try:
        km.load_model(name)
    except (ConnectionError, ValueError) as error:
        print(type(error).__name__, str(error).splitlines()[0])
"""


def test_what_is_published_comes_back_and_has_its_card(tmp_path):
    pytest.importorskip("huggingface_hub")
    (recipe,) = [block.code for block in blocks(PAGE.read_text("utf-8")) if "hf://" in block.code]
    small_model(class_names=("bolt", "nut")).save(tmp_path / "best.keras")
    with hub_server.serving() as hub:
        hub.models["your-name/other"] = {"README.md": b"# Another kind of model"}
        # The address is read when the Hub's library is imported.
        variables = {
            "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_none",
            "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(recipe=recipe)],
            env=os.environ | variables, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    published = hub.models["your-name/parts"]
    assert {"config.json", "metadata.json", "model.weights.h5", "README.md"} <= set(published)
    card = published["README.md"].decode()
    assert "library_name: keras\n" in card and "license: apache-2.0\n" in card
    assert "objects of 2 classes in images: bolt, nut." in card
    assert 'model = km.load_model("hf://your-name/parts")' in card and "mask AP 0.61" in card
    missing, other, short = done.stdout.splitlines()[-3:]
    assert missing.startswith("ConnectionError hf://your-name/nothing: the model cannot be fetched: ")
    assert other.startswith("ValueError hf://your-name/other: there is no config.json")
    assert short == "ValueError hf://parts: a model of the Hugging Face Hub is named hf://NAME/MODEL"


def test_only_the_parts_of_a_model_are_asked_of_the_hub(monkeypatch, tmp_path):
    model = small_model()
    model.save(tmp_path / "parts", zipped=False)
    asked = []

    class Library:
        """What is used of huggingface_hub."""

        @staticmethod
        def snapshot_download(repository, **options):
            asked.append((repository, options))
            return str(tmp_path / "parts")

    monkeypatch.setitem(sys.modules, "huggingface_hub", Library)
    loaded = load_model("hf://some/model")
    for found, wanted in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(found, wanted)
    patterns = ["config.json", "metadata.json", "model.weights.*", "assets/*"]
    assert asked == [("some/model", {"library_name": "keras", "allow_patterns": patterns})]


def test_without_the_hubs_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"hf://a/b needs huggingface_hub: pip install .*\[hub\]"):
        fetch("hf://a/b")


def test_a_folder_of_another_model_is_refused_before_it_is_made(tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save(tmp_path / "parts", zipped=False)
    with pytest.raises(ValueError, match="this is a Sequential, not a MaskRCNN"):
        load_model(tmp_path / "parts")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match=r"nothing: the file is damaged, or no \.keras file"):
        load_model(tmp_path / "nothing")


def test_files_are_no_models_of_the_hub(tmp_path):
    assert is_on_hub("hf://a/b") and not is_on_hub("a.keras") and not is_on_hub(tmp_path)
