import sys

import films
import numpy as np
import pytest

from keras_maskrcnn.video import tracking
from keras_maskrcnn.video.tracking import Tracker


def test_without_the_packages_the_message_says_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(
        ImportError, match=r"tracking needs supervision: pip install 'keras3-maskrcnn\[track\]'"
    ):
        Tracker("bytetrack", 25)


def test_what_is_no_tracker_is_refused(monkeypatch):
    monkeypatch.setattr(tracking, "_imported", lambda name: None)
    with pytest.raises(ValueError, match='track must be "bytetrack", "ocsort", "sort" or a tracker'):
        Tracker("deep", 25)
    with pytest.raises(ValueError, match="track must be a name or a tracker of the package trackers; got 3"):
        Tracker(3, 25)


@pytest.fixture
def trackers():
    pytest.importorskip("supervision", exc_type=ImportError)
    return pytest.importorskip("trackers", exc_type=ImportError)


def ids_of_frames(tracker, frames, missed=()):
    """The ids of the squares of each frame, in the order of `films.places`, whatever the order they are given in."""
    found = []
    for number in range(frames):
        squares = films.places(number)
        order = np.random.default_rng(number).permutation(len(squares)) if number not in missed else []
        boxes = [[x, y, x + films.SIDE, y + films.SIDE] for _, x, y in (squares[row] for row in order)]
        classes = [1 + films.NAMES.index(squares[row][0]) for row in order]
        ids = tracker.ids(boxes, np.full(len(order), 0.9), classes, number / 10)
        assert ids.shape == (len(order),) and ids.dtype == np.int64
        found.append([ids[list(order).index(row)] for row in range(len(squares))] if len(order) else [])
    return found


@pytest.mark.parametrize("name", list(tracking.TRACKERS))
def test_ids_stay_while_squares_cross_and_over_a_frame_without_detections(name, trackers):
    found = ids_of_frames(Tracker(name, 10), 30, missed={12})
    first = next(number for number, ids in enumerate(found) if min(ids) >= 0)
    assert first <= 2 and len(set(found[first])) == 3
    # SORT and OC-SORT take a moment after a gap; what they say then is what they said before
    for number, ids in enumerate(found[first:], start=first):
        known = [(one, before) for one, before in zip(ids, found[first], strict=number != 12) if one >= 0]
        assert all(one == before for one, before in known), number
    assert [found[number] for number in (11, 29)] == [found[first]] * 2


def test_a_tracker_of_ones_own_begins_anew(trackers):
    own = trackers.ByteTrackTracker(track_activation_threshold=0.95)
    assert {one for ids in ids_of_frames(Tracker(own, 10), 5) for one in ids} == {-1}
    own = trackers.ByteTrackTracker(track_activation_threshold=0.5)
    before = ids_of_frames(Tracker(own, 10), 5)
    assert before[1] == [0, 1, 2] or sorted(before[1]) == [0, 1, 2]
    assert ids_of_frames(Tracker(own, 10), 5) == before


def test_trackers_that_follow_the_camera_see_the_frames_as_bgr(trackers):
    class Own(trackers.ByteTrackTracker):
        enable_cmc = True

        def update(self, detections, frame=None, timestamp=None):
            self.seen = frame
            return super().update(detections, None, timestamp)

    own = Own()
    tracker = Tracker(own, None)
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 255
    assert tracker.ids([], [], [], 0.0, image).shape == (0,)
    assert own.seen[0, 0].tolist() == [0, 0, 255]
