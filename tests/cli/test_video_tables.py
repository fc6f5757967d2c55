import csv

import numpy as np

from keras_maskrcnn.cli.video_tables import TRACK_COLUMNS, totals, write_counts, write_tracks
from keras_maskrcnn.masks.rle import mask_to_rle


def found(name, track=None, mask=None, box=(1.0, 2.0, 4.0, 3.0)):
    row = {"category_name": name, "bbox": list(box), "score": 0.5}
    row |= {} if track is None else {"track_id": track}
    return row | ({} if mask is None else {"segmentation": mask_to_rle(mask)})


def rows():
    mask = np.zeros((8, 9), bool)
    mask[2:4, 1:6] = True
    first = [found("=cat", 0, mask), found("dog")]
    second = [found("=cat", 0), found("dog", 1), found("dog", 1)]
    third = [found("dog", 0)]
    return [
        {"frame": number, "time": number / 4, "objects": objects}
        for number, objects in zip((0, 2, 3), (first, second, third), strict=True)
    ]


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_objects_and_tracks_are_counted_by_class():
    counted = totals(rows())
    assert (counted.frames, counted.untracked) == (3, 1)
    assert counted.objects == {"=cat": 2, "dog": 4} and counted.tracks == {"=cat": 1, "dog": 1}
    assert str(counted) == "6 objects in 3 frames (4 dog, 2 =cat), 2 tracks (1 =cat, 1 dog)"
    assert str(totals([])) == "0 objects in 0 frames"


def test_counts_have_a_line_for_each_frame_and_no_formulas(tmp_path):
    write_counts(tmp_path / "counts.csv", rows, ["=cat", "dog"])
    assert read(tmp_path / "counts.csv") == [
        ["frame", "time", "'=cat", "dog"],
        ["0", "0.0", "1", "1"],
        ["2", "0.5", "1", "2"],
        ["3", "0.75", "0", "1"],
    ]


def test_tracks_have_a_line_for_each_object_with_the_area_of_its_mask_or_box(tmp_path):
    write_tracks(tmp_path / "tracks.csv", rows)
    header, *lines = read(tmp_path / "tracks.csv")
    assert header == list(TRACK_COLUMNS) and len(lines) == 6
    assert lines[0] == ["0", "'=cat", "0", "0.0", "1.0", "2.0", "5.0", "5.0", "0.5", "10"]
    assert lines[1] == ["", "dog", "0", "0.0", "1.0", "2.0", "5.0", "5.0", "0.5", "12.0"]
