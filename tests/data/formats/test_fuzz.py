"""Broken datasets, one change each, drawn from seeds: what is read is right, and what is refused is named."""

import contextlib
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from dataset_files import WRITERS
from fuzzing import MADE, broken

from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.diagnostics.dataset.check import check_dataset
from keras_maskrcnn.masks.rle import segmentation_to_mask

SECONDS = 20
FEW = range(60)
MANY = range(60, 1320)


@contextlib.contextmanager
def limited(seconds):
    """Raise a TimeoutError in what takes longer."""

    def stop(signum, frame):
        raise TimeoutError(f"it took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def objects(records, names):
    """(image, class, box, mask) of each object."""
    found = []
    for record in records:
        for index, (box, class_id) in enumerate(zip(record.boxes, record.class_ids, strict=True)):
            mask = (
                segmentation_to_mask(record.masks[index], record.height, record.width)
                if record.masks
                else None
            )
            found.append((Path(record.image).stem, names[class_id - 1], box, mask, bool(record.crowd[index])))
    return found


def same(one, other):
    (image, name, box, mask, crowd), (image2, name2, box2, mask2, crowd2) = one, other
    if (image, name, crowd, mask is None) != (image2, name2, crowd2, mask2 is None):
        return False
    return np.abs(box - box2).max() < 1e-3 and (mask is None or np.array_equal(mask, mask2))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What is read from the dataset of each format: its objects by (image, number of the shape)."""
    known = {}
    for name, write in WRITERS.items():
        folder = tmp_path_factory.mktemp("good")
        records, names = load_dataset(*write(folder, MADE))
        rows = objects(records, names)
        known[name] = {(image.name, number): _of(rows, image, shape) for image, number, shape in shapes()}
        assert len(rows) == len(known[name])
    return known


def shapes():
    return [(image, number, shape) for image in MADE for number, shape in enumerate(image.shapes)]


def _of(rows, image, shape):
    (row,) = [
        row for row in rows if row[0] == image.name and (row[3] & shape.mask()).sum() > 0.9 * row[3].sum()
    ]
    return row


def mistakes(folder, seed, unbroken):
    """What is wrong in how the dataset of a seed is read, each with the change that led to it."""
    case = broken(folder, seed)
    change = f"seed {seed}, {case.format}: {case.what}"
    try:
        return [f"{mistake} ({change})" for mistake in wrong(case, unbroken[case.format])]
    except BaseException as error:
        error.add_note(change)
        raise


def wrong(case, known):
    problems = []
    try:
        with limited(SECONDS):
            records, names = load_dataset(case.annotations, case.images, problems=problems)
    except (ValueError, FileNotFoundError) as error:
        yield from wrong_message(case, str(error))
        return
    for problem in problems:
        yield from wrong_message(case, problem)
    yield from wrong_strict_reading(case, problems)
    with limited(SECONDS):
        report = check_dataset(records, class_names=names, problems=problems)
        shown = str(report) and report.to_json()
    if not shown:
        yield "the report is empty"
    errors = {one.kind for one in report.issues if one.severity == "error"}
    if not errors <= {"refused", "unreadable image"}:
        yield str(report)
    said = bool(errors or records.report.unusable)
    yield from wrong_objects(case, known, objects(records, names), said, said or bool(records.report.notes))


def wrong_message(case, message):
    if not any(name in message for name in case.names):
        yield f"names no file: {message}"
    rest = message
    for name in sorted((name for name in case.names if "." in name), key=len, reverse=True):
        rest = rest.replace(name, "")
    if len(re.findall(r"\b[a-z]+\b", re.sub(r"/\S*", "", rest))) < 3:
        yield f"says no reason: {message}"


def wrong_strict_reading(case, problems):
    """Without a list of problems, the first is an error."""
    try:
        with limited(SECONDS):
            load_dataset(case.annotations, case.images)
    except (ValueError, FileNotFoundError) as error:
        yield from wrong_message(case, str(error))
        if not problems:
            yield f"refused only without a list: {error}"
    else:
        if problems:
            yield f"read in spite of {problems}"


def wrong_objects(case, known, rows, said, said_or_noted):
    """What is there is what was there, or what the change touched; what is gone is spoken of."""
    changed, missing = list(rows), dict(known)
    for key, row in known.items():
        found = next((other for other in changed if same(row, other)), None)
        if found is not None:
            changed = [other for other in changed if other is not found]
            del missing[key]
    if len(changed) > len(case.touched):
        yield f"{len(changed)} objects differ"
    if not missing.keys() <= case.touched and not said:
        yield f"{missing.keys() - case.touched} are gone or changed without a word"
    if len(missing) > len(changed) and not case.removed and not said_or_noted:
        yield f"{len(missing) - len(changed)} objects are gone without a word"


@pytest.mark.parametrize("seed", FEW)
def test_a_broken_dataset_is_read_right_or_refused(seed, tmp_path, unbroken):
    found = mistakes(tmp_path, seed, unbroken)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_broken_datasets_are_read_right_or_refused(seed, tmp_path, unbroken):
    found = mistakes(tmp_path, seed, unbroken)
    assert not found, "\n".join(found)
