"""The blocks of the README and the guides run as pasted, in order; the site has all names and pages."""

import re
import shutil

import docs_folder
import pytest
from examples_in_docs import blocks, run_page
from places import ROOT

import keras_maskrcnn as km
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.presets import PRESETS

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.glob("*.md") if blocks(page.read_text("utf-8")))]
SLOW = {"train.md"}
"""Pages that train again and again."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with whatever the pages name, Keras' folder with published files, and the rows of these."""
    root = tmp_path_factory.mktemp("docs")
    (root / "folder").mkdir()
    docs_folder.fill(root / "folder", root / "scratch")
    rows = docs_folder.small_presets(root / "keras" / "keras_maskrcnn")
    return root / "folder", root / "keras", rows


@pytest.fixture
def readers_folder(prepared, tmp_path, monkeypatch):
    """A copy of that folder; models are small in the test."""
    folder, keras_home, rows = prepared
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    monkeypatch.setattr(Config.__init__, "__defaults__", docs_folder.small_defaults())
    for name, row in rows.items():
        monkeypatch.setitem(PRESETS, name, row)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (page.name in SLOW)) for page in PAGES],
    ids=lambda page: page.name,
)
def test_the_blocks_of_a_page_run_as_pasted_in_order(page, readers_folder):
    run_page(page, readers_folder)


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
