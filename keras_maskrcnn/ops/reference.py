"""RoIAlign in TensorFlow's own operations: the reference of the compiled op, for machines without a compiler."""

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
    read = _gather if sampling_ratio == 0 or dtype == tf.float64 else _crops
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
            pooled.append(_pool(read, feature, regions, mode))
    order = tf.math.invert_permutation(tf.concat(rows, 0))
    return tf.gather(tf.concat(pooled, 0), order)


def _pool(read: Callable, feature: tf.Tensor, regions: "_Regions", mode: str) -> tf.Tensor:
    # crop_and_resize's own gradient is no use: on the CPU its threads overwrite each other's sums where boxes
    # overlap, and several percent of the gradient can be lost.
    @tf.custom_gradient
    def pool(dense: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        return read(dense, regions, mode), lambda above: _spread(dense, above, regions, mode)

    shape = [0, regions.bins, regions.bins, tf.shape(feature)[3]]
    pooled = tf.cond(
        tf.size(regions.images) > 0,
        lambda: pool(feature),
        lambda: tf.reshape(feature[:0], shape),  # zeros would leave the features without a gradient
    )
    pooled.set_shape([None, regions.bins, regions.bins, feature.shape[3]])
    return pooled


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


def _crops(feature: tf.Tensor, regions: _Regions, mode: str) -> tf.Tensor:
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


def _gather(feature: tf.Tensor, regions: _Regions, mode: str) -> tf.Tensor:
    flat, shape = _flatten(feature), tf.shape(feature)
    count, chunks, chunk = _chunks(regions, mode)
    parts = tf.TensorArray(flat.dtype, chunks, infer_shape=False, element_shape=[None, feature.shape[3]])

    def step(index: tf.Tensor, parts: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        reads = _reads(shape, _part(regions, index * chunk, chunk), mode)
        values = tf.sparse.sparse_dense_matmul(reads.matrix, flat)
        return index + 1, parts.write(index, _largest(values, reads) if mode == "max" else values)

    parts = tf.while_loop(lambda index, _: index < chunks, step, (0, parts))[1]
    return tf.cast(tf.reshape(parts.concat(), [count, regions.bins, regions.bins, shape[3]]), feature.dtype)


def _spread(feature: tf.Tensor, above: tf.Tensor, regions: _Regions, mode: str) -> tf.Tensor:
    """Return the gradient to the features of pooling them, from the gradient to what was pooled."""
    flat, shape = _flatten(feature), tf.shape(feature)
    above = tf.reshape(tf.cast(above, flat.dtype), [-1, shape[3]])  # [N * P * P, C]
    _, chunks, chunk = _chunks(regions, mode)

    def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        reads = _reads(shape, _part(regions, index * chunk, chunk), mode)
        share = above[index * chunk * regions.bins**2 : (index + 1) * chunk * regions.bins**2]
        if mode == "max":
            with tf.GradientTape() as tape:
                values = tf.sparse.sparse_dense_matmul(reads.matrix, flat)
                tape.watch(values)
                largest = _largest(values, reads)
            share = tape.gradient(largest, values, share)
        return index + 1, total + tf.sparse.sparse_dense_matmul(reads.matrix, share, adjoint_a=True)

    total = tf.while_loop(lambda index, _: index < chunks, step, (0, tf.zeros_like(flat)))[1]
    return tf.cast(tf.reshape(total, shape), feature.dtype)


def _flatten(feature: tf.Tensor) -> tf.Tensor:
    dtype = tf.float64 if feature.dtype == tf.float64 else tf.float32
    return tf.reshape(tf.cast(feature, dtype), [-1, tf.shape(feature)[3]])  # [B * H * W, C]


def _chunks(regions: _Regions, mode: str) -> tuple[tf.Tensor, tf.Tensor, int]:
    """Return the number of regions, of chunks, and of regions in a chunk: they bound the memory.

    A maximum needs more of it: a row of channels for every sample.
    """
    chunk = 32 if mode == "max" else 512
    count = tf.size(regions.images)
    return count, (count + chunk - 1) // chunk, chunk


def _part(regions: _Regions, start: tf.Tensor, count: int) -> _Regions:
    def cut(side: _Side) -> _Side:
        return _Side(*(value[start : start + count] for value in (side.start, side.bin, side.grid)))

    return dataclasses.replace(
        regions, images=regions.images[start : start + count], y=cut(regions.y), x=cut(regions.x)
    )


@dataclasses.dataclass(frozen=True)
class _Entries:
    """What N regions read along one side, in the order of regions and bins: K weighted pixels per entry."""

    bin: tf.Tensor  # [S] int64, region * bins + bin
    pixels: tf.Tensor  # [S, K] int64
    weights: tf.Tensor  # [S, K]


def _ranges(counts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return for counts [2, 3] the owners [0, 0, 1, 1, 1] and the positions [0, 1, 0, 1, 2]."""
    owner = tf.repeat(tf.range(tf.size(counts, tf.int64)), counts)
    first = tf.cumsum(counts, exclusive=True)
    return owner, tf.range(tf.size(owner, tf.int64)) - tf.gather(first, owner)


def _samples(side: _Side, bins: int, length: tf.Tensor) -> _Entries:
    """Return the samples that lie on the map, each between two pixels."""
    base = side.start[:, None] + tf.range(bins, dtype=side.start.dtype) * side.bin[:, None]  # [N, P]
    first, last = (tf.reshape(value, [-1]) for value in _reachable(side, base, length))
    owner, index = _ranges(tf.maximum(last - first, 0))
    index = tf.cast(index + tf.gather(first, owner), base.dtype)
    region = owner // bins
    count = tf.cast(tf.gather(side.grid, region), base.dtype)
    position = tf.gather(tf.reshape(base, [-1]), owner) + (index + 0.5) * tf.gather(side.bin, region) / count
    inside = (position >= -1.0) & (position <= tf.cast(length, base.dtype))
    owner, position = tf.boolean_mask(owner, inside), tf.boolean_mask(position, inside)
    position = tf.clip_by_value(position, 0.0, tf.cast(length - 1, base.dtype))
    low = tf.cast(tf.floor(position), tf.int64)
    high = tf.minimum(low + 1, tf.cast(length, tf.int64) - 1)
    fraction = position - tf.cast(low, base.dtype)
    return _Entries(owner, tf.stack([low, high], 1), tf.stack([1.0 - fraction, fraction], 1))


def _reachable(side: _Side, base: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Narrow [0, grid) of every bin to the samples that may lie on the map: a huge box has millions that do not."""
    few = (side.grid <= 8)[:, None]
    grid = tf.cast(side.grid, base.dtype)[:, None]
    step = tf.where(few, tf.ones_like(grid), side.bin[:, None] / tf.maximum(grid, 1.0))
    first = tf.clip_by_value(tf.floor((-1.0 - base) / step) - 3.0, 0.0, grid)
    last = tf.clip_by_value(tf.math.ceil((tf.cast(length, base.dtype) - base) / step) + 3.0, 0.0, grid)
    first, last = tf.where(few, tf.zeros_like(first), first), tf.where(few, grid, last)
    return tf.cast(first, tf.int64), tf.cast(last, tf.int64)


def _merge(samples: _Entries, length: tf.Tensor) -> _Entries:
    """Add up the weights of each pixel in each bin: averages need no more, and it is several times less."""
    length = tf.cast(length, tf.int64)
    key, at = tf.unique(tf.reshape(samples.bin[:, None] * length + samples.pixels, [-1]))
    weights = tf.math.unsorted_segment_sum(tf.reshape(samples.weights, [-1]), at, tf.size(key))
    return _Entries(key // length, (key % length)[:, None], weights[:, None])


@dataclasses.dataclass(frozen=True)
class _Reads:
    """What N regions read from a flattened map, as a sparse matrix to multiply it with."""

    matrix: tf.SparseTensor  # [N * P * P, B * H * W], or [S, B * H * W] with a row per sample for a maximum
    bin: tf.Tensor  # [S] int64, the output bin of a sample
    totals: tf.Tensor  # [N * P * P], samples per output bin, those off the map included


def _reads(feature_shape: tf.Tensor, regions: _Regions, mode: str) -> _Reads:
    bins, (batch, height, width) = regions.bins, tf.unstack(tf.cast(feature_shape[:3], tf.int64))
    y, x = _samples(regions.y, bins, height), _samples(regions.x, bins, width)
    if mode == "average":
        y, x = _merge(y, height), _merge(x, width)
    at_y, at_x = _cross(y.bin // bins, x.bin // bins, tf.size(regions.images))
    image = tf.gather(tf.cast(regions.images, tf.int64), tf.gather(y.bin, at_y) // bins)
    lines = image[:, None] * height + tf.gather(y.pixels, at_y)  # [S, K]
    pixels = lines[:, :, None] * width + tf.gather(x.pixels, at_x)[:, None]  # [S, K, K]
    weights = tf.gather(y.weights, at_y)[:, :, None] * tf.gather(x.weights, at_x)[:, None]
    bin_of = tf.gather(y.bin, at_y) * bins + tf.gather(x.bin, at_x) % bins
    dtype = weights.dtype
    totals = tf.repeat(tf.cast(regions.y.grid, dtype) * tf.cast(regions.x.grid, dtype), bins**2)
    rows, num_rows = tf.range(tf.size(bin_of, tf.int64)), tf.size(bin_of, tf.int64)
    if mode == "average":
        weights /= tf.gather(totals, bin_of)[:, None, None]
        rows, num_rows = bin_of, tf.size(totals, tf.int64)
    rows = tf.broadcast_to(rows[:, None, None], tf.shape(pixels))
    indices = tf.reshape(tf.stack([rows, pixels], 3), [-1, 2])
    shape = tf.stack([num_rows, batch * height * width])
    return _Reads(tf.SparseTensor(indices, tf.reshape(weights, [-1]), shape), bin_of, totals)


def _cross(first: tf.Tensor, second: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the positions of every pair out of two sorted lists of numbers below count that are equal."""
    sizes = tf.math.bincount(tf.cast(second, tf.int32), minlength=count, dtype=tf.int64)
    at_first, position = _ranges(tf.gather(sizes, first))
    starts = tf.cumsum(sizes, exclusive=True)
    return at_first, tf.gather(starts, tf.gather(first, at_first)) + position


def _largest(values: tf.Tensor, reads: _Reads) -> tf.Tensor:
    """Return the largest sample of every output bin, the zeros off the map among them: [S, C] -> [N * P * P, C]."""
    bins = tf.size(reads.totals)
    inside = tf.math.bincount(tf.cast(reads.bin, tf.int32), minlength=bins, dtype=values.dtype)
    largest = tf.math.unsorted_segment_max(values, reads.bin, bins)
    zero = tf.zeros_like(largest)
    largest = tf.where(inside[:, None] > 0, largest, zero)
    return tf.where((inside < reads.totals)[:, None], tf.maximum(largest, zero), largest)
