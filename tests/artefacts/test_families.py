"""Published models, with the weights of the kits, in every format: the table of docs/export.md. It takes an hour.

python -m pytest tests/artefacts/test_families.py -m slow -s
"""

import re
from pathlib import Path

import pytest
from exported import PATHS, any_model, exported, need, photo
from families import FIELDS, KITS, model_of
from parity import PHOTOS

from keras_maskrcnn.artefacts.export import export
from keras_maskrcnn.runtime import ExportedModel

DOCS = Path(__file__).resolve().parents[2] / "docs" / "export.md"


@pytest.fixture(scope="module")
def table():
    """The rows of the docs' table: {family: {format: status}}."""
    text = DOCS.read_text("utf-8")
    head = re.search(r"^\| family \|(.+)\|$", text, re.MULTILINE)
    formats = [name.strip() for name in head[1].split("|")]
    rows = {}
    for line in text[head.end() :].strip().splitlines()[1:]:
        if not line.startswith("|"):
            break
        family, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[family] = dict(zip(formats, cells, strict=True))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("format", PATHS)
@pytest.mark.parametrize("family", [*KITS, *FIELDS])
def test_a_family_is_equal_in_a_format_or_refused_as_the_docs_say(family, format, table, tmp_path):
    need(format)
    model = model_of(family)
    photos = sorted(PHOTOS.glob("*.jpg"))[:3]
    said = table[family][format]
    try:
        report = export(model, tmp_path / PATHS[format], format, images=photos)
    except ValueError as error:
        assert said.startswith("refused"), error
        print(f"{family} | {format} | refused: {error}")
        return
    print(f"{family} | {format} | {report}")
    found = report.comparison
    assert said.startswith("equal") and found.share >= 0.99 and found.compared > 100
    # Soft NMS makes scores of overlaps, many of them for one detection: boxes' last digits are in each.
    assert found.score_difference < (1e-3 if family == "soft NMS" else 1e-4) and found.box_difference < 1e-1


def test_the_docs_table_has_every_family(table):
    assert set(table) == {*KITS, *FIELDS}
    assert all(set(row) == set(PATHS) for row in table.values())


@pytest.mark.slow
@pytest.mark.parametrize("format", PATHS)
def test_nothing_is_found_where_no_score_is_high_enough(format, tmp_path):
    _, path, report = exported(format, tmp_path, any_model(score_threshold=0.9))
    assert report.comparison.compared == 0 and "Nothing was detected" in str(report)
    (found,) = ExportedModel(path).detect(photo())
    assert len(found) == 0 and found.masks.shape == (0, 70, 90)
