import numpy as np
import tensorflow as tf

from keras_maskrcnn.layers.rpn import Anchors, Proposals, RPNHead

SIZES = tf.constant([[100, 100]])


def _proposals(boxes_by_level, logits_by_level, sizes=SIZES, **changes):
    """Proposals of anchors that are already boxes: their deltas are zero."""
    options = {"pre_nms_top_k": 10, "post_nms_top_k": 10, "nms_iou": 0.7, "min_size": 1e-3, **changes}
    anchors = {k: tf.constant(v, tf.float32) for k, v in boxes_by_level.items()}
    logits = {k: tf.constant([v], tf.float32) for k, v in logits_by_level.items()}
    deltas = {k: tf.zeros((1, len(v), 4)) for k, v in boxes_by_level.items()}
    proposals, valid = Proposals(**options)(logits, deltas, anchors, sizes)
    return proposals.numpy()[valid.numpy()]


def test_best_first_over_all_levels():
    found = _proposals({"P2": [[0, 0, 10, 10]], "P3": [[50, 50, 90, 90]]}, {"P2": [-1], "P3": [2]})
    np.testing.assert_array_equal(found, [[50, 50, 90, 90], [0, 0, 10, 10]])


def test_nms_drops_the_worse_of_two_of_one_level_but_not_of_another():
    box, near = [0, 0, 50, 50], [1, 0, 51, 50]
    assert len(_proposals({"P2": [box, near]}, {"P2": [1, 0]})) == 1
    assert len(_proposals({"P2": [box], "P3": [near]}, {"P2": [1], "P3": [0]})) == 2


def test_proposals_are_clipped_to_the_image_without_its_padding():
    found = _proposals({"P2": [[-20, -20, 80, 300]]}, {"P2": [0]}, tf.constant([[60, 70]]))
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
        tf.fill((2, 2), 9),
    )
    assert proposals.shape == (2, 1, 4) and not valid.numpy().any()


def test_no_gradient_flows_through_proposals():
    deltas = tf.Variable(tf.zeros((1, 1, 4)))
    with tf.GradientTape() as tape:
        proposals, _ = Proposals(5, 5, 0.7, 0.0)(
            {"P2": tf.zeros((1, 1))}, {"P2": deltas}, {"P2": tf.constant([[0.0, 0, 9, 9]])}, SIZES
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
