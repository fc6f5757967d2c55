import csv
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scenes import CAT, DOG, NAMES, found, record, scene

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.plots import class_figure, confusion_figure, precision_recall_figure
from keras_maskrcnn.evaluation.report import describe, write_report


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


def test_each_mistake_is_said_in_words():
    analysis = scene()
    assert [describe(analysis, match) for match in analysis.false_positives()] == [
        "dog 0.95: no object there",
        "cat 0.80: nearest is cat, IoU 0.95",
        "cat 0.70: true dog, IoU 1.00",
        "dog 0.60: no object there",
    ]
    assert [describe(analysis, match) for match in analysis.misses()] == ["missed cat: no detection there"]
    beside = analyse([record([CAT], [1])], [found((2, 0.9, [18, 0, 38, 20]))], NAMES)  # IoU 2 / 38
    assert [describe(beside, match) for match in beside.false_positives()] == ["dog 0.90: no object there"]
    assert [describe(beside, match) for match in beside.misses()] == ["missed cat: no detection there"]
    unsure = analyse([record([DOG], [2])], [found((2, 0.25, DOG))], NAMES)
    assert [describe(unsure, match) for match in unsure.misses()] == [
        "missed dog: nearest is dog 0.25, IoU 1.00"
    ]


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


def test_curves_and_bars_show_the_values_of_the_analysis():
    truth = record([CAT, [0, 60, 20, 80]], [1, 1])
    analysis = analyse([truth], [found((1, 0.9, CAT), (1, 0.8, DOG), (1, 0.7, [0, 60, 20, 80]))], NAMES)
    (axes,) = precision_recall_figure(analysis).axes
    labels = [line.get_label() for line in axes.lines]
    assert labels == [
        "cat",
        "mean at IoU 0.50",
        "mean at IoU 0.75",
        "mean at IoU 0.95",
    ]  # dogs have no objects
    for line in axes.lines:
        np.testing.assert_allclose(line.get_ydata(), [1] * 51 + [2 / 3] * 50)
    (axes,) = class_figure(analysis).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat"]
    assert [bar.get_width() for bar in axes.patches] == [pytest.approx((51 + 50 * 2 / 3) / 101)]


def test_bars_stand_best_first_and_each_has_its_kinds():
    truth = record([CAT, DOG], [1, 2])
    analysis = analyse([truth], [found((2, 0.9, DOG))], NAMES)
    (axes,) = class_figure(analysis).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]  # from the lowest up
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0, 1])


def test_of_many_classes_the_matrix_shows_those_that_occur():
    names = tuple(f"class {number}" for number in range(1, 81))
    counts = np.zeros((81, 81), int)
    counts[3, 3], counts[5, 0] = 4, 2
    (axes,) = confusion_figure(counts, names).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["(none)", "class 3", "class 5"]
    assert sorted(text.get_text() for text in axes.texts) == ["2", "4"]
    assert isinstance(confusion_figure(np.ones((81, 81), int), names), Figure)
