import numpy as np
import tensorflow as tf

from keras_maskrcnn.layers.rpn import Anchors, Proposals, RPNHead

WINDOW = tf.constant([[0.0, 0, 100, 100]])


def _proposals(boxes_by_level, logits_by_level, window=WINDOW, **changes):
    """Proposals of anchors that are already boxes: their deltas are zero."""
    options = {"pre_nms_top_k": 10, "post_nms_top_k": 10, "nms_iou": 0.7, "min_size": 1e-3, **changes}
    anchors = {k: tf.constant(v, tf.float32) for k, v in boxes_by_level.items()}
    logits = {k: tf.constant([v], tf.float32) for k, v in logits_by_level.items()}
    deltas = {k: tf.zeros((1, len(v), 4)) for k, v in boxes_by_level.items()}
    proposals, valid = Proposals(**options)(logits, deltas, anchors, window)
    return proposals.numpy()[valid.numpy()]


def test_best_first_over_all_levels():
    found = _proposals({"P2": [[0, 0, 10, 10]], "P3": [[50, 50, 90, 90]]}, {"P2": [-1], "P3": [2]})
    np.testing.assert_array_equal(found, [[50, 50, 90, 90], [0, 0, 10, 10]])


def test_nms_drops_the_worse_of_two_of_one_level_but_not_of_another():
    box, near = [0, 0, 50, 50], [1, 0, 51, 50]
    assert len(_proposals({"P2": [box, near]}, {"P2": [1, 0]})) == 1
    assert len(_proposals({"P2": [box], "P3": [near]}, {"P2": [1], "P3": [0]})) == 2


def test_unlikely_proposals_outlive_the_suppressed_ones():
    boxes = {"P2": [[0, 0, 50, 50], [1, 0, 51, 50], [60, 60, 90, 90]]}
    np.testing.assert_array_equal(
        _proposals(boxes, {"P2": [-3, -4, -50]}), [[0, 0, 50, 50], [60, 60, 90, 90]]
    )


def test_proposals_are_clipped_to_the_image_without_its_padding():
    found = _proposals({"P2": [[-20, -20, 80, 300]]}, {"P2": [0]}, tf.constant([[0.0, 0, 70, 60]]))
    np.testing.assert_array_equal(found, [[0, 0, 70, 60]])


def test_small_boxes_are_dropped():
    assert len(_proposals({"P2": [[0, 0, 3, 50], [0, 0, 30, 30]]}, {"P2": [5, 0]}, min_size=4)) == 1


def test_top_k_per_level_and_overall():
    boxes = {level: [[20.0 * i, 0, 20 * i + 10, 10] for i in range(5)] for level in ("P2", "P3")}
    logits = {"P2": [5, 4, 3, 2, 1], "P3": [0, -1, -2, -3, -4]}
    assert len(_proposals(boxes, logits, pre_nms_top_k=2)) == 4
    assert len(_proposals(boxes, logits, post_nms_top_k=3)) == 3


def test_no_proposal_at_all_leaves_one_row_that_does_not_count():
    proposals, valid = Proposals(5, 5, 0.7, 10.0)(
        {"P2": tf.zeros((2, 1))},
        {"P2": tf.zeros((2, 1, 4))},
        {"P2": tf.constant([[0.0, 0, 1, 1]])},
        tf.constant([[0.0, 0, 9, 9]] * 2),
    )
    assert proposals.shape == (2, 1, 4) and not valid.numpy().any()


def test_no_gradient_flows_through_proposals():
    deltas = tf.Variable(tf.zeros((1, 1, 4)))
    with tf.GradientTape() as tape:
        proposals, _ = Proposals(5, 5, 0.7, 0.0)(
            {"P2": tf.zeros((1, 1))}, {"P2": deltas}, {"P2": tf.constant([[0.0, 0, 9, 9]])}, WINDOW
        )
        total = tf.reduce_sum(proposals)
    assert tape.gradient(total, deltas) is None


def test_head_shares_weights_between_levels_and_orders_rows_like_the_anchors():
    head = RPNHead(8, num_anchors=3)
    features = {"P2": tf.random.stateless_normal((1, 4, 6, 8), (0, 0)), "P3": tf.zeros((1, 2, 3, 8))}
    logits, deltas = head(features)
    assert logits["P2"].shape == (1, 72) and deltas["P3"].shape == (1, 18, 4)
    assert len(head.trainable_variables) == 6
    anchors = Anchors(((8,), (16,)), (0.5, 1.0, 2.0), True)(features, tf.zeros((1, 16, 24, 3)))
    assert anchors["P2"].shape == (72, 4)
    # one cell alone changes the rows of that cell alone: y = 1, x = 2
    features["P2"] = tf.tensor_scatter_nd_add(tf.zeros((1, 4, 6, 8)), [[0, 1, 2, 0]], [1000.0])
    changed = head(features)[0]["P2"].numpy()[0] - head({"P2": tf.zeros((1, 4, 6, 8))})[0]["P2"].numpy()[0]
    cells = np.flatnonzero(np.abs(changed.reshape(4, 6, 3)).sum(axis=2))
    assert set(cells) <= {6 * y + x for y in (0, 1, 2) for x in (1, 2, 3)} and len(cells)


def test_anchors_lie_apart_as_image_and_level_say_or_as_the_architecture_does():
    features, image = {"P6": tf.zeros((1, 13, 19, 8))}, tf.zeros((1, 800, 1216, 3))
    for strides, expected in (
        ((), (18 * 64, 12 * 61)),
        ((64,), (18 * 64, 12 * 64)),
    ):  # 800 // 13 = 61: torchvision
        anchors = Anchors(((512,),), (1.0,), True, strides)(features, image)["P6"]
        np.testing.assert_array_equal((anchors[-1, :2] + anchors[-1, 2:]) / 2, expected)


def test_boxes_that_end_on_their_last_pixel():
    features, image = {"P2": tf.zeros((1, 1, 1, 8))}, tf.zeros((1, 4, 4, 3))
    anchors = Anchors(((8,),), (1.0,), True, last_pixel=True)(features, image)["P2"]
    np.testing.assert_array_equal(anchors, [[-4, -4, 3, 3]])


def test_joint_levels_share_their_top_k_and_their_nms():
    box, near, far = [0, 0, 50, 50], [1, 0, 51, 50], [60, 60, 90, 90]
    boxes, logits = {"P2": [box, far], "P3": [near]}, {"P2": [1, -2], "P3": [0]}
    np.testing.assert_array_equal(_proposals(boxes, logits, joint=True), [box, far])
    np.testing.assert_array_equal(_proposals(boxes, logits, joint=True, pre_nms_top_k=2), [box])


def test_probabilities_that_are_equal_rank_by_position():
    boxes, logits = {"P2": [[0, 0, 50, 50], [1, 0, 51, 50]]}, {"P2": [20.5, 20.0]}
    np.testing.assert_array_equal(_proposals(boxes, logits), [boxes["P2"][0]])
    np.testing.assert_array_equal(_proposals(boxes, logits, rank_probabilities=True), [boxes["P2"][1]])


def test_delta_weights_divide():
    layer = Proposals(5, 5, 0.7, 0.0, delta_weights=(10.0, 10.0, 5.0, 5.0))
    found, _ = layer(
        {"P2": tf.zeros((1, 1))},
        {"P2": tf.constant([[[1.0, 0, 0, 0]]])},
        {"P2": tf.constant([[0.0, 0, 50, 50]])},
        WINDOW,
    )
    np.testing.assert_allclose(found, [[[5, 0, 55, 50]]])


def test_two_logits_are_one_difference():
    head = RPNHead(8, num_anchors=2, softmax=True)
    features = {"P2": tf.random.stateless_normal((1, 3, 3, 8), (0, 0))}
    logits, _ = head(features)
    pairs = head.logits(head.convs[0](features["P2"])).numpy().reshape(1, -1, 2)  # background, object
    np.testing.assert_allclose(tf.sigmoid(logits["P2"]), tf.nn.softmax(pairs)[..., 1], rtol=1e-5)
