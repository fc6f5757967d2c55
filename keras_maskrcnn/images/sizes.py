"""The sizes to which images are resized."""

from keras_maskrcnn.config.config import Config


def resized_size(height: int, width: int, min_size: int, max_size: int, rounding: str) -> tuple[int, int]:
    """Return (height, width) with the short side at `min_size`, but the long side at most at `max_size`.

    "floor" is torchvision's rule: one scale, sides truncated to integers. "round" is Detectron2's: sides are
    scaled to `min_size`, then down to `max_size` where needed, and rounded. "round_once" is MMDetection's: one scale
    as in "floor", sides rounded. "half_even" is Matterport's: images whose short side is longer than `min_size` stay
    as they are unless `max_size` shrinks them, and sides are rounded half to even. In Python floats as in the sources,
    so that sides such as 799.9999... fall alike. A side never becomes less than 1.
    """
    short, long = min(height, width), max(height, width)
    if rounding in ("floor", "round_once"):
        scale, half = min(min_size / short, max_size / long), 0.5 if rounding == "round_once" else 0.0
        return max(1, int(height * scale + half)), max(1, int(width * scale + half))
    if rounding == "half_even":
        scale = max(1, min_size / short)
        if round(long * scale) > max_size:
            scale = max_size / long
        return max(1, round(height * scale)), max(1, round(width * scale))
    scale = min_size / short
    new_height, new_width = (min_size, scale * width) if height < width else (scale * height, min_size)
    if max(new_height, new_width) > max_size:
        shrink = max_size / max(new_height, new_width)
        new_height, new_width = new_height * shrink, new_width * shrink
    return max(1, int(new_height + 0.5)), max(1, int(new_width + 0.5))


def input_size(height: int, width: int, config: Config, min_size: int | None = None) -> tuple[int, int]:
    """Return the (height, width) to which a config has an image resized.

    Args:
        height, width: of the image, in pixels.
        config: has `image_scale`, by which sides are multiplied and rounded to at least 1, or the limits of
            `resized_size`.
        min_size: another short side than the config's, where it has no `image_scale`.
    """
    if config.image_scale:
        return max(1, round(height * config.image_scale)), max(1, round(width * config.image_scale))
    short_side = config.min_size if min_size is None else min_size
    return resized_size(height, width, short_side, config.max_size, config.size_rounding)
