import importlib
import sys
import types
from pathlib import Path

import films
import numpy as np
import pytest
from file_server import serving

from keras_maskrcnn.video import opening
from keras_maskrcnn.video.opening import import_av, open_video
from keras_maskrcnn.video.reading import Selection, Video


class MadeUpAv(types.ModuleType):
    """Stands for PyAV where cameras are concerned: it notes how it is asked, and has none."""

    def __init__(self):
        super().__init__("av")
        self.asked = []
        self.error = types.SimpleNamespace(FFmpegError=OSError)

    def open(self, file, **options):
        self.asked.append((file, options))
        raise FileNotFoundError(file)


def test_without_pyav_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"videos need PyAV: pip install 'keras3-maskrcnn\[video\]'"):
        import_av()


def test_a_number_is_a_camera_of_linux(monkeypatch):
    av = MadeUpAv()
    monkeypatch.setitem(sys.modules, "av", av)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(FileNotFoundError, match="camera 2: there is no such video"):
        open_video(2)
    assert av.asked == [("/dev/video2", {"format": "v4l2"})]
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(
        ValueError, match=r"camera 2: cameras have numbers on Linux alone; open yours by PyAV"
    ):
        open_video(2)


@pytest.mark.parametrize("source", [True, None, 1.5, ["a.mp4"]])
def test_what_is_no_source_is_refused(source, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", MadeUpAv())
    with pytest.raises(ValueError, match="a video is a path, a camera's number"):
        open_video(source)


def test_paths_are_of_files_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", MadeUpAv())
    with pytest.raises(FileNotFoundError, match=r"none\.mp4: there is no such video"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match="this is a folder, not a file"):
        open_video(tmp_path)


@pytest.fixture
def film(tmp_path):
    pytest.importorskip("av")
    return films.write_film(tmp_path / "film.mp4", frames=12)


def test_what_is_no_video_is_refused_by_name(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    with pytest.raises(ValueError, match=r"text\.mp4: this is no video that can be read, or it is cut off"):
        open_video(tmp_path / "text.mp4")


def test_a_file_cut_off_before_its_table_of_contents_is_told_so(film, tmp_path):
    content = film.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut\.mp4: .* or it is cut off: its end, or its table of contents"):
        open_video(tmp_path / "cut.mp4")


def test_an_unknown_codec_is_told(film, tmp_path):
    (tmp_path / "odd.mp4").write_bytes(film.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(ValueError, match=r"odd\.mp4: its codec is none that this build of PyAV can decode"):
        open_video(tmp_path / "odd.mp4")


def test_sound_alone_is_no_video(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "sound.mka"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"sound\.mka: there is no video in it, only audio"):
        open_video(tmp_path / "sound.mka")


def test_an_address_is_read_as_a_file_is(film):
    with serving({"/film.mp4": film.read_bytes()}) as server:
        video = Video(f"{server.url}/film.mp4")
        assert [frame.number for frame in video.frames(Selection())] == list(range(12))
        video.close()
        with pytest.raises(ValueError, match=r"none\.mp4: this is no video that can be read \("):
            open_video(f"{server.url}/none.mp4")


def test_a_container_that_pyav_has_opened_is_a_source_also_without_an_end():
    av = importlib.import_module("av") if importlib.util.find_spec("av") else pytest.skip("needs av")
    video = Video(av.open("testsrc=size=64x48:rate=5", format="lavfi"))
    assert video.seconds is None and video.expected(Selection()) is None
    assert video.expected(Selection(stop=2)) == 10
    frames = video.frames(Selection())
    assert [next(frames).time for _ in range(4)] == pytest.approx([0, 0.2, 0.4, 0.6])
    video.close()


def test_names_are_those_that_users_gave():
    assert opening.video_name(3) == "camera 3" and opening.video_name(Path("a") / "b.mp4") == "a/b.mp4"
    assert opening.is_url("rtsp://one/two") and not opening.is_url("a/b.mp4")
