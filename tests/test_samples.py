"""The programs in samples/, run as their help says, with a few steps on little data."""

import runpy
import sys

import numpy as np
import pytest
from PIL import Image
from places import ROOT

import keras_maskrcnn as km
from samples import neighbours, sample

SAMPLES = ROOT / "samples"
cells, nuclei, tuning = (sample(f"nuclei/{name}.py") for name in ("cells", "train", "fine_tune"))


def run(monkeypatch, program, *arguments):
    """Run a program with these arguments, as the command line does."""
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    with neighbours(SAMPLES / program):
        runpy.run_path(str(SAMPLES / program), run_name="__main__")


@pytest.fixture(scope="module")
def stage1_train(tmp_path_factory):
    """A folder as the contest's, of four drawn images and one that is bright."""
    folder = tmp_path_factory.mktemp("contest") / "stage1_train"
    cells.write_contest_folder(folder, count=5, size=64, cells=12)
    bright = folder / "drawn_04" / "images" / "drawn_04.png"
    Image.fromarray(255 - np.asarray(Image.open(bright))).save(bright)
    return folder


@pytest.mark.parametrize("program", ["coins/train.py", "shapes/train.py"])
def test_a_sample_trains_evaluates_and_draws(program, tmp_path, monkeypatch, capsys, untraced):
    few = ["--validation", 2] if program.startswith("shapes") else []
    run(monkeypatch, program, "--steps", 2, "--output", tmp_path / "drawn.png", *few)
    assert min(Image.open(tmp_path / "drawn.png").size) > 50
    assert "mask AP" in capsys.readouterr().out


def test_nuclei_are_read_trained_on_evaluated_and_drawn(
    stage1_train, tmp_path, monkeypatch, capsys, untraced
):
    (tmp_path / "names.txt").write_text("drawn_01\n")
    names = ["--validation-names", tmp_path / "names.txt"]
    run(monkeypatch, "nuclei/train.py", stage1_train, "--output", tmp_path, "--steps", 2, *names)
    printed = capsys.readouterr().out
    assert "1 of 5 images are not of fluorescence" in printed
    assert "3 images with" in printed and "contest mean" in printed
    assert (tmp_path / "validation" / "drawn_01.png").exists()
    assert km.load_model(tmp_path / "nuclei.keras").config == nuclei.CONFIG


def test_an_unknown_name_to_validate_on_is_told(stage1_train, tmp_path):
    (tmp_path / "names.txt").write_text("drawn_01 other\n")
    with pytest.raises(SystemExit, match=r"has 2 names, 1 of them of images"):
        nuclei.split(nuclei.read_records(stage1_train), 0.1, tmp_path / "names.txt")


def test_large_images_are_shown_more_often():
    sizes = [32, 32, 128]
    records = [km.make_record(np.zeros((n, n), np.uint8), class_ids=[], image_id=n, boxes=[]) for n in sizes]
    crops = nuclei.Crops(records, 6000, seed=0)
    shown = [sum(one.width == size for one in map(crops.__getitem__, range(6000))) for size in (32, 128)]
    np.testing.assert_allclose(shown, [2000, 4000], atol=150)


def test_drawn_cells_touch_and_do_not_overlap():
    image, labels = cells.draw_cells(200, 300, 80, seed=0, brightest=65535)
    assert image.dtype == np.uint16 and image.max() > 30000 and labels.max() > 40
    beside = labels[:, 1:] != labels[:, :-1]
    assert (beside & (labels[:, 1:] > 0) & (labels[:, :-1] > 0)).sum() > 20
    assert image[labels > 0].mean() > 3 * image[labels == 0].mean()


def test_images_of_another_kind_are_bright_where_the_others_are_dark(stage1_train):
    (record,) = nuclei.read_records(stage1_train)[:1]
    made = tuning.another_kind(record, seed=0)
    assert (made.height, made.width) == (160, 160)  # 2.5 times 64
    labels = made.to_label_image() > 0
    assert made.image[~labels].mean() > made.image[labels].mean() + 20
    smallest = min((record.to_label_image() == number).sum() for number in range(1, len(record.boxes) + 1))
    kept = np.bincount(made.to_label_image().ravel())[1:]
    assert len(kept) >= 3 and kept.min() >= 100 and kept.max() > 4 * smallest


def test_the_packaged_model_is_compared_with_itself_tuned_and_from_scratch(
    stage1_train, tmp_path, monkeypatch, capsys, untraced
):
    (tmp_path / "names.txt").write_text("drawn_01\ndrawn_02\n")
    names = ["--validation-names", tmp_path / "names.txt"]
    run(
        monkeypatch, "nuclei/fine_tune.py", stage1_train, "--output", tmp_path, "--steps", 2,
        "--count", 1, *names,
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "1 images with" in printed and printed.count("contest mean") == 3
    tuned = km.load_model(tmp_path / "tuned.keras")
    packaged = km.load_pretrained("nuclei_resnet18_fpn")
    assert tuned.config.image_scale == 1.0
    changed = [np.abs(a - b).max() for a, b in zip(tuned.get_weights(), packaged.get_weights(), strict=True)]
    assert 0 < max(changed) < 0.1  # it began from the packaged weights
    assert (tmp_path / "tuned.png").exists()


def test_the_gallery_shows_scenes_beside_what_is_found_in_them(tmp_path, monkeypatch, capsys, untraced):
    run(monkeypatch, "nuclei/gallery.py", "--output", tmp_path, "--scenes", "touching", "dim")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[-2:]] == ["touching", "dim"]
    assert all(float(line.split("(TP + FP + FN) ")[1].split()[0]) > 0.5 for line in lines[-2:])
    assert Image.open(tmp_path / "dim.png").size == (604, 200)
