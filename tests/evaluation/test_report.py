import csv
import re

import numpy as np
import pytest
from PIL import Image
from scenes import CAT, NAMES, found, record, scene

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.report import write_report


def test_the_report_is_one_page_with_plots_and_a_table_beside_it(tmp_path):
    page = write_report(tmp_path / "new" / "report", scene())
    assert page == tmp_path / "new" / "report" / "report.html"
    text = page.read_text()
    assert "2 images, 3 objects." in text
    assert "False positives: 4" in text and "Missed objects: 1" in text
    assert text.count("<figure>") == 5 and text.count("data:image/png") == 3
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', text))
    for name in ("precision_recall.png", "class_ap.png", "confusion.png"):
        with Image.open(page.parent / name) as image:
            assert min(image.size) > 100
    with (page.parent / "confusion.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["true / predicted", "(none)", "cat", "dog"],
        ["(none)", "0", "1", "2"],
        ["cat", "1", "1", "0"],
        ["dog", "0", "1", "0"],
    ]


def test_no_plot_of_an_earlier_report_stays(tmp_path):
    (tmp_path / "matching.png").write_bytes(b"of an earlier report, with matching")
    write_report(tmp_path, scene())
    assert not (tmp_path / "matching.png").exists()


def test_only_so_many_mistakes_are_shown_and_the_page_says_so(tmp_path):
    text = write_report(tmp_path, scene(), count=1).read_text()
    assert "False positives: 4, 1 shown" in text and "Missed objects: 1</h2>" in text
    assert text.count("<figure>") == 2


def test_names_are_text_and_no_html(tmp_path):
    names = ("<script>alert(1)</script>", 'a "b" & c')
    image = np.zeros((30, 30), np.uint8)
    odd = make_record(image, [[1, 1, 20, 20]], [1], image_id="<img src=x>")
    analysis = analyse([odd], [found(side=30)], names)
    text = write_report(tmp_path, analysis).read_text()
    assert "<script>" not in text and "<img src=x>" not in text
    assert "&lt;script&gt;" in text and "image &#x27;&lt;img src=x&gt;&#x27;" in text


@pytest.mark.parametrize(
    "image", [np.zeros((1, 1), np.uint8), np.zeros((40, 3, 4), np.uint8), np.zeros((9, 9, 6))]
)
def test_mistakes_in_small_and_odd_images_are_shown(tmp_path, image):
    height, width = image.shape[:2]
    truth = make_record(image, [[0, 0, width, height]], [1], image_id="odd")
    none = found()
    none.height, none.width = height, width
    assert write_report(tmp_path, analyse([truth], [none], NAMES)).read_text().count("<figure>") == 1


def test_mistakes_in_files_of_many_channels_are_shown(tmp_path):
    np.save(tmp_path / "five.npy", np.zeros((80, 80, 5), np.uint8))
    truth = make_record(tmp_path / "five.npy", [CAT], [1])
    none = found()
    none.height, none.width = 80, 80
    assert write_report(tmp_path, analyse([truth], [none], NAMES)).read_text().count("<figure>") == 1


def test_names_are_no_mathematics(tmp_path):
    analysis = analyse([record([CAT], [1])], [found()], ("$x_{$", "US$"))
    write_report(tmp_path, analysis)
    assert "$x_{$" in (tmp_path / "report.html").read_text()


def test_the_page_says_what_it_is_about_and_when_it_was_written(tmp_path):
    text = write_report(tmp_path, scene(), about={"model": "a <b>.keras"}).read_text()
    assert re.search(r"<p>model: a &lt;b&gt;\.keras; dataset: 2 images; \d{4}-\d\d-\d\d \d\d:\d\d</p>", text)
    assert "dataset: val2017; 20" in write_report(tmp_path, scene(), about={"dataset": "val2017"}).read_text()


def test_images_that_are_files_are_named_by_their_folder(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((100, 100, 3), np.uint8))
    truth = make_record(tmp_path / "one.npy", [CAT], [1])
    text = write_report(tmp_path / "report", analyse([truth], [found((1, 0.9, CAT))], NAMES)).read_text()
    assert f"dataset: 1 image in {tmp_path}" in text


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "+cmd", "-2+3", "\t=1", "\r=1"])
def test_a_class_name_is_no_formula_in_a_spreadsheet(name, tmp_path):
    truth = make_record(np.zeros((30, 30), np.uint8), [[1, 1, 20, 20]], [1], image_id="a")
    write_report(tmp_path, analyse([truth], [found(side=30)], (name, "plain")))
    with (tmp_path / "confusion.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header[2:] == [f"'{name}", "plain"]
