from fractions import Fraction

import films
import numpy as np
import pytest

from keras_maskrcnn.video.encoding import WRITTEN_SUFFIXES, Encoder
from keras_maskrcnn.video.joining import Sound, join
from keras_maskrcnn.video.reading import Selection, Video

av = pytest.importorskip("av")
BASE = Fraction(1, 1000)
TIMES = [500, 540, 541, 1000, 1500, 1533, 2500]


@pytest.fixture
def segments(tmp_path):
    """Three segments with the frames of TIMES."""
    found = []
    for number, part in enumerate((slice(0, 3), slice(3, 4), slice(4, 7))):
        path = tmp_path / f"{number}.mp4"
        encoder = Encoder(path, BASE, Fraction(10), None)
        for row, time in list(enumerate(TIMES))[part]:
            encoder.add(films.picture(row), time, f"frame {row}")
        encoder.close()
        found.append((path, TIMES[part]))
    return found


def read(path):
    video = Video(path)
    frames = list(video.frames(Selection()))
    assert video.problems() == []
    return frames, video


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
def test_segments_become_one_film_with_the_times_of_all_frames(suffix, segments, tmp_path):
    target = tmp_path / f"film{suffix}"
    assert join(segments, target, BASE, Fraction(10), None) == []
    frames, video = read(target)
    assert [frame.time for frame in frames] == pytest.approx((np.array(TIMES) - 500) / 1000, abs=1e-9)
    if suffix == ".mkv":
        assert video.rate == 10
    parts = [frame.image for path, _ in segments for frame in read(path)[0]]
    for frame, part in zip(frames, parts, strict=True):
        np.testing.assert_array_equal(frame.image, part)  # copied, not encoded again


def heard(path):
    """The sound of a film from its beginning [N] at 44100 Hz, and when it begins."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]), frames[0].time


def test_the_sound_is_copied_from_the_first_frame_on(segments, tmp_path):
    original = films.write_film(tmp_path / "original.mp4", sound=3.0)
    target = tmp_path / "film.mp4"
    assert join(segments, target, BASE, Fraction(10), Sound(original, 0.0, None)) == []
    (before, _), (after, begin) = heard(original), heard(target)
    assert 0 <= begin < 0.03 and len(after) / 44100 == pytest.approx(2.5, abs=0.06)
    first = round((0.5 + begin) * 44100)
    # the codec needs a moment to swing in; then it is the same, where the film shows the same: to a sample
    shifts = {
        shift: np.abs(after[4096:8192] - before[first + shift + 4096 :][:4096]).max()
        for shift in range(-9, 10)
    }
    assert min(shifts, key=shifts.get) in (-1, 0, 1) and min(shifts.values()) < 1e-3
    join(segments, target, BASE, Fraction(10), Sound(original, 0.0, 1.5))
    assert len(heard(target)[0]) / 44100 == pytest.approx(1.0, abs=0.06)
    assert [frame.time for frame in read(target)[0]][-1] == pytest.approx(2.0)


def test_sound_that_a_container_cannot_hold_is_told(segments, tmp_path, monkeypatch):
    original = films.write_film(tmp_path / "original.mp4", sound=3.0)
    template = av.container.OutputContainer.add_stream_from_template

    class Refusing:
        """An output that takes no sound."""

        def __init__(self, path, mode, options):
            self.real = av.open(path, mode, options=options)

        def add_stream_from_template(self, stream):
            if stream.type == "audio":
                raise ValueError("format does not support codec")
            return template(self.real, stream)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.real.close()

        def __getattr__(self, name):
            return getattr(self.real, name)

    class Av:
        error = av.error

        @staticmethod
        def open(path, mode="r", **options):
            return Refusing(path, mode, **options) if mode == "w" else av.open(path)

    monkeypatch.setattr("keras_maskrcnn.video.joining.import_av", lambda: Av)
    told = join(segments, tmp_path / "film.mp4", BASE, Fraction(10), Sound(original, 0.0, None))
    assert told == ["its sound (aac) is none that .mp4 can hold: left out"]
    assert len(read(tmp_path / "film.mp4")[0]) == 7


def test_sound_whose_times_go_back_is_left_out_and_told(segments, tmp_path):
    original = films.write_film(tmp_path / "original.ts", sound=3.0)
    begin = float(av.open(str(original)).streams.video[0].start_time / 90000)
    join(segments, tmp_path / "one.mp4", BASE, Fraction(10), Sound(original, begin, None))
    original.write_bytes(original.read_bytes() * 2)
    told = join(segments, tmp_path / "two.mp4", BASE, Fraction(10), Sound(original, begin, None))
    assert len(told) == 1 and told[0].endswith("packets of its sound left out, whose times go back")
    np.testing.assert_array_equal(heard(tmp_path / "two.mp4")[0], heard(tmp_path / "one.mp4")[0])
