"""RoIAlign in float64, written straight from its definition, and boxes of every kind to try."""

import math

import numpy as np

STRIDES = (4.0, 8.0, 16.0)
MAPS = ((16, 12), (8, 6), (4, 3))  # of a 64 x 48 image
BOXES = {
    "interior": (9.3, 7.1, 30.2, 40.9),
    "small": (20.1, 30.2, 24.7, 33.1),
    "less than a pixel": (10.2, 11.1, 10.7, 11.3),
    "less than a pixel at the corner": (0.0, 0.0, 0.4, 0.3),
    "less than a pixel at the far corner": (47.6, 63.7, 48.0, 64.0),
    "no size": (13.3, 17.7, 13.3, 17.7),
    "no width": (13.3, 17.7, 13.3, 29.1),
    "at the border": (0.0, 0.0, 48.0, 64.0),
    "over the border": (-13.2, -9.1, 21.3, 17.7),
    "off the map": (70.1, 90.2, 95.3, 120.9),
    "larger than the image": (-301.3, -202.1, 333.2, 404.7),
    "inverted": (30.2, 40.9, 9.3, 7.1),
    "half inverted": (9.3, 40.9, 30.2, 7.1),
    "not a number": (9.3, math.nan, 30.2, 40.9),
}


def corners(y, x, height, width):
    """The pixels (row, column, weight) that a position is interpolated from."""
    if not (-1 <= y <= height and -1 <= x <= width):
        return []
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    rows = [(int(y), 1 - y % 1), (min(int(y) + 1, height - 1), y % 1)]
    columns = [(int(x), 1 - x % 1), (min(int(x) + 1, width - 1), x % 1)]
    return [(i, j, a * b) for i, a in rows for j, b in columns]


def side(low, high, stride, size, ratio, aligned):
    """Start, bin length and samples per bin of one side of a box."""
    start, end = low / stride - 0.5 * aligned, high / stride - 0.5 * aligned
    length = end - start if aligned else max(end - start, 1.0)
    if math.isnan(length):
        return 0.0, 0.0, 0
    return start, length / size, ratio or max(math.ceil(length / size), 0)


def reference(features, boxes, images, levels, above, *, strides, output_size, sampling_ratio, aligned, mode):
    """Pooled values, and the gradients of sum(pooled * above)."""
    features = [np.asarray(feature, np.float64) for feature in features]
    gradients = [np.zeros_like(feature) for feature in features]
    pooled = np.zeros((len(boxes), output_size, output_size, features[0].shape[3]))
    for n, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, np.float64)):
        level = levels[n]
        surface, gradient = features[level][images[n]], gradients[level][images[n]]
        y0, bin_y, grid_y = side(y1, y2, strides[level], output_size, sampling_ratio, aligned)
        x0, bin_x, grid_x = side(x1, x2, strides[level], output_size, sampling_ratio, aligned)
        for p, q in np.ndindex(output_size, output_size):
            samples = [
                corners(
                    y0 + p * bin_y + (i + 0.5) * bin_y / grid_y,
                    x0 + q * bin_x + (j + 0.5) * bin_x / grid_x,
                    *surface.shape[:2],
                )
                for i in range(grid_y)
                for j in range(grid_x)
            ]
            if not samples:
                continue
            values = np.array([sum((w * surface[i, j] for i, j, w in s), 0 * surface[0, 0]) for s in samples])
            if mode == "average":
                pooled[n, p, q] = values.mean(0)
                for i, j, w in (corner for sample in samples for corner in sample):
                    gradient[i, j] += w / len(samples) * above[n, p, q]
            else:
                pooled[n, p, q] = values.max(0)
                for c, winner in enumerate(values.argmax(0)):
                    for i, j, w in samples[winner]:
                        gradient[i, j, c] += w * above[n, p, q, c]
    return pooled, gradients
