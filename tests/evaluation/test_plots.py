import numpy as np
import pytest
from matplotlib.figure import Figure
from scenes import CAT, DOG, NAMES, found, record

from keras_maskrcnn.evaluation.analysis import analyse
from keras_maskrcnn.evaluation.instance_matching import score_label_images
from keras_maskrcnn.evaluation.plots import (
    class_figure,
    confusion_figure,
    confusion_fractions,
    matching_figure,
    precision_recall_figure,
)


def test_curves_and_bars_show_the_values_of_the_analysis():
    truth = record([CAT, [0, 60, 20, 80]], [1, 1])
    analysis = analyse([truth], [found((1, 0.9, CAT), (1, 0.8, DOG), (1, 0.7, [0, 60, 20, 80]))], NAMES)
    (axes,) = precision_recall_figure(analysis).axes
    labels = [line.get_label() for line in axes.lines]
    mean = (51 + 50 * 2 / 3) / 101
    assert labels == [f"IoU {threshold} ({mean:.2f})" for threshold in ("0.50", "0.75", "0.95")]  # no dogs
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
    axes = confusion_figure(counts, names).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["(none)", "class 3", "class 5"]
    assert sorted(text.get_text() for text in axes.texts) == ["2", "4"]
    assert isinstance(confusion_figure(np.ones((81, 81), int), names), Figure)


def test_each_of_several_classes_has_a_curve():
    analysis = analyse([record([CAT, DOG], [1, 2])], [found((1, 0.9, CAT))], NAMES)
    (axes,) = precision_recall_figure(analysis).axes
    labels = [line.get_label() for line in axes.lines]
    assert labels[:3] == ["cat (1.00)", "dog (0.00)", "mean at IoU 0.50 (0.50)"]


def test_rows_are_normalised_but_few_objects_are_no_disaster():
    counts = np.array([[0, 1, 2], [10, 90, 0], [1, 0, 1]])
    expected = np.array([[0, 1 / 91, 2 / 10], [0.1, 0.9, 0], [0.1, 0, 0.1]])
    np.testing.assert_allclose(confusion_fractions(counts), expected)


def test_the_matrix_says_how_many_objects_a_row_has_and_that_it_is_normalised():
    axes = confusion_figure(np.array([[0, 1], [2, 91]]), ("coin",)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["(none): 1", "coin: 93"]
    assert "normalised" in axes.get_title()
    assert sorted(text.get_text() for text in axes.texts) == ["1", "2", "91"]


def test_matching_is_drawn_over_the_ious():
    true, predicted = np.zeros((2, 10, 10), int)
    true[:4], true[5:], predicted[:4], predicted[5:8] = 1, 2, 1, 2  # IoU 1 and 0.6
    scores = score_label_images(true, predicted, [0.5, 0.7])
    (axes,) = matching_figure(scores).axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert drawn["TP / (TP + FP + FN)"] == pytest.approx([1, 1 / 3])
    assert drawn["F1"] == drawn["precision"] == drawn["recall"] == [1, 0.5]
    assert all(line.get_xdata().tolist() == [0.5, 0.7] for line in axes.lines)
