"""Label images whose numbers are hardly objects are read, and a warning says so; others are read without one."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from keras_maskrcnn.data.formats.mask_folders import load_masks
from keras_maskrcnn.diagnostics.dataset.check import check_dataset

HEIGHT, WIDTH = 60, 90


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    return tmp_path


def load(folder, *masks):
    """Load label images [H, W] or [H, W, 3]."""
    for number, mask in enumerate(masks):
        Image.fromarray(np.asarray(mask)).save(folder / "masks" / f"{number}.png")
        size = np.asarray(mask).shape[:2]
        Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(folder / "images" / f"{number}.png")
    return load_masks(folder / "masks", folder / "images")[0]


def warnings_of(folder, *masks):
    return load(folder, *masks).report.warnings


def discs(*values, background=0, mode="L", scale=1):
    """Discs side by side."""
    image = Image.new(mode, (scale * WIDTH, scale * HEIGHT), background)
    draw = ImageDraw.Draw(image)
    for place, value in enumerate(values):
        left = scale * (5 + 28 * place)
        draw.ellipse((left, 15 * scale, left + 22 * scale, 37 * scale), fill=value)
    return image


def shrunk(image, resample=Image.Resampling.BILINEAR):
    return image.resize((WIDTH, HEIGHT), resample)


COLORS = (255, 0, 0), (0, 0, 255), (0, 200, 90)
SOFT = {
    "one object, antialiased": shrunk(discs(255, scale=4)),
    "numbers of instances, resized": shrunk(discs(60, 180, scale=2)),
    "colours, antialiased": shrunk(discs(*COLORS, mode="RGB", background="black", scale=3)),
    "resized by another filter": shrunk(discs(40, 90, 200, scale=2), Image.Resampling.LANCZOS),
}


@pytest.mark.parametrize("kind", SOFT)
def test_soft_edges_are_told_with_the_file(folder, kind):
    (said,) = [text for text in warnings_of(folder, SOFT[kind]) if "soft edges" in text]
    assert said.startswith("1 label images have soft edges") and "0.png" in said


def test_hard_edges_are_none(folder):
    nearest = shrunk(discs(60, 180, 200, scale=2), Image.Resampling.NEAREST)
    touching = np.zeros((HEIGHT, WIDTH), np.uint8)
    for value in range(1, 10):
        touching[10:50, 8 * value : 8 * value + 8] = value
    crowded = np.random.default_rng(0).permutation(300).astype(np.uint16).reshape(15, 20)
    cells = np.kron(crowded, np.ones((4, 4), np.uint16))
    cells[:, ::11] = 0
    assert not warnings_of(folder, nearest, discs(1, 2, 3), touching, cells)


def test_edges_are_found_in_images_of_any_height(folder):
    tall = np.concatenate([np.asarray(SOFT["one object, antialiased"])] * 20)
    tall = np.concatenate([np.zeros((995, WIDTH), np.uint8), tall])
    assert "soft edges" in warnings_of(folder, tall)[0]


@pytest.mark.parametrize(
    "mask",
    [
        discs((255, 0, 0), (0, 0, 255), mode="RGB", background="white"),
        discs(2, 3, background=1),
        np.where(np.asarray(discs(7, 9)) == 0, 26001, np.asarray(discs(7, 9))).astype(np.uint16),
    ],
)
def test_a_background_that_is_not_black_is_told(folder, mask):
    (said,) = warnings_of(folder, mask, discs())
    assert said.startswith("in 1 label images the background seems to be an object") and "0.png" in said


def test_a_large_object_and_one_full_image_among_others_are_no_background(folder):
    fills = np.full((HEIGHT, WIDTH), 9, np.uint8)
    close = np.asarray(discs(1, 2)).copy()
    close[40:] = 3
    assert not warnings_of(folder, fills, close, discs(1, 2), discs(3, 4), discs(2, background=1))


def test_objects_in_many_pieces_are_told(folder):
    binary = [discs(255, 255, 255), discs(255, 255)]
    (said,) = warnings_of(folder, *binary)
    assert said.startswith("2 of 2 objects in the masks are in several pieces") and "number them" in said


def test_classes_in_many_pieces_are_told_too(folder):
    semantic = np.concatenate([discs(1, 2), discs(2, 1)])
    assert "2 of 2 objects in the masks are in several pieces" in warnings_of(folder, semantic)[0]


def test_a_folder_of_masks_is_looked_at_alike(folder):
    for name in ("a", "b"):
        (folder / "masks" / name).mkdir()
        discs(255, 255).save(folder / "masks" / name / "0.png")
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images" / f"{name}.png")
    assert "2 of 2 objects" in load_masks(folder / "masks", folder / "images")[0].report.warnings[0]


def test_a_few_objects_in_pieces_and_specks_are_nothing_to_tell(folder):
    cut = np.asarray(discs(1, 2, 3)).copy()
    cut[24:28, :30] = 0
    specked = np.asarray(discs(1, 2)).copy()
    specked[2, 2] = 1
    assert not warnings_of(folder, cut, specked)


def test_the_report_and_the_check_have_what_is_doubtful(folder):
    records = load(folder, discs(255, 255, 255), discs(255, 255))
    assert "in several pieces" in str(records.report) and not records[:1].report.warnings
    issues = check_dataset(records, class_names=["object"]).issues
    (found,) = [issue for issue in issues if issue.kind == "doubtful annotations"]
    assert (found.severity, found.split, found.reason) == ("warning", "training", records.report.warnings[0])
