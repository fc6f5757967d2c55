import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.layers.detections import DetectedRoIs, MaskProbabilities, SelectDetections

OPTIONS = {
    "score_threshold": 0.05,
    "nms_iou": 0.5,
    "class_agnostic_nms": False,
    "max_detections": 4,
    "min_size": 1e-2,
    "delta_weights": (10, 10, 5, 5),
    "background": True,
}
BOX, NEAR, FAR = [10.0, 10, 50, 50], [12.0, 10, 52, 50], [60.0, 60, 90, 90]


def select(proposals, probabilities, valid=None, **changes):
    """Detections of proposals whose deltas are zero, from class probabilities with the background first."""
    rows = len(proposals)
    options = {**OPTIONS, **changes}
    boxes = np.shape(probabilities)[1] - (0 if options["background"] else 1)
    found = SelectDetections(**options)(
        tf.constant(probabilities, tf.float32),
        tf.zeros((rows, boxes, 4)),
        tf.constant([proposals]),
        tf.constant([valid or [True] * rows]),
        tf.constant([[0.0, 0, 100, 100]]),
    )
    boxes, scores, classes = (x.numpy()[0] for x in found)
    count = (classes > 0).sum()
    assert not boxes[count:].any() and not scores[count:].any()
    return boxes[:count], scores[:count], classes[:count]


def test_best_first_with_class_ids_from_one():
    boxes, scores, classes = select([BOX, FAR], [[0.4, 0.6, 0.0], [0.1, 0.0, 0.9]])
    np.testing.assert_array_equal(boxes, [FAR, BOX])
    np.testing.assert_allclose(scores, [0.9, 0.6], rtol=1e-5)
    assert classes.tolist() == [2, 1]


@pytest.mark.parametrize("background", [True, False])
def test_one_proposal_may_be_two_classes(background):
    _, _, classes = select([BOX], [[0.2, 0.5, 0.3]], background=background)
    assert classes.tolist() == [1, 2]


@pytest.mark.parametrize("agnostic", [False, True])
def test_nms_within_a_class(agnostic):
    boxes, _, _ = select([NEAR, BOX], [[0.5, 0.5, 0], [0.1, 0.9, 0]], class_agnostic_nms=agnostic)
    np.testing.assert_array_equal(boxes, [BOX])


@pytest.mark.parametrize("agnostic", [False, True])
def test_a_box_without_area_takes_no_place(agnostic):
    flat, thin = [120.0, 10, 150, 50], [98.0, 10, 98, 50]  # one beyond the right border, which clips it
    probabilities = [[0.1, 0.9, 0.0], [0.1, 0.8, 0.1], [0.3, 0.7, 0.0]]
    options = {"min_size": 0.0, "max_detections": 1, "class_agnostic_nms": agnostic}
    boxes, _, _ = select([flat, thin, BOX], probabilities, **options)
    np.testing.assert_array_equal(boxes, [BOX])


@pytest.mark.parametrize("agnostic", [False, True])
def test_each_image_may_have_a_threshold_of_its_own(agnostic):
    layer = SelectDetections(**{**OPTIONS, "class_agnostic_nms": agnostic})
    probabilities = tf.constant([[0.4, 0.6, 0.0], [0.7, 0.0, 0.3]] * 2)
    boxes = tf.constant([[BOX, FAR]] * 2)
    windows = tf.constant([[0.0, 0, 100, 100]] * 2)
    given = probabilities, tf.zeros((4, 3, 4)), boxes, tf.ones((2, 2), tf.bool), windows
    _, scores, _ = layer(*given, score_threshold=tf.constant([0.3, 0.2]))
    np.testing.assert_allclose(scores[:, :2], [[0.6, 0.0], [0.6, 0.3]], rtol=1e-6)
    np.testing.assert_allclose(layer(*given)[1][:, :2], [[0.6, 0.3]] * 2, rtol=1e-6)


def test_one_class_per_box_is_its_best_or_none():
    assert select([BOX], [[0.2, 0.5, 0.3]], one_class=True)[2].tolist() == [1]
    assert select([BOX], [[0.5, 0.2, 0.3]], one_class=True)[2].tolist() == []


def test_nms_across_classes_is_a_choice():
    probabilities = [[0.5, 0.5, 0], [0.1, 0, 0.9]]
    assert len(select([NEAR, BOX], probabilities)[0]) == 2
    boxes, scores, classes = select([NEAR, BOX], probabilities, class_agnostic_nms=True)
    np.testing.assert_array_equal(boxes, [BOX])
    assert classes.tolist() == [2] and scores[0] == pytest.approx(0.9, rel=1e-5)


@pytest.mark.parametrize("agnostic", [False, True])
def test_score_must_exceed_the_threshold(agnostic):
    options = {"score_threshold": 0.5, "class_agnostic_nms": agnostic}
    assert len(select([BOX], [[0.55, 0.45, 0.0]], **options)[0]) == 0
    assert len(select([BOX], [[0.45, 0.55, 0.0]], **options)[0]) == 1


def test_rows_that_do_not_count_and_boxes_without_size_give_nothing():
    assert len(select([BOX, [5.0, 5, 5, 5]], [[0, 1, 0], [0, 1, 0]], valid=[False, True])[0]) == 0


def test_any_number_of_detections():
    proposals = [
        [20.0 * (i % 5), 20.0 * (i // 5), 20.0 * (i % 5) + 10, 20.0 * (i // 5) + 10] for i in range(25)
    ]
    probabilities = [[0.5, 0.5, 0.0]] * 25
    assert len(select(proposals, probabilities, max_detections=4)[0]) == 4
    assert len(select(proposals, probabilities, max_detections=200)[0]) == 25


@pytest.mark.parametrize("agnostic", [False, True])
def test_each_image_has_its_own_proposals_classes_and_window(agnostic):
    random = np.random.default_rng(2)
    corners = random.uniform(0, 60, (2, 12, 2))
    proposals = np.concatenate([corners, corners + random.uniform(8, 40, (2, 12, 2))], axis=2)
    probabilities = random.dirichlet(np.ones(3), (2, 12))
    windows = np.array([[0, 0, 70, 100], [0, 0, 100, 50]])
    layer = SelectDetections(**{**OPTIONS, "class_agnostic_nms": agnostic, "max_detections": 8})

    def found_in(images):
        rows = len(images) * 12
        arguments = probabilities[images].reshape(rows, 3), np.zeros((rows, 3, 4)), proposals[images]
        tensors = [tf.constant(x, tf.float32) for x in arguments]
        return layer(*tensors, tf.ones((len(images), 12), tf.bool), tf.constant(windows[images], tf.float32))

    together, alone = found_in([0, 1]), [found_in([image]) for image in (0, 1)]
    for field, of_each in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(field, np.concatenate(of_each))
    assert not np.array_equal(together[2][0], together[2][1])  # other classes in the other image


def test_class_agnostic_deltas_serve_every_class():
    boxes, _, classes = SelectDetections(**OPTIONS)(
        tf.constant([[0.2, 0.5, 0.3]]),
        tf.constant([[[1.0, 0, 0, 0]]]),  # a tenth of the width to the right
        tf.constant([[BOX]]),
        tf.constant([[True]]),
        tf.constant([[0.0, 0, 100, 100]]),
    )
    assert classes.numpy()[0].tolist() == [1, 2, 0, 0]
    np.testing.assert_allclose(boxes[0, :2], [[14, 10, 54, 50]] * 2, rtol=1e-5)


def test_masks_return_to_the_rows_of_their_detections():
    classes = tf.constant([[2, 0], [1, 2]])
    rois = DetectedRoIs()(tf.reshape(tf.range(16.0), (2, 2, 4)), classes)
    assert rois["image_indices"].numpy().tolist() == [0, 1, 1] and rois["rows"].numpy().tolist() == [0, 2, 3]
    np.testing.assert_array_equal(rois["boxes"][0], [0, 1, 2, 3])
    logits = np.full((3, 1, 1, 3), -99.0, np.float32)
    logits[[0, 1, 2], 0, 0, [2, 1, 2]] = 99.0  # the detected classes alone
    masks = MaskProbabilities("sigmoid", background=True)(tf.constant(logits), rois, classes)
    np.testing.assert_allclose(masks[..., 0, 0], [[1, 0], [1, 1]])


def test_no_detection_at_all_gives_empty_masks():
    classes = tf.zeros((2, 3), tf.int32)
    rois = DetectedRoIs()(tf.zeros((2, 3, 4)), classes)
    masks = MaskProbabilities("sigmoid", background=True)(tf.fill((1, 4, 4, 2), 9.0), rois, classes)
    assert masks.shape == (2, 3, 4, 4) and not masks.numpy().any()
