"""RoIAlign in TensorFlow's own operations: the twin of the compiled op, for machines without a compiler."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

FAR_AWAY = float(1 << 20)
"""Coordinates are clamped to this many feature pixels, as the compiled op does."""


def roi_align(
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    image_indices: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[float],
    output_size: int,
    sampling_ratio: int,
    aligned: bool,
    mode: str,
) -> tf.Tensor:
    """Pool every box from its own level; arguments, result and errors are those of `ops.roi_align`.

    A fixed sampling ratio is `crop_and_resize` of that many times the size, then pooling: fast enough to
    train with, and equal to the compiled op to 1e-4 (not where a box is tens of thousands of pixels long:
    `crop_and_resize` rounds such positions). Adaptive sampling and float64 read each sample by itself: equal
    to 1e-5 and several times slower. Where samples of a maximum tie, they share the gradient.
    """
    checks = _index_checks(features, image_indices, levels)
    dtype = tf.float64 if features[0].dtype == tf.float64 else tf.float32
    exact = sampling_ratio == 0 or dtype == tf.float64
    pool = _pool_samples if exact else _pool_crops
    rows, pooled = [], []
    with tf.control_dependencies(checks):
        for level, feature in enumerate(features):
            here = tf.where(levels == level)[:, 0]
            rows.append(here)
            scale = tf.ones([], dtype) / tf.cast(strides[level], dtype)
            boxes_here = tf.cast(tf.gather(boxes, here), dtype) * scale
            x1, y1, x2, y2 = tf.unstack(boxes_here, axis=1)
            x = _side(x1, x2, output_size, sampling_ratio, aligned)
            y = _side(y1, y2, output_size, sampling_ratio, aligned)
            regions = _Regions(tf.gather(image_indices, here), y, x, output_size, sampling_ratio)
            pooled.append(pool(feature, regions, mode))
    order = tf.math.invert_permutation(tf.concat(rows, 0))
    return tf.gather(tf.concat(pooled, 0), order)


def _index_checks(features: Sequence[tf.Tensor], image_indices: tf.Tensor, levels: tf.Tensor) -> list:
    checks = []
    for name, values, limit in (
        ("image_indices", image_indices, tf.shape(features[0])[0]),
        ("levels", levels, len(features)),
    ):
        checks.append(tf.debugging.assert_non_negative(values, f"{name} must not be negative"))
        checks.append(
            tf.debugging.assert_less(values, limit, f"{name} must be below the number of {name[:5]}s")
        )
    return [check for check in checks if check is not None]


@dataclasses.dataclass(frozen=True)
class _Side:
    """One side of N boxes in feature pixels: where the first bin starts, a bin's length, samples per bin."""

    start: tf.Tensor  # [N]
    bin: tf.Tensor  # [N]
    grid: tf.Tensor  # [N] int64


@dataclasses.dataclass(frozen=True)
class _Regions:
    """N boxes on one feature map."""

    images: tf.Tensor  # [N] int32
    y: _Side
    x: _Side
    bins: int
    sampling_ratio: int


def _side(low: tf.Tensor, high: tf.Tensor, bins: int, sampling_ratio: int, aligned: bool) -> _Side:
    offset = 0.5 if aligned else 0.0
    missing = tf.math.is_nan(low) | tf.math.is_nan(high)
    start, end = (tf.clip_by_value(value - offset, -FAR_AWAY, FAR_AWAY) for value in (low, high))
    size = end - start if aligned else tf.maximum(end - start, 1.0)
    # A side that is not a number is a point off the map.
    start = tf.where(missing, tf.constant(-FAR_AWAY, start.dtype), start)
    size = tf.where(missing, tf.zeros_like(size), size)
    grid = tf.fill(tf.shape(size), tf.constant(sampling_ratio, tf.int64))
    if sampling_ratio == 0:
        grid = tf.maximum(tf.cast(tf.math.ceil(size / bins), tf.int64), 0)
    return _Side(start, size / bins, grid)


# ------------------------------------------------------------------------------------ fixed sampling: crops


def _pool_crops(feature: tf.Tensor, regions: _Regions, mode: str) -> tf.Tensor:
    # crop_and_resize reads zero outside the map, RoIAlign reads the border up to one pixel outside and zero
    # beyond that: the same thing after one pixel of the border has been repeated around the map.
    padded = tf.pad(tf.cast(feature, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    ratio = regions.sampling_ratio
    ends = []
    for side, length in ((regions.y, tf.shape(feature)[1]), (regions.x, tf.shape(feature)[2])):
        half_step = side.bin * (0.5 / ratio)
        first = side.start + half_step + 1.0
        last = side.start + side.bin * regions.bins - half_step + 1.0
        ends.append((first / tf.cast(length + 1, tf.float32), last / tf.cast(length + 1, tf.float32)))
    (y1, y2), (x1, x2) = ends
    size = regions.bins * ratio
    crops = tf.image.crop_and_resize(padded, tf.stack([y1, x1, y2, x2], 1), regions.images, [size, size])
    pool = tf.nn.max_pool2d if mode == "max" else tf.nn.avg_pool2d
    return tf.cast(pool(crops, ratio, ratio, "VALID"), feature.dtype)


# ----------------------------------------------------------------------- adaptive sampling: sample by sample


@dataclasses.dataclass(frozen=True)
class _Samples:
    """The samples along one side that lie on the map, in the order of regions and bins."""

    bin: tf.Tensor  # [S] int64, region * bins + bin
    region: tf.Tensor  # [S] int64
    low: tf.Tensor  # [S] int64, pixel
    high: tf.Tensor  # [S] int64
    fraction: tf.Tensor  # [S], weight of the high pixel


def _ranges(counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return for counts [2, 3] the owners [0, 0, 1, 1, 1] and the positions [0, 1, 0, 1, 2]."""
    owner = tf.repeat(tf.range(tf.size(counts, tf.int64)), counts)
    first = tf.cumsum(counts, exclusive=True)
    return owner, tf.range(tf.size(owner, tf.int64)) - tf.gather(first, owner)


def _samples(side: _Side, bins: int, length: tf.Tensor) -> _Samples:
    dtype = side.start.dtype
    step = side.bin / tf.cast(tf.maximum(side.grid, 1), dtype)
    base = side.start[:, None] + tf.range(bins, dtype=dtype) * side.bin[:, None]  # [N, P]
    # A huge box has samples by the million: list those that can be on the map, with some to spare.
    few = side.grid <= 8
    safe = tf.where(few, tf.ones_like(step), step)[:, None]
    grid = tf.cast(side.grid, dtype)[:, None]
    first = tf.clip_by_value(tf.floor((-1.0 - base) / safe) - 3.0, 0.0, grid)
    last = tf.clip_by_value(tf.math.ceil((tf.cast(length, dtype) - base) / safe) + 3.0, 0.0, grid)
    first = tf.reshape(tf.cast(tf.where(few[:, None], tf.zeros_like(first), first), tf.int64), [-1])
    last = tf.reshape(tf.cast(tf.where(few[:, None], grid, last), tf.int64), [-1])
    owner, index = _ranges(tf.maximum(last - first, 0))
    index += tf.gather(first, owner)
    region = owner // bins
    bin_size, count = tf.gather(side.bin, region), tf.gather(side.grid, region)
    position = tf.gather(tf.reshape(base, [-1]), owner)
    position += (tf.cast(index, dtype) + 0.5) * bin_size / tf.cast(count, dtype)
    inside = (position >= -1.0) & (position <= tf.cast(length, dtype))
    owner, region, position = (tf.boolean_mask(value, inside) for value in (owner, region, position))
    position = tf.clip_by_value(position, 0.0, tf.cast(length - 1, dtype))
    low = tf.cast(tf.floor(position), tf.int64)
    high = tf.minimum(low + 1, tf.cast(length, tf.int64) - 1)
    return _Samples(owner, region, low, high, position - tf.cast(low, dtype))


@dataclasses.dataclass(frozen=True)
class _Pairs:
    """Every sample of the output bins of N regions as four weighted pixels."""

    bin: tf.Tensor  # [S] int64, (region * bins + row) * bins + column
    pixels: tf.Tensor  # [S, 4] int64 into the flattened map
    weights: tf.Tensor  # [S, 4]
    totals: tf.Tensor  # [N * bins * bins], samples per output bin, those off the map included


def _pairs(feature_shape: tf.Tensor, regions: _Regions) -> _Pairs:
    height, width = feature_shape[1], feature_shape[2]
    y, x = _samples(regions.y, regions.bins, height), _samples(regions.x, regions.bins, width)
    in_region = tf.math.bincount(
        tf.cast(x.region, tf.int32), minlength=tf.size(regions.images), dtype=tf.int64
    )
    first = tf.cumsum(in_region, exclusive=True)
    at_y, position = _ranges(tf.gather(in_region, y.region))
    at_x = tf.gather(first, tf.gather(y.region, at_y)) + position
    image = tf.cast(tf.gather(regions.images, tf.gather(y.region, at_y)), tf.int64)
    wide = tf.cast(width, tf.int64)
    pixels, weights = [], []
    for row, row_weight in ((y.low, 1.0 - y.fraction), (y.high, y.fraction)):
        for column, column_weight in ((x.low, 1.0 - x.fraction), (x.high, x.fraction)):
            line = image * tf.cast(height, tf.int64) + tf.gather(row, at_y)
            pixels.append(line * wide + tf.gather(column, at_x))
            weights.append(tf.gather(row_weight, at_y) * tf.gather(column_weight, at_x))
    totals = tf.cast(regions.y.grid, y.fraction.dtype) * tf.cast(regions.x.grid, y.fraction.dtype)
    return _Pairs(
        tf.gather(y.bin, at_y) * regions.bins + tf.gather(x.bin, at_x) % regions.bins,
        tf.stack(pixels, 1),
        tf.stack(weights, 1),
        tf.repeat(totals, regions.bins**2),
    )


def _weighted_sums(
    flat: tf.Tensor, rows: tf.Tensor, pairs: _Pairs, weights: tf.Tensor, num_rows: tf.Tensor
) -> tf.Tensor:
    indices = tf.stack([tf.repeat(rows, 4), tf.reshape(pairs.pixels, [-1])], 1)
    shape = tf.stack([tf.cast(num_rows, tf.int64), tf.shape(flat, tf.int64)[0]])
    matrix = tf.SparseTensor(indices, tf.reshape(weights, [-1]), shape)

    # TensorFlow's own gradient also makes one row of channels per weight, which nobody needs.
    @tf.custom_gradient
    def multiply(dense: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        product = tf.sparse.sparse_dense_matmul(matrix, dense)
        return product, lambda above: tf.sparse.sparse_dense_matmul(matrix, above, adjoint_a=True)

    return multiply(flat)


def _pool_flat(flat: tf.Tensor, feature_shape: tf.Tensor, regions: _Regions, mode: str) -> tf.Tensor:
    """Pool from the map as rows of pixels: [B * H * W, C] -> [N * P * P, C]."""
    pairs = _pairs(feature_shape, regions)
    bins = tf.size(pairs.totals)
    if mode == "average":
        weights = pairs.weights / tf.maximum(tf.gather(pairs.totals, pairs.bin), 1.0)[:, None]
        return _weighted_sums(flat, pairs.bin, pairs, weights, bins)
    count = tf.size(pairs.bin, tf.int64)
    values = _weighted_sums(flat, tf.range(count), pairs, pairs.weights, count)
    largest = tf.math.unsorted_segment_max(values, pairs.bin, bins)
    inside = tf.math.unsorted_segment_sum(tf.ones_like(pairs.weights[:, 0]), pairs.bin, bins)
    zero = tf.zeros_like(largest)
    largest = tf.where(inside[:, None] > 0, largest, zero)
    return tf.where((inside < pairs.totals)[:, None], tf.maximum(largest, zero), largest)


def _pool_samples(feature: tf.Tensor, regions: _Regions, mode: str) -> tf.Tensor:
    shape = tf.shape(feature)
    dtype = tf.float64 if feature.dtype == tf.float64 else tf.float32
    flat = tf.reshape(tf.cast(feature, dtype), [-1, shape[3]])
    # Chunks bound the memory, which a max needs more of: one row of channels per sample.
    chunk = 64 if mode == "average" else 16
    pooled = _pool_in_chunks(flat, lambda some, rows: _pool_flat(some, shape, rows, mode), regions, chunk)
    pooled = tf.reshape(pooled, [-1, regions.bins, regions.bins, shape[3]])
    pooled.set_shape([None, None, None, feature.shape[3]])
    return tf.cast(pooled, feature.dtype)


def _pool_in_chunks(flat: tf.Tensor, pool: Callable, regions: _Regions, chunk: int) -> tf.Tensor:
    """Pool `chunk` regions at a time, and again for the gradient, to hold one chunk's samples in memory."""
    count = tf.size(regions.images)
    chunks = (count + chunk - 1) // chunk
    bins = regions.bins**2

    def some(index: tf.Tensor) -> _Regions:
        take = lambda value: value[index * chunk : (index + 1) * chunk]  # noqa: E731
        y, x = (_Side(take(side.start), take(side.bin), take(side.grid)) for side in (regions.y, regions.x))
        return _Regions(take(regions.images), y, x, regions.bins, regions.sampling_ratio)

    @tf.custom_gradient
    def pool_all(dense: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        parts = tf.TensorArray(dense.dtype, chunks, infer_shape=False, element_shape=[None, dense.shape[1]])
        step = lambda index, parts: (index + 1, parts.write(index, pool(dense, some(index))))  # noqa: E731
        parts = tf.while_loop(lambda index, _: index < chunks, step, (0, parts))[1]

        def gradient(above: tf.Tensor) -> tf.Tensor:
            def add(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                with tf.GradientTape() as tape:
                    tape.watch(dense)
                    pooled = pool(dense, some(index))
                from_above = above[index * chunk * bins : (index + 1) * chunk * bins]
                return index + 1, total + tape.gradient(pooled, dense, from_above)

            return tf.while_loop(lambda index, _: index < chunks, add, (0, tf.zeros_like(dense)))[1]

        return parts.concat(), gradient

    return pool_all(flat)
