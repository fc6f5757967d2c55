import json
from fractions import Fraction

import films
import pytest

from keras_maskrcnn.video.reading import Frame
from keras_maskrcnn.video.work import Drawing, Work


def frame(number):
    return Frame(number, 100 * number, number / 10, films.picture(number), None, False)


def row(number):
    return {"frame": number, "time": number / 10, "objects": []}


def filled(work, *numbers, drawn=True):
    with work.segment() as segment:
        for number in numbers:
            segment.add(frame(number), row(number), films.picture(number) if drawn else None)
        return len(segment)


@pytest.fixture
def work(tmp_path):
    made = Work(tmp_path / "film.unfinished", None)
    made.begin({"every": 1, "track": None})
    return made


def test_lines_of_segments_follow_one_another(work):
    assert filled(work, 0, 1, drawn=False) == 2 and filled(work, 2, drawn=False) == 1
    assert [one["frame"] for one in work.rows()] == [0, 1, 2]
    assert [path.name for path in work.segments] == ["000000.jsonl", "000001.jsonl"]


def test_a_segment_without_frames_is_none(work):
    assert filled(work) == 0 and work.segments == []


def test_a_segment_that_ends_with_an_error_leaves_nothing(work):
    filled(work, 0, drawn=False)
    with pytest.raises(KeyError), work.segment() as segment:
        segment.add(frame(1), row(1), None)
        raise KeyError
    assert len(work.segments) == 1 and len(list(work.folder.iterdir())) == 2


def test_other_settings_are_named(work):
    assert work.differences({"every": 1, "track": None}) == []
    assert work.differences({"every": 2, "track": "sort"}) == [
        "every was 1, and is 2",
        "track was None, and is sort",
    ]
    (work.folder / "settings.json").write_text("{")
    with pytest.raises(ValueError, match=r"film\.unfinished: this is no unfinished work on a video"):
        work.differences({})


def test_work_can_be_removed(work):
    work.remove()
    assert not work.folder.exists()


def test_drawn_frames_are_there_before_their_lines_say_so(tmp_path):
    pytest.importorskip("av")
    work = Work(tmp_path / "film.unfinished", Drawing(Fraction(1, 1000), Fraction(10)))
    work.begin({})
    filled(work, 3, 4)
    filled(work, 7)
    drawn = work.pictures()
    assert [ticks for _, ticks in drawn] == [[300, 400], [700]] and all(path.exists() for path, _ in drawn)
    work.segments[1].unlink()  # as if the process had been killed in between
    assert [path.name for path, _ in work.pictures()] == ["000000.mp4"]
    filled(work, 5, 6)
    assert [json.loads(line)["frame"] for line in work.segments[1].read_text().splitlines()] == [5, 6]
    assert [ticks for _, ticks in work.pictures()] == [[300, 400], [500, 600]]
    with pytest.raises(ValueError, match="frame 8 has 64 x 48 pixels"), work.segment() as segment:
        segment.add(frame(7), row(7), films.picture(7))
        segment.add(frame(8), row(8), films.picture(8, 48, 64))
    assert sorted(path.name for path in work.folder.iterdir()) == [
        *("000000.jsonl", "000000.mp4", "000001.jsonl", "000001.mp4", "settings.json")
    ]
