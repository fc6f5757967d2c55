"""Pairs of label images, true and predicted: touching objects, and what goes wrong with them."""

import numpy as np

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


def touching(rng, height=72, width=96, count=30):
    """Discs that lie against each other, none over another."""
    labels = np.zeros((height, width), np.uint16)
    ys, xs = np.mgrid[:height, :width]
    for number in range(1, count + 1):
        y, x, radius = rng.randint(0, height), rng.randint(0, width), rng.randint(3, 10)
        labels[((ys - y) ** 2 + (xs - x) ** 2 < radius**2) & (labels == 0)] = number
    return labels


def perturbed(labels, rng):
    """The same objects shifted, missing, split, merged or with a margin lost, others where none is, numbered anew."""
    out = np.zeros(labels.shape, np.uint16)
    number = 0
    for value in np.unique(labels[labels > 0]):
        mask, change = labels == value, rng.randint(0, 7)
        if change == 0:
            continue
        number += change != 1  # 1: merged with the one before
        dy, dx = rng.randint(-2, 3, 2) if change == 2 else (0, 0)
        mask = np.roll(mask, (dy, dx), (0, 1))
        if change == 3:
            mask &= np.roll(mask, 1, 0) & np.roll(mask, 1, 1)
        out[mask & (out == 0)] = number
        if change == 4:
            columns = np.flatnonzero(mask.any(0))
            number += 1
            out[mask & (np.arange(labels.shape[1]) > columns.mean())] = number
    for _ in range(4):
        y, x, h, w = rng.randint(0, 60), rng.randint(0, 80), rng.randint(2, 12), rng.randint(2, 12)
        number += 1
        out[y : y + h, x : x + w] = number
    return (out.astype(np.int32) * 7919) % 10007  # with gaps, and in no order


def halves():
    """Overlaps that are exactly 1/2, 3/5 and 4/5, which thresholds must neither miss nor pass twice."""
    true, predicted = np.zeros((2, 20, 40), np.uint8)
    true[0:4, 0:8] = 1
    predicted[0:4, 0:4], predicted[0:4, 4:8] = 1, 2
    true[6:10, 0:5], true[6:10, 5:10] = 2, 3
    predicted[6:10, 0:10] = 3
    true[12:16, 0:5], predicted[12:16, 0:3] = 4, 4
    true[12:16, 10:15], predicted[12:16, 10:14] = 5, 5
    return true, predicted


def chain():
    """Stripes of which the pair with the greatest IoU is not of the best assignment at 0.2."""
    true, predicted = np.zeros((2, 8, 60), np.uint8)
    for number in range(3):
        start = 20 * number
        true[:, start : start + 10], true[:, start + 10 : start + 20] = 2 * number + 1, 2 * number + 2
        predicted[:, start : start + 2], predicted[:, start + 2 : start + 14] = 2 * number + 1, 2 * number + 2
    return true, predicted


def scenes():
    """The pairs, from a random stream that numpy keeps as it is."""
    pairs = []
    for seed in range(6):
        rng = np.random.RandomState(seed)
        true = touching(rng)
        pairs.append((true, perturbed(true, rng)))
    empty = np.zeros((72, 96), np.uint16)
    pairs += [(pairs[0][0], empty), (empty, pairs[0][0]), (empty, empty)]
    return [*pairs, halves(), chain()]
