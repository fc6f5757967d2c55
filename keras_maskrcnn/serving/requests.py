"""What a request may hold, and the answer that tells why another is refused."""

import dataclasses
from collections.abc import AsyncIterable, Mapping

import numpy as np

from keras_maskrcnn.images.io import image_size, read_image

MASKS = ("rle", "none")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may ask for."""

    bytes: int = 20_000_000
    """Of a body."""
    pixels: int = 50_000_000
    """Of an image, which is decoded only if its header says no more."""


class RefusedError(Exception):
    """A request that cannot be answered.

    Args:
        status: of HTTP.
        reason: for whoever has sent it.
    """

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclasses.dataclass(frozen=True)
class Options:
    """What a request asks for beside its image."""

    score_threshold: float
    masks: str


def read_options(query: Mapping[str, str], least_score: float) -> Options:
    """Return what a query asks for.

    Args:
        query: may hold "score_threshold" and "masks".
        least_score: the server's threshold, which is the default.

    Raises:
        RefusedError: a name or a value is none that there is.
    """
    unknown = sorted(set(query) - {"score_threshold", "masks"})
    if unknown:
        raise RefusedError(422, f"there is no parameter {unknown[0]}; there are score_threshold and masks")
    masks = query.get("masks", "rle")
    if masks not in MASKS:
        raise RefusedError(422, f"masks must be rle or none; got {masks[:40]!r}")
    text = query.get("score_threshold", str(least_score))
    try:
        score = float(text)
    except ValueError:
        score = float("nan")
    if not least_score <= score <= 1:
        raise RefusedError(
            422, f"score_threshold must be a number from {least_score} to 1; got {text[:40]!r}"
        )
    return Options(score, masks)


async def read_body(parts: AsyncIterable[bytes], limits: Limits) -> bytes:
    """Return a request's body.

    Raises:
        RefusedError: it is empty, or larger than it may be, of which no more is read.
    """
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > limits.bytes:
            raise RefusedError(413, f"the body has more than {limits.bytes} bytes")
    if not body:
        raise RefusedError(400, "the body is empty; it must be the bytes of an image file")
    return bytes(body)


def decode(body: bytes, channels: int, percentiles: tuple[float, ...], limits: Limits) -> np.ndarray:
    """Return the image that a body holds, as `read_image` does.

    Raises:
        RefusedError: it is no image that can be read, or one of more pixels than it may have.
    """
    try:
        height, width = image_size(body)
        if height * width > limits.pixels:
            raise RefusedError(413, f"the image has {width} x {height} pixels, more than {limits.pixels}")
        return read_image(body, channels, False, percentiles)
    except (ValueError, OSError) as error:
        raise RefusedError(400, f"this is no image that can be read: {error}") from error
