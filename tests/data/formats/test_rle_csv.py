"""CSV files of run lengths: pixels are counted from 1, down the columns."""

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from PIL import Image

from keras_maskrcnn.data.formats.load import load_dataset
from keras_maskrcnn.data.formats.rle_csv import load_rle_csv
from keras_maskrcnn.masks.rle import rle_to_mask

HEIGHT, WIDTH = 4, 6


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        place = tmp_path / "stage1_test" / name / "images"
        place.mkdir(parents=True)
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(place / f"{name}.png")
    return tmp_path


def load(folder, *lines, header="ImageId,EncodedPixels,Height,Width,Usage", **options):
    (folder / "solution.csv").write_text("\n".join([header, *lines]) + "\n")
    return load_dataset(folder / "solution.csv", folder / "stage1_test", **options)


def test_the_contests_solution_is_the_ground_truth_of_its_test_images(folder):
    records, names = load(
        folder, "a,6 2 10 2,4,6,Private", "b,24 1,4,6,Private", "a,1 1,4,6,Private", class_names=["nucleus"]
    )
    assert names == ["nucleus"] and [len(record.boxes) for record in records] == [2, 1]
    # by hand: pixel 6 is the second of column 2, so rows 1 and 2 (from 0) of columns 1 and 2
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(rle_to_mask(records[0].masks[0]), expected)
    np.testing.assert_array_equal(records[0].boxes, [[1, 1, 3, 3], [0, 0, 1, 1]])
    np.testing.assert_array_equal(records[1].boxes, [[5, 3, 6, 4]])  # the last pixel of all
    assert records[0].image == str(folder / "stage1_test" / "a" / "images" / "a.png")


@pytest.mark.parametrize(
    ("text", "pixels"),
    [("1 24", range(24)), ("5 1 1 4", range(5)), ("3 2 9 1", [2, 3, 8]), ("2 3", [1, 2, 3])],
)
def test_masks_are_as_pycocotools_encodes_them(folder, text, pixels):
    mask = np.zeros(HEIGHT * WIDTH, np.uint8)
    mask[list(pixels)] = 1
    encoded = coco_mask.encode(np.asfortranarray(mask.reshape(WIDTH, HEIGHT).T))
    assert load(folder, f"a,{text},4,6,Public")[0][0].masks[0] == encoded


def test_rows_of_training_have_no_sizes(folder):
    records, names = load(folder, "a,6 2", "b,1 3", header="ImageId,EncodedPixels")
    assert names == ["object"] and [len(record.boxes) for record in records] == [1, 1]


def test_images_without_runs_have_no_objects_and_those_without_rows_are_left_out(folder):
    records, _ = load(folder, "a,,4,6,Private", class_names=["nucleus"])
    assert [len(record.boxes) for record in records] == [0]
    unused = folder / "stage1_test" / "b" / "images" / "b.png"
    assert f"left out: 1 image without a row ({unused})" in records.report.notes


def test_images_that_the_scores_ignore_are_left_out_and_counted(folder):
    records, _ = load(folder, "a,6 2,4,6,Private", "b,1 1,4,6,Ignored")
    assert len(records) == 1
    assert "left out: 1 image ignored in the scores" in records.report.notes


def test_images_may_lie_in_the_folder_itself_with_or_without_their_ending(folder):
    for name in ("c", "d"):
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(folder / "stage1_test" / f"{name}.bmp")
    records, _ = load(folder, "c,1 1,4,6,", "d.bmp,1 1,4,6,")
    assert [record.name.rsplit("/", 1)[-1] for record in records] == ["c.bmp", "d.bmp"]
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(folder / "stage1_test" / "c.png")
    with pytest.raises(
        ValueError, match=r"solution\.csv: image c: there are several images for it: .*c\.bmp"
    ):
        load(folder, "c,1 1,4,6,")


def test_a_column_may_tell_the_class(folder):
    rows = ["a,1 1,2,round", "b,3 1,1,long"]
    header = "ImageId,EncodedPixels,ClassId,kind"
    assert load(folder, *rows, header=header)[1] == ["1", "2"]
    records, names = load(folder, *rows, header=header, class_key="kind")
    assert names == ["long", "round"] and records[0].class_ids.tolist() == [2]
    with pytest.raises(ValueError, match=r"it has no column sort \(class_key\), but ImageId, EncodedPixels"):
        load(folder, *rows, header=header, class_key="sort")
    with pytest.raises(ValueError, match=r"row 2 of a: its kind is empty"):
        load(folder, "a,1 1,2,", header=header, class_key="kind")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,6,4,6,", "row 2 of a: EncodedPixels must be pairs of whole numbers, .*got '6'"),
        ("a,6 x,4,6,", "row 2 of a: EncodedPixels must be pairs"),
        ("a,6 -2,4,6,", "row 2 of a: EncodedPixels must be pairs"),
        ("a,0 2,4,6,", "row 2 of a: EncodedPixels count pixels from 1"),
        ("a,6 0,4,6,", "row 2 of a: EncodedPixels count pixels from 1, and lengths are at least 1"),
        ("a,24 2,4,6,", "row 2 of a: EncodedPixels end at pixel 25; the image, 6 x 4, has 24"),
        ("a,6 3 8 1,4,6,", "row 2 of a: EncodedPixels have a pixel twice"),
        ("a,6 2,6,4,", r"a\.png: the image is 6 x 4 .*annotated as 4 x 6"),
        ("a,6 2,6.5,4,", "image a: Height and Width must be whole numbers from 1; got 6.5 and 4"),
        ("c,6 2,4,6,", "c: there is no image of this name, with any ending, nor a folder"),
        ("../b,6 2,4,6,", "image ../b: ImageId must be the name of a file"),
        (",6 2,4,6,", "row 2: it has no ImageId"),
    ],
)
def test_what_is_broken_is_named(folder, row, reason):
    with pytest.raises(ValueError, match=rf"solution\.csv: .*{reason}"):
        load(folder, row, "b,1 1,4,6,")
    problems = []
    records, _ = load(folder, row, "b,1 1,4,6,", problems=problems)
    assert len(problems) == 1 and sum(len(record.boxes) for record in records) == 1


def test_an_image_has_one_size(folder):
    with pytest.raises(ValueError, match="image a: its rows have several sizes: 4 x 6 and 4 x 7"):
        load(folder, "a,6 2,4,6,", "a,1 2,4,7,")


def test_files_and_folders_that_are_none_are_named(folder):
    (folder / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"other\.csv: it has no column ImageId, but a, b"):
        load_rle_csv(folder / "other.csv", folder)
    with pytest.raises(ValueError, match=r"other\.csv has no known format"):
        load_dataset(folder / "other.csv", folder)
    (folder / "other.csv").write_text("")
    with pytest.raises(ValueError, match=r"other\.csv: this is no CSV with a row of names"):
        load_rle_csv(folder / "other.csv", folder)
    (folder / "other.csv").write_text("ImageId,EncodedPixels\n")
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such folder"):
        load_rle_csv(folder / "other.csv", folder / "nowhere")


def test_objects_of_very_many_runs_are_read(folder):
    pixels = np.zeros((300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "stage1_test" / "c.png")
    text = " ".join(f"{start} 1" for start in range(1, 120000, 2))  # beyond the csv module's limit of a field
    records, _ = load(folder, f"c,{text},300,400,")
    assert records[0].areas.tolist() == [60000]
