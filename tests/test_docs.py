"""The blocks of the README and the guides run as pasted, in order; the site has all names and pages."""

import re
import shutil

import docs_folder
import films
import made_images
import published
import pytest
from examples_in_docs import blocks, run_page
from places import ROOT

import keras_maskrcnn as km
from keras_maskrcnn.cli.run_folder import DEFAULTS
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets import PRESETS

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.glob("*.md") if blocks(page.read_text("utf-8")))]
SLOW = {"distribute.md", "evaluate.md", "export.md", "label-tools.md", "train.md"}
"""Pages of which the README runs the main part, or that train again and again."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with the images and annotations that pages name, and a folder for Keras."""
    root = tmp_path_factory.mktemp("docs")
    for name in ("folder", "keras/keras_maskrcnn"):
        (root / name).mkdir(parents=True)
    docs_folder.fill(root / "folder", root / "scratch")
    return root / "folder", root / "keras"


@pytest.fixture
def readers_folder(prepared, page, tmp_path, monkeypatch):
    """A copy of that folder, with the models that the page names; models are small in the test, and trainings short."""
    folder, keras_home = prepared
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    text = page.read_text("utf-8")
    for name in docs_folder.PUBLISHED:
        if f'"{name}"' in text or f" {name} " in text:
            row = docs_folder.small_preset(name, keras_home / "keras_maskrcnn")
            monkeypatch.setitem(PRESETS, name, row)
    if "mine.h5" in text:
        published.write(tmp_path, "matterport", name="mine")
    if "film.mp4" in text:
        for package in ("av", "trackers"):
            pytest.importorskip(package, exc_type=ImportError)
        films.write_film(tmp_path / "film.mp4", frames=4, sound=0.4)
    if "epoch_12.pth" in text:
        docs_folder.write_mmdet_checkpoint(tmp_path / "epoch_12.pth")
    if "best.keras" in text:
        docs_folder.small_model(tuple(made_images.CLASSES)).save(tmp_path / "best.keras")
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    monkeypatch.setattr(Config.__init__, "__defaults__", docs_folder.small_defaults())
    monkeypatch.setitem(DEFAULTS, "epochs", 2)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (page.name in SLOW)) for page in PAGES],
    ids=lambda page: page.name,
)
def test_the_blocks_of_a_page_run_as_pasted_in_order(page, readers_folder, untraced):
    to_run = [block.line for block in blocks(page.read_text("utf-8")) if not block.not_run]
    assert run_page(page, readers_folder) == to_run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_of_a_page_is_passed_over(page):
    text = page.read_text("utf-8")
    assert text.count("```") == 2 * len(blocks(text))  # each is Python, Bash or YAML
    assert all(block.not_run for block in blocks(text) if block.language == "yaml")


def test_the_readme_is_short_and_begins_with_fine_tuning():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 150
    recipes = re.findall(r"^### \d\. (.+)$", text, re.MULTILINE)
    assert len(recipes) == 5 and recipes[0].startswith("Fine-tune published weights")


def test_the_reference_has_every_public_name_once():
    shown = [
        name
        for page in (DOCS / "reference").glob("*.md")
        for name in re.findall(r"^::: keras_maskrcnn\.api\.(\w+)$", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert sorted(shown) == sorted(km.__all__)


def test_links_of_the_readme_and_contributing_lead_to_files():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert link.startswith("https://") or (ROOT / link).exists(), link
