from fractions import Fraction

import films
import numpy as np
import pytest

from keras_maskrcnn.video.reading import Selection, Video

pytest.importorskip("av")


def read(path, after=-1, **selection):
    """The frames of a film, and what was wrong with it."""
    video = Video(path)
    frames = list(video.frames(Selection(**selection), after))
    video.close()
    return frames, video.problems()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return films.write_film(tmp_path_factory.mktemp("film") / "film.mp4")


def test_frames_are_rgb_and_have_numbers_and_times(film):
    frames, problems = read(film)
    assert [frame.number for frame in frames] == list(range(30)) and problems == []
    assert [frame.time for frame in frames] == pytest.approx(np.arange(30) / 10)
    for frame in frames:
        assert frame.image.shape == (films.HEIGHT, films.WIDTH, 3) and frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - films.picture(frame.number)).mean() < 3


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx265", ".mp4"), ("libvpx", ".webm"), ("libvpx-vp9", ".webm"), ("mpeg4", ".avi")],
)
def test_other_codecs_and_containers_are_read_as_well(codec, suffix, tmp_path):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    base = Fraction(1, 10) if suffix == ".avi" else Fraction(1, 1000)
    path = films.write_film(tmp_path / f"film{suffix}", codec=codec, base=base, stream=options)
    frames, problems = read(path)
    assert [frame.number for frame in frames] == list(range(30)) and problems == []
    assert [frame.time for frame in frames] == pytest.approx(np.arange(30) / 10)


def test_a_bare_stream_without_times_has_those_of_its_rate(tmp_path):
    frames, problems = read(films.write_film(tmp_path / "film.h264", rate=25))
    assert [frame.number for frame in frames] == list(range(30)) and problems == []
    assert [frame.time for frame in frames] == pytest.approx(np.arange(30) / 25)


def test_times_that_are_not_regular_are_kept(tmp_path):
    times = [0, 40, 41, 500, 1000, 1033, 3000]
    for suffix in (".mp4", ".mkv"):
        frames, problems = read(films.write_film(tmp_path / f"film{suffix}", frames=7, times=times))
        assert [frame.time for frame in frames] == pytest.approx(np.array(times) / 1000)
        assert problems == []


@pytest.mark.parametrize(
    ("rotation", "flip"), [(90, False), (-90, False), (180, False), (0, True), (90, True)]
)
def test_frames_are_turned_as_the_film_says(rotation, flip, tmp_path):
    path = films.write_film(tmp_path / "film.mp4", frames=1, rotation=rotation, flip=flip)
    (frame,), _ = read(path)
    expected = np.rot90(
        films.picture(0), rotation // 90
    )  # counter-clockwise, and then flipped, as FFmpeg's matrix
    expected = expected[:, ::-1] if flip else expected
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 3


def test_pixels_that_are_not_square_turn_with_the_frame(tmp_path):
    (frame,), _ = read(films.write_film(tmp_path / "a.mp4", frames=1, aspect=Fraction(4, 3)))
    assert frame.pixel_aspect == Fraction(4, 3)
    (frame,), _ = read(films.write_film(tmp_path / "b.mp4", frames=1, aspect=Fraction(4, 3), rotation=90))
    assert frame.pixel_aspect == Fraction(3, 4)
    (frame,), _ = read(films.write_film(tmp_path / "c.mp4", frames=1))
    assert frame.pixel_aspect is None


def test_frames_are_chosen_by_number_and_time(film):
    frames, problems = read(film, every=4, start=0.5, stop=2.0)
    assert [frame.number for frame in frames] == [8, 12, 16] and problems == []
    frames, _ = read(film, every=4, start=0.5, stop=2.0, after=8)
    assert [frame.number for frame in frames] == [12, 16]
    video = Video(film)
    assert [video.expected(Selection(**one)) for one in ({}, {"every": 4}, {"start": 2.0, "stop": 9.0})] == [
        30,
        8,
        10,
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"every": 0}, "every must be at least 1"),
        ({"start": -1.0}, "start must be seconds from 0"),
        ({"start": 2.0, "stop": 2.0}, r"stop must be above start, 2\.0 s"),
    ],
)
def test_choices_that_mean_nothing_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Selection(**wrong)


@pytest.mark.parametrize("number", [1, 5, 15, 29])
def test_a_frame_that_cannot_be_decoded_is_told_by_its_number(number, film, tmp_path):
    frames, problems = read(films.damage(film, tmp_path / "damaged.mp4", number))
    assert [frame.number for frame in frames] == [one for one in range(30) if one != number]
    assert [frame.time for frame in frames] == pytest.approx([frame.number / 10 for frame in frames])
    assert f"1 frame could not be decoded: {number}" in problems


def test_a_frame_with_guessed_parts_is_told_by_its_number(film, tmp_path):
    frames, problems = read(films.damage(film, tmp_path / "damaged.mp4", 10))
    assert [frame.number for frame in frames if frame.is_damaged] == [10] and len(frames) == 30
    assert problems == ["1 frame damaged, with parts that the decoder guessed: 10"]


def test_without_its_first_key_frame_nothing_is_decoded_and_all_is_told(film, tmp_path):
    frames, problems = read(films.damage(film, tmp_path / "damaged.mp4", 0))
    assert frames == [] and problems[0] == "30 frames could not be decoded: 0-29"


def test_a_film_that_is_cut_off_says_where(tmp_path):
    for name, options in (("a.mp4", {"container": {"movflags": "faststart"}}), ("a.mkv", {})):
        path = films.write_film(tmp_path / name, **options)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 3 // 4])
        frames, problems = read(path)
        assert 0 < len(frames) < 28
        assert any("of 3.00 s: the file is cut off" in problem for problem in problems), problems


def test_films_written_one_behind_the_other_are_one(tmp_path):
    first = films.write_film(tmp_path / "film.ts", frames=20)
    (tmp_path / "both.ts").write_bytes(first.read_bytes() * 2)
    frames, problems = read(tmp_path / "both.ts")
    assert [frame.number for frame in frames] == list(range(40))
    times = [frame.time for frame in frames]
    np.testing.assert_allclose(times, np.arange(40) / 10, atol=0.11)
    assert times == sorted(set(times))
    assert (
        "its times begin anew 1 time, as if videos had been joined: taken as one after the other" in problems
    )
    assert not [problem for problem in problems if "decoded" in problem]


def test_times_that_do_not_rise_are_moved_and_told(tmp_path):
    av = pytest.importorskip("av")
    path = films.write_film(tmp_path / "film.mkv", codec="mjpeg", frames=7, stream={"strict": "unofficial"})
    with av.open(str(path)) as source, av.open(str(tmp_path / "twice.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.pts = packet.dts = 300 if number == 4 else 100 * number  # as frame 3
                packet.stream = stream
                target.mux(packet)
    frames, problems = read(tmp_path / "twice.mkv")
    assert [frame.number for frame in frames] == list(range(7))
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.301, 0.5, 0.6])
    assert problems == ["1 frame with times that do not rise: each shown after the last"]
