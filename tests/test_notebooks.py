"""The notebooks in samples, run from top to bottom with small settings and without a network."""

import base64
import io
import json
import sys
import traceback

import pytest
from PIL import Image
from places import ROOT

NOTEBOOKS = sorted((ROOT / "samples").glob("*/*.ipynb"))
SLOW = {"nuclei"}
"""Notebooks that train as a script of their folder does, which is run always."""
sys.path.append(str(ROOT / "samples" / "notebooks"))
from page import notebook_page  # noqa: E402
from run import main, run_notebook  # noqa: E402

from samples import neighbours  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all: the model that one notebook has trained is looked into by others."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in SLOW)) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_notebook_runs_and_shows_something(path, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NOTEBOOK_SMALL", "1")
    monkeypatch.setenv("KERAS_HOME", str(folder / "nothing_is_downloaded"))
    with neighbours(path):
        notebook = run_notebook(path)
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    images = [output["data"] for output in outputs if output["output_type"] == "display_data"]
    assert any(output["output_type"] == "stream" for output in outputs)
    for data in images:
        (content,) = data.values()
        image = Image.open(io.BytesIO(base64.b64decode(content))).convert("L")
        darkest, brightest = image.getextrema()
        assert min(image.size) > 20 and brightest > darkest
    assert images
    assert not (folder / "nothing_is_downloaded").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_says_at_once_what_comes_of_it_and_is_small(path):
    first = json.loads(path.read_text())["cells"][0]
    assert first["cell_type"] == "markdown"
    assert "At the end you will" in "".join(first["source"])
    assert path.stat().st_size < 300_000


def test_a_page_shows_text_code_and_outputs():
    cells = [
        {
            "cell_type": "markdown",
            "source": ["# One & two\n", "\n", "See `x < y`, **bold**, [here](https://a.b/)."],
        },
        {
            "cell_type": "code",
            "source": ["print(1 < 2)"],
            "outputs": [
                {"output_type": "stream", "text": ["<True>\n"]},
                {"output_type": "display_data", "data": {"image/png": "aGk="}},
            ],
        },
    ]
    page = notebook_page({"cells": cells}, "title")
    assert "<h1>One &amp; two</h1>" in page and "<code>x &lt; y</code>, <b>bold</b>" in page
    assert '<a href="https://a.b/">here</a>' in page
    assert "<pre>print(1 &lt; 2)</pre>" in page and "&lt;True&gt;" in page
    assert 'src="data:image/png;base64,aGk="' in page


def test_running_says_where_the_outputs_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cells = [{"cell_type": "code", "source": ["print('hello')"]}]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(sys, "argv", ["run.py", "one.ipynb"])
    main()
    page = tmp_path / "runs" / "one.html"
    assert "hello" in page.read_text() and str(page) in capsys.readouterr().out
    assert "outputs" not in json.loads((tmp_path / "one.ipynb").read_text())["cells"][0]


def test_an_error_in_a_cell_names_the_notebook_and_the_cell(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["text"]},
        {"cell_type": "code", "source": ["print('a')\n", "1 / 0"]},
    ]
    (tmp_path / "wrong.ipynb").write_text(json.dumps({"cells": cells}))
    with pytest.raises(ZeroDivisionError) as raised:
        run_notebook(tmp_path / "wrong.ipynb")
    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (last.filename, last.lineno) == ("wrong.ipynb, cell 2", 2)
