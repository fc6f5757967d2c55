"""Test-time augmentation with a model that finds bright rectangles in any view, so that the result is known."""

import numpy as np
import pytest
from examples import tiny
from scipy import ndimage

from keras_maskrcnn.detections.augmentation import augmented
from keras_maskrcnn.detections.batching import Tiles, detect_in
from keras_maskrcnn.detections.views import make_views
from keras_maskrcnn.network.inference_graph import merge_detections

CONFIG = tiny(paste="exact", max_detections=20, min_size=64, max_size=100)
SIDE = 14
"""Of predicted masks."""


def merge(boxes, scores, classes):
    merged = merge_detections(CONFIG, boxes, scores, classes)
    return {name: value.numpy() for name, value in zip(("boxes", "scores", "classes"), merged, strict=True)}


def image_of(boxes, height=60, width=100):
    """Rectangles, each with brightnesses that no flip or rotation leaves as they are."""
    image = np.zeros((height, width, 1), np.uint8)
    for x1, y1, x2, y2 in boxes:
        rows, columns = np.arange(y2 - y1)[:, None], np.arange(x2 - x1)
        image[y1:y2, x1:x2, 0] = 60 + 3 * rows + columns
    return image


BOXES = [(4, 6, 32, 34), (50, 10, 78, 52), (33, 40, 47, 54)]


class FindsRectangles:
    """Stands for a model: each view is resized to the config's min_size over 64, and masks are what boxes show."""

    def __init__(self):
        self.batches = []

    @staticmethod
    def scale(config):
        return config.min_size / 64

    def detect(self, images, config):
        self.batches.append([image.shape[:2] for image in images])
        for image in images:
            found = ndimage.find_objects(ndimage.label(image[..., 0])[0])
            boxes = [[x.start, y.start, x.stop, y.stop] for y, x in found] + [[0] * 4]  # the last is padding
            scores = [0.5 + (box[2] - box[0]) * (box[3] - box[1]) / 5000 for box in boxes]
            outputs = {
                "boxes": np.array(boxes, np.float32) * self.scale(config),
                "scores": np.array(scores, np.float32),
                "classes": np.array([1] * len(found) + [0], np.int32),
            }
            yield outputs, tuple(side * self.scale(config) for side in image.shape[:2])

    def predict(self, images, objects, config):
        for image, rows in zip(images, objects, strict=True):
            masks = np.zeros((len(rows["boxes"]), SIDE, SIDE), np.float32)
            for mask, box, kind in zip(
                masks, rows["boxes"] / self.scale(config), rows["classes"], strict=True
            ):
                if kind:
                    x1, y1, x2, y2 = np.rint(box).astype(int)
                    steps = (y2 - y1) // SIDE, (x2 - x1) // SIDE
                    cells = image[y1:y2, x1:x2, 0].reshape(SIDE, steps[0], SIDE, steps[1])
                    mask[:] = cells.mean(axis=(1, 3)) / 255
            yield {"masks": masks, "mask_scores": rows["scores"] * self.scale(config)}


def run_of(augment, model=None):
    model = model or FindsRectangles()
    return augmented(make_views(augment), CONFIG, model.detect, merge, model.predict)


@pytest.mark.parametrize("augment", ["horizontal_flip", "d4", ("rotate90", 0.5), ("transpose", 2.0, 0.25)])
def test_a_model_that_sees_all_views_alike_finds_what_it_finds_in_one(augment):
    images = [image_of(BOXES), image_of(BOXES[:1], 90, 40)]
    plain, found = list(run_of(None)(images)), list(run_of(augment)(images))
    for image, (expected, _), (outputs, size) in zip(images, plain, found, strict=True):
        assert size == image.shape[:2]
        real = expected["classes"] > 0
        assert real.sum() == (3 if image is images[0] else 1)
        for name in ("boxes", "scores", "classes"):
            np.testing.assert_array_equal(outputs[name], expected[name])
        np.testing.assert_allclose(outputs["masks"], expected["masks"], atol=1e-6)
        assert expected["masks"][real].std(axis=(1, 2)).min() > 0.02  # a mask turned wrongly would differ


def test_the_best_of_overlapping_detections_is_kept_and_the_limit_is_the_configs():
    moves = iter([0.0, 2.0, 30.0])

    def detect(images, config):
        x = next(moves)
        score = 0.6 + x / 100
        boxes = np.array([[10 + x, 10, 30 + x, 30], [0] * 4], np.float32)
        yield (
            {"boxes": boxes, "scores": np.float32([score, 0]), "classes": np.int32([2, 0])},
            images[0].shape[:2],
        )

    run = augmented(make_views((0.5, 2.0)), CONFIG, detect, merge, None)
    ((outputs, _),) = run([np.zeros((60, 100, 1), np.uint8)])
    # the second overlaps the first by 18 of 22 pixels and scores more; the third lies elsewhere
    np.testing.assert_allclose(outputs["boxes"][:2], [[40, 10, 60, 30], [12, 10, 32, 30]])
    np.testing.assert_allclose(outputs["scores"][:3], [0.9, 0.62, 0])
    assert outputs["classes"].tolist() == [2, 2] + [0] * (CONFIG.max_detections - 2)


def test_what_heads_predict_is_averaged_over_the_views():
    ((outputs, _),) = run_of(("rotate90", 0.5, 3.0))([image_of(BOXES)])
    # mask scores of the stand-in are the scores times the scale
    np.testing.assert_allclose(outputs["mask_scores"], outputs["scores"] * (1 + 0.5 + 3) / 3, rtol=1e-6)


def test_a_batch_is_no_larger_than_without():
    model = FindsRectangles()
    list(run_of(("rotate90", 0.5), model)([image_of(BOXES), image_of(BOXES, 70, 90)]))
    assert model.batches == [[(60, 100), (70, 90)], [(100, 60), (90, 70)]] * 2


def test_each_tile_is_augmented():
    grid = [(x, y, x + 14, y + 14) for x in range(3, 180, 40) for y in range(3, 180, 40)]
    image = image_of(grid, 200, 200)
    run = augmented(make_views(("rotate90", 0.5)), CONFIG, FindsRectangles().detect, merge, None)
    (found,) = detect_in([image], run, CONFIG, 2, None, Tiles(100, 30))
    assert sorted(map(tuple, found.boxes.astype(int).tolist())) == sorted(grid)
