"""Short videos of moving squares, and a model that finds each by its colour."""

import functools
from fractions import Fraction

import numpy as np
import scipy.ndimage

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.video.detecting import DetectsVideo

NAMES = ("cat", "dog")
COLORS = {"cat": (230, 40, 40), "dog": (40, 60, 230)}
HEIGHT, WIDTH, SIDE = 96, 128, 20


def places(number):
    """Class and top left corner of each square in a frame: two that cross on rows of their own, and one that stands."""
    return [("cat", 4 + 3 * number, 10), ("dog", WIDTH - SIDE - 4 - 3 * number, 38), ("cat", 50, 70)]


def picture(number, height=HEIGHT, width=WIDTH):
    """A frame [H, W, 3] RGB."""
    image = np.full((height, width, 3), 120, np.uint8)
    for name, x, y in places(number):
        image[max(y, 0) : y + SIDE, max(x, 0) : x + SIDE] = COLORS[name]
    return image


def write_film(path, frames=30, times=None, rate=10, codec="libx264", base=Fraction(1, 1000), **options):
    """Write a film and return its path.

    Args:
        frames: how many pictures, or the pictures.
        times: of each in ticks of `base`; by `rate` if left out.
        options: "rotation", "flip", "sound" (seconds), "aspect", "stream" and "container" (options of PyAV).
    """
    import av

    pictures = [picture(number) for number in range(frames)] if isinstance(frames, int) else list(frames)
    with av.open(str(path), "w", options=options.get("container", {})) as container:
        stream = container.add_stream(codec, rate=rate, options=options.get("stream", {}))
        stream.height, stream.width = pictures[0].shape[:2]
        even = not (stream.height % 2 or stream.width % 2)
        stream.pix_fmt = "yuv420p" if even or codec != "libx264" else "yuv444p"
        stream.codec_context.time_base = base
        if "aspect" in options:
            stream.codec_context.sample_aspect_ratio = options["aspect"]
        if "rotation" in options or "flip" in options:
            stream.set_display_rotation(options.get("rotation", 0), hflip=options.get("flip", False))
        sound = container.add_stream("aac", rate=44100) if options.get("sound") else None
        for number, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = times[number] if times is not None else round(number / rate / base)
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            _add_sound(container, sound, options["sound"])
    return path


def _add_sound(container, stream, seconds):
    import av

    wave = np.sin(2 * np.pi * 440 * np.arange(round(44100 * seconds)) / 44100).astype(np.float32)
    for begin in range(0, len(wave), 1024):
        part = wave[None, begin : begin + 1024]
        frame = av.AudioFrame.from_ndarray(np.repeat(part, 2, axis=0), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44100, begin, Fraction(1, 44100)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


@functools.cache
def packets(path):
    """Place, size, ticks and whether it is a key frame, of each packet of a film's video in the order of the file."""
    import av

    with av.open(str(path)) as container:
        found = container.demux(video=0)
        return [(one.pos, one.size, one.pts, one.is_keyframe) for one in found if one.size]


def damage(path, target, number):
    """Copy a film with noise in the packet of a frame."""
    position, size, *_ = sorted(packets(path), key=lambda packet: packet[2])[number]
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, size - size // 8, np.uint8).tobytes()
    content[position + size // 8 : position + size] = noise
    target.write_bytes(content)
    return target


class FindsSquares(DetectsVideo):
    """Stands for a model: it knows the squares by their colours. In frames that it misses it finds nothing.

    Args:
        misses: how many images, from 0, it finds nothing in.
        before: called with the number of each image.
    """

    def __init__(self, misses=(), before=None):
        self.config = Config(class_names=NAMES)
        self.name = "finds_squares"
        self.misses, self.before, self.seen = set(misses), before, 0

    def detect_iter(self, images, batch_size=1, masks="rle", **options):
        for image in images:
            if self.before is not None:
                self.before(self.seen)
            found = squares(image)
            yield found[:0] if self.seen in self.misses else found
            self.seen += 1


def squares(image):
    """The detections of an image, largest first."""
    found = []
    for class_id, name in enumerate(NAMES, start=1):
        near = (np.abs(image.astype(int) - COLORS[name]) < 60).all(axis=2)
        labels, count = scipy.ndimage.label(near)
        found += [(class_id, name, labels == number) for number in range(1, count + 1)]
    found = [one for one in found if one[2].sum() > SIDE]
    boxes = [_box(mask) for *_, mask in found]
    height, width = image.shape[:2]
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.linspace(0.95, 0.9, len(found)),
        class_ids=np.array([class_id for class_id, *_ in found], np.int32),
        class_names=[name for _, name, _ in found],
        height=height,
        width=width,
        masks=np.array([mask for *_, mask in found], bool).reshape(-1, height, width),
        image=image,
    )


def _box(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
