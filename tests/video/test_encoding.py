from fractions import Fraction

import films
import numpy as np
import pytest

from keras_maskrcnn.video import encoding
from keras_maskrcnn.video.encoding import Encoder
from keras_maskrcnn.video.reading import Selection, Video

av = pytest.importorskip("av")
TIMES = [0, 40, 41, 500, 1000, 1033, 3000]


def written(path, pictures, times=TIMES, aspect=None):
    encoder = Encoder(path, Fraction(1, 1000), Fraction(10), aspect)
    for number, (image, time) in enumerate(zip(pictures, times, strict=True)):
        encoder.add(image, time, f"frame {number}")
    encoder.close()
    video = Video(path)
    frames = list(video.frames(Selection()))
    assert video.problems() == []
    with av.open(str(path)) as container:
        packets = [packet.pts for packet in container.demux(video=0) if packet.size]
        return frames, container.streams.video[0].codec_context.name, packets


@pytest.mark.parametrize("size", [(96, 128), (75, 101)], ids=["even", "odd"])
@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_frames_keep_size_colours_and_times_and_come_in_order(codec, size, tmp_path, monkeypatch):
    if codec == "mpeg4":
        monkeypatch.setattr(encoding, "encoder", lambda _: ("mpeg4", encoding.MPEG4))
    pictures = [films.picture(number, *size) for number in range(7)]
    frames, name, packets = written(tmp_path / "film.mp4", pictures)
    assert name == codec and packets == sorted(packets)
    assert [frame.time for frame in frames] == pytest.approx(np.array(TIMES) / 1000, abs=1e-9)
    for frame, picture in zip(frames, pictures, strict=True):
        assert frame.image.shape == picture.shape
        assert np.abs(frame.image.astype(int) - picture).mean() < 4


def test_a_film_begins_with_its_first_frame(tmp_path):
    frames, *_ = written(tmp_path / "film.mp4", [films.picture(0)] * 2, [5000, 5100])
    assert [frame.time for frame in frames] == [0, 0.1]


def test_pixels_that_are_not_square_stay_so(tmp_path):
    frames, *_ = written(tmp_path / "film.mp4", [films.picture(0)], [0], Fraction(4, 3))
    assert frames[0].pixel_aspect == Fraction(4, 3)


def test_frames_of_two_sizes_do_not_go_into_one_film(tmp_path):
    with pytest.raises(ValueError, match=r"frame 1 has 64 x 48 pixels, and those before 128 x 96"):
        written(tmp_path / "film.mp4", [films.picture(0), films.picture(1, 48, 64)], [0, 100])


def test_without_an_encoder_of_h264_there_is_mpeg4(monkeypatch):
    assert encoding.encoder(av) == ("libx264", encoding.H264)

    class Poor:
        codec = av.codec

        @staticmethod
        def Codec(name, mode):  # noqa: N802
            return av.Codec("no such encoder", mode)

    assert encoding.encoder(Poor) == ("mpeg4", encoding.MPEG4)
