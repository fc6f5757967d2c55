"""Run notebooks from top to bottom, without Jupyter, and write each with its outputs as a page for a browser.

    cd samples/notebooks && python run.py 4_inspect_data.ipynb    # then open runs/4_inspect_data.html

With --write the outputs are put into the notebooks themselves too.

The environment variable NOTEBOOK_SMALL=1 makes them quick: a few steps on a few images, and no download.
"""

import argparse
import base64
import contextlib
import io
import json
import re
import sys
from pathlib import Path

from matplotlib.figure import Figure
from page import notebook_page

PROGRESS = re.compile("[^\n]*[\r\b]+(?=[^\n])")
"""What a progress bar writes over."""

LONGEST = 360
"""Side in pixels to which images are shrunk, so that notebooks stay small."""


def run_notebook(path):
    """Run the code cells of a notebook in one namespace.

    Returns:
        The notebook with the cells' outputs: what they printed, and images and plots that they gave to `display`.
    """
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    names = {"__name__": "__main__"}
    count = 0
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        count += 1
        cell["outputs"], cell["execution_count"] = [], count
        code = compile("".join(cell["source"]), f"{Path(path).name}, cell {number}", "exec")
        printed = io.StringIO()
        names["display"] = lambda *shown, to=cell["outputs"], text=printed: _display(shown, to, text)
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        _flush(printed, cell["outputs"])
    return notebook


def _display(shown, outputs, printed):
    _flush(printed, outputs)
    for one in shown:
        encoded = io.BytesIO()
        if isinstance(one, Figure):
            kind = "image/png"
            one.savefig(encoded, dpi=60, format="png")
        else:
            kind = "image/jpeg"
            small = one.convert("RGB")
            small.thumbnail((LONGEST, LONGEST))
            small.save(encoded, "JPEG", quality=50)
        content = base64.b64encode(encoded.getvalue()).decode("ascii")
        outputs.append({"output_type": "display_data", "data": {kind: content}, "metadata": {}})


def _flush(printed, outputs):
    text = PROGRESS.sub("", printed.getvalue())
    printed.seek(0)
    printed.truncate()
    if text:
        lines = text.splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="put the outputs into the notebooks too")
    options = parser.parse_args()
    for path in options.notebooks:
        sys.path.insert(0, str(path.resolve().parent))  # as Jupyter does, for the modules beside it
        notebook = run_notebook(path)
        page = Path("runs") / f"{path.stem}.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text(notebook_page(notebook, path.stem), encoding="utf-8")
        written = f"{path}: ran; its outputs are in {page.resolve()}"
        if options.write:
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            written += " and in the notebook"
        print(written, flush=True)


if __name__ == "__main__":
    main()
