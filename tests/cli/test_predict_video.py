import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import films
import killed_video
import numpy as np
import pytest
from command_line import error
from places import ROOT

from keras_maskrcnn.cli import predict_video
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.masks.rle import rle_area
from keras_maskrcnn.video.reading import Selection, Video

pytest.importorskip("av")
WRITTEN = ("out.mp4", "out.jsonl", "out.counts.csv", "out.tracks.csv")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of squares with sound, and the file of a model, which is never opened."""
    folder = tmp_path_factory.mktemp("film")
    (folder / "model.keras").write_bytes(b"PK")
    return films.write_film(folder / "film.mp4", sound=3.0)


@pytest.fixture
def model(monkeypatch):
    """What stands for the model, with short segments."""
    made = films.FindsSquares()
    monkeypatch.setattr(predict_video, "open_detector", lambda path: made)
    monkeypatch.setattr(predict_video, "SEGMENT", killed_video.SEGMENT)
    return made


def command(film, output, *options):
    return ["predict", str(film.parent / "model.keras"), str(film), "--output", str(output), *options]


def frames(path):
    video = Video(path)
    found = list(video.frames(Selection()))
    assert video.problems() == []
    return found


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(folder):
    return {name: (folder / name).read_bytes() for name in WRITTEN}


def test_a_film_is_drawn_with_its_times_and_sound_and_all_is_written_down(film, model, tmp_path, capsys):
    assert main(command(film, tmp_path / "out.mp4")) == 0
    drawn, original = frames(tmp_path / "out.mp4"), frames(film)
    assert [frame.time for frame in drawn] == pytest.approx([frame.time for frame in original])
    assert drawn[0].image.shape == original[0].image.shape
    changed = (np.abs(drawn[9].image.astype(int) - original[9].image) > 40).any(axis=2)
    assert 0.05 < changed.mean() < 0.5
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == list(range(30))
    assert [row["time"] for row in rows] == [frame.time for frame in original]
    for row, frame in zip(rows, original, strict=True):
        expected = films.squares(frame.image)
        assert [one["category_name"] for one in row["objects"]] == expected.class_names
        assert [rle_area(one["segmentation"]) for one in row["objects"]] == expected.masks.sum(
            axis=(1, 2)
        ).tolist()
    counts = table(tmp_path / "out.counts.csv")
    assert list(counts[0]) == ["frame", "time", "cat", "dog"] and len(counts) == 30
    assert all((row["cat"], row["dog"]) == ("2", "1") for row in counts)
    said = capsys.readouterr().out
    assert said.startswith("90 objects in 30 frames (60 cat, 30 dog)\nWritten: ") and "tracks" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*WRITTEN} - {"out.tracks.csv"})


def test_tracks_are_a_table_and_counted(film, model, tmp_path, capsys):
    pytest.importorskip("trackers", exc_type=ImportError)
    model.misses = {12}
    assert main(command(film, tmp_path, "--track")) == 0
    rows = table(tmp_path / "film.tracks.csv")
    assert list(rows[0]) == ["track_id", "class", "frame", "time", "x1", "y1", "x2", "y2", "score", "area"]
    assert [row["track_id"] for row in rows[:3]] == [""] * 3  # ByteTrack knows of a track in its second frame
    for number, (name, top) in enumerate((("cat", 10), ("cat", 70), ("dog", 38))):
        own = [row for row in rows if row["track_id"] == str(number)]
        assert [int(row["frame"]) for row in own] == [one for one in range(1, 30) if one != 12]
        assert {(row["class"], float(row["y1"])) for row in own} == {(name, top)}
        assert all(float(row["time"]) == pytest.approx(int(row["frame"]) / 10) for row in own)
        box = [float(own[0][side]) for side in ("x1", "y1", "x2", "y2")]
        assert float(own[0]["area"]) == (box[2] - box[0]) * (box[3] - box[1])
    said = capsys.readouterr().out
    assert "87 objects in 30 frames (58 cat, 29 dog), 3 tracks (2 cat, 1 dog)" in said
    assert "3 objects without a track" in said


def test_frames_are_chosen_and_the_film_begins_with_the_first(film, model, tmp_path):
    assert main(command(film, tmp_path / "out.mkv", "--every", "3", "--start", "1", "--stop", "2")) == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == [12, 15, 18]
    assert [frame.time for frame in frames(tmp_path / "out.mkv")] == pytest.approx([0, 0.3, 0.6])


def test_a_terminal_shows_frames_and_the_time_left(film, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict_video, "in_terminal", lambda: True)
    assert main(command(film, tmp_path, "--no-drawings", "--every", "2", "--stop", "2")) == 0
    shown = capsys.readouterr().out
    assert "10/10" in shown and "/frame" in shown


def test_without_drawings_there_are_tables_alone(film, model, tmp_path, capsys):
    assert main(command(film, tmp_path, "--no-drawings")) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.counts.csv", "film.jsonl"]
    assert "--no-drawings writes no video" in error(
        capsys, *command(film, tmp_path / "a.mp4", "--no-drawings")
    )


@pytest.fixture(scope="module")
def killed(film, tmp_path_factory):
    """A folder in which a call with --track was killed in the film's frame 16, and the call."""
    pytest.importorskip("trackers", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("killed")
    script = ROOT / "tests" / "support" / "killed_video.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(script.parent)])}
    arguments = [sys.executable, str(script), "kill", "16", *command(film, folder / "out.mp4", "--track")]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return folder


@pytest.fixture
def left(killed, tmp_path):
    """A copy of that folder."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_killed_call_goes_on_and_ends_as_if_it_had_never_stopped(film, model, left, capsys):
    assert [path.name for path in left.iterdir()] == ["out.unfinished"]
    line = command(film, left / "out.mp4", "--track")
    assert "an earlier call was interrupted; --resume goes on" in error(capsys, *line)
    assert main([*line, "--resume"]) == 0
    assert model.seen == 30 - 14  # of two segments, none is detected again
    (left / "whole").mkdir()
    assert main(command(film, left / "whole" / "out.mp4", "--track")) == 0
    assert content(left) == content(left / "whole")
    assert not (left / "out.unfinished").exists()


def test_work_in_which_nothing_is_done_is_begun_anew(film, model, left):
    for path in (left / "out.unfinished").glob("0*"):
        path.unlink()
    assert main(command(film, left / "out.mp4")) == 0
    assert model.seen == 30 and sorted(path.name for path in left.iterdir()) == sorted(
        {*WRITTEN} - {WRITTEN[3]}
    )


def test_work_is_not_gone_on_with_in_another_way(film, model, left, capsys):
    line = command(film, left / "out.mp4", "--track", "--resume")
    told = error(capsys, *line, "--every", "2", "--score-threshold", "0.7")
    assert "every was None, and is 2; score_threshold was 0.5, and is 0.7" in told
    rows = left / "out.unfinished" / "000000.jsonl"
    rows.write_text(rows.read_text().replace('"track_id": 0', '"track_id": 5'))
    assert "frame 1 gets other tracks than it had" in error(capsys, *line)


def test_ctrl_c_ends_with_the_frame_and_resume_goes_on(film, model, tmp_path, capsys):
    model.before = killed_video.end_at("interrupt", 16)
    line = command(film, tmp_path / "out.mp4")
    assert main(line) == 130
    assert "Stopped after 17 frames; --resume goes on from there" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.unfinished"]
    model.before, model.seen = None, 0
    assert main([*line, "--resume"]) == 0
    assert model.seen == 13 and len(frames(tmp_path / "out.mp4")) == 30


def test_what_has_no_end_is_written_up_at_ctrl_c(film, model, tmp_path, monkeypatch, capsys):
    av = pytest.importorskip("av")

    class Endless(Video):
        def __init__(self, source):
            super().__init__(av.open("testsrc=size=64x48:rate=5", format="lavfi"))
            self.name = "camera 0"

    monkeypatch.setattr(predict_video, "Video", Endless)
    model.before = killed_video.end_at("interrupt", 16)
    line = ["predict", str(film.parent / "model.keras"), "0", "--output", str(tmp_path / "out")]
    assert main(line) == 0
    assert "0 objects in 17 frames" in capsys.readouterr().out
    assert [frame.time for frame in frames(tmp_path / "out" / "camera0.mp4")] == pytest.approx(
        np.arange(17) / 5
    )
    assert "--resume is for video files: 0 does not begin again" in error(capsys, *line, "--resume")


def test_what_is_wrong_with_a_film_is_told_and_the_rest_kept(film, model, tmp_path, capsys):
    damaged = films.damage(film, film.parent / "damaged.mp4", 15)
    assert main(command(damaged, tmp_path / "out.mp4")) == 1
    assert "damaged.mp4: 1 frame could not be decoded: 15" in capsys.readouterr().err
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == [*range(15), *range(16, 30)]
    assert len(frames(tmp_path / "out.mp4")) == 29
    told = error(capsys, *command(films.damage(film, damaged, 0), tmp_path / "none.mp4"))
    assert "no frame was read: 30 frames could not be decoded: 0-29" in told
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_choice_without_frames_is_told(film, model, tmp_path, capsys):
    told = error(capsys, *command(film, tmp_path / "out.mp4", "--start", "9"))
    assert "no frame was read: none is between --start and --stop" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label-images", "png"], "--label-images is for images, and the input is a video"),
        (["--labels", "strip"], "--labels strip makes images higher"),
        (["--start", "2", "--stop", "1"], "--stop 1 must be above --start 2"),
        (["--color-by", "track"], "--color-by track needs --track"),
        (["--track", "deep"], "invalid choice: 'deep'"),
    ],
)
def test_options_that_do_not_go_with_a_video_are_refused(options, message, film, tmp_path, capsys):
    assert message in error(capsys, *command(film, tmp_path / "out.mp4", *options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--every", "2"], "--every is for a video, and the inputs are images"),
        (["--track"], "--track is for a video, and the inputs are images"),
        (["--color-by", "track"], "--color-by track is for a video"),
    ],
)
def test_options_for_videos_are_refused_with_images(options, message, trained, tmp_path, capsys):
    image = trained / "images" / "1.png"
    line = ["predict", str(trained / "run"), str(image), "--output"]
    assert message in error(capsys, *line, tmp_path, *options)
    assert "this names a video, and the inputs are images" in error(capsys, *line, tmp_path / "out.mp4")


def test_a_video_is_there_and_alone_and_is_not_written_over(film, tmp_path, capsys):
    assert "none.mp4: there is no such file" in error(capsys, *command(film.parent / "none.mp4", tmp_path))
    assert "a video is predicted alone" in error(
        capsys, "predict", film.parent / "model.keras", film, "a.png", "--output", tmp_path
    )
    assert "the video itself is there" in error(capsys, *command(film, film.parent))


def test_a_trained_model_detects_in_a_film(film, trained, tmp_path, capsys):
    line = ["predict", str(trained / "run"), str(film), "--output", str(tmp_path), "--stop", "0.25"]
    assert main([*line, "--score-threshold", "0", "--max-detections", "2"]) == 0
    assert "in 3 frames" in capsys.readouterr().out and len(frames(tmp_path / "film.mp4")) == 3


def test_files_are_named_by_what_was_given(tmp_path):
    from keras_maskrcnn.cli.video_arguments import drawn_video, video_among

    assert drawn_video(tmp_path, 2).name == "camera2.mp4"
    assert drawn_video(tmp_path, "rtsp://host:554/garden/cam.sdp?x=1").name == "cam.mp4"
    assert drawn_video(tmp_path, "rtsp://host").name == "stream.mp4"
    assert drawn_video(Path("out.mkv"), "film.mp4") == Path("out.mkv")
    assert (
        video_among(["a.png", "b"]) is None and video_among(["0"]) == 0 and video_among(["a.MOV"]) == "a.MOV"
    )
