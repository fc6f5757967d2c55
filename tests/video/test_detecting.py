import dataclasses
from pathlib import Path

import films
import numpy as np
import pytest
from made_up_engine import made_up
from small_model import small_model

from keras_maskrcnn.video.reading import Selection, Video

pytest.importorskip("av")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return films.write_film(tmp_path_factory.mktemp("film") / "film.mp4")


def fields(detections):
    values = dataclasses.asdict(detections)
    return {name: np.asarray(value).tolist() for name, value in values.items() if value is not None}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_model_finds_in_frames_what_it_finds_in_images(batch_size, film):
    model = small_model(score_threshold=0.0, max_detections=4)
    options = {"batch_size": batch_size, "masks": "rle"}
    frames = list(Video(film).frames(Selection(every=7)))
    expected = model.detect([frame.image for frame in frames], **options)
    found = list(model.detect_video(film, every=7, **options))
    assert [one.number for one in found] == [0, 7, 14, 21, 28]
    assert [one.time for one in found] == [frame.time for frame in frames]
    assert [fields(one.detections) for one in found] == [fields(one) for one in expected]
    assert all(one.detections.track_ids is None for one in found)


def test_an_artefact_detects_in_videos_too(film, tmp_path, monkeypatch):
    model, _ = made_up(tmp_path, monkeypatch)
    found = list(model.detect_video(film, stop=0.35))
    assert [one.number for one in found] == [0, 1, 2, 3]
    assert found[0].detections.class_names == ["square", "circle"]


def test_only_a_batch_of_frames_is_read_ahead(film):
    model = films.FindsSquares()
    found = model.detect_video(film)
    first = next(found)
    assert first.number == 0 and first.detections.image is not None and model.seen == 0
    found.close()


def test_ids_of_squares_stay(film):
    pytest.importorskip("trackers", exc_type=ImportError)
    found = list(films.FindsSquares(misses={12}).detect_video(film, track="bytetrack"))
    assert found[0].detections.track_ids.tolist() == [-1, -1, -1] and len(found[12].detections) == 0
    tracks = {}
    for one in found[1:]:
        for name, box, number in zip(
            one.detections.class_names, one.detections.boxes, one.detections.track_ids.tolist(), strict=True
        ):
            tracks.setdefault(number, []).append((name, box[1] // 10))
    assert sorted(tracks) == [0, 1, 2]
    assert sorted({*map(tuple, map(set, tracks.values()))}) == sorted(
        [(("cat", 1.0),), (("dog", 3.0),), (("cat", 7.0),)]
    )


def test_masks_and_ids_belong_to_the_same_rows(film):
    pytest.importorskip("trackers", exc_type=ImportError)
    for one in films.FindsSquares().detect_video(film, start=1.0, track="sort"):
        for box, mask in zip(one.detections.boxes, one.detections.masks, strict=True):
            x1, y1, x2, y2 = box.astype(int)
            assert mask[y1:y2, x1:x2].all() and mask.sum() == (y2 - y1) * (x2 - x1)


def test_what_was_wrong_is_told_at_the_end(film, tmp_path):
    damaged = films.damage(film, tmp_path / "damaged.mp4", 15)
    with pytest.warns(UserWarning, match=r"damaged\.mp4: 1 frame could not be decoded: 15"):
        found = list(films.FindsSquares().detect_video(damaged))
    assert [one.number for one in found] == [*range(15), *range(16, 30)]
    with pytest.warns(UserWarning, match="1 frame damaged, with parts that the decoder guessed: 10"):
        found = list(films.FindsSquares().detect_video(films.damage(film, damaged, 10)))
    assert [one.number for one in found if one.is_damaged] == [10]


def test_errors_come_with_the_call(film, tmp_path):
    model = films.FindsSquares()
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        model.detect_video(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match="every must be at least 1"):
        model.detect_video(film, every=0)
    with pytest.raises(ValueError, match="track must be"):
        pytest.importorskip("trackers", exc_type=ImportError)
        model.detect_video(film, track="deep")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read as on Linux")
def test_memory_does_not_grow_over_two_thousand_frames(tmp_path):
    pytest.importorskip("trackers", exc_type=ImportError)
    path = films.write_film(
        tmp_path / "film.mp4", frames=(films.picture(number % 30) for number in range(2000))
    )
    memory = {}
    for count, _ in enumerate(films.FindsSquares().detect_video(path, track="bytetrack"), 1):
        if count in (100, 2000):
            lines = Path("/proc/self/status").read_text().splitlines()
            memory[count] = next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))
    assert memory[2000] - memory[100] < 20, memory  # MB; the frames have 74
