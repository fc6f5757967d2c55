"""Tiled detection with a model that detects bright rectangles, so that the result is known."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from examples import tiny
from scipy import ndimage

from keras_maskrcnn.detections.batching import Tiles, detect_in, make_tiles
from keras_maskrcnn.masks.rle import rle_to_mask
from keras_maskrcnn.models.mask_rcnn import MaskRCNN

CONFIG = tiny(paste="exact")


def image_of(boxes, height=300, width=400):
    image = np.zeros((height, width, 3), np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        image[y1:y2, x1:x2] = 100 + number % 100
    return image


def grid_of_boxes(height=300, width=400, side=12, step=23):
    corners = [(x, y) for y in range(3, height - side, step) for x in range(3, width - side, step)]
    return [(x, y, x + side, y + side) for x, y in corners]


class DetectsRectangles:
    """Stands for a model: its rows are the bright rectangles of each image, seen at half the size."""

    def __init__(self, keypoints=False):
        self.batches, self.keypoints = [], keypoints

    def __call__(self, images):
        self.batches.append([image.shape[:2] for image in images])
        for image in images:
            found = ndimage.find_objects(ndimage.label(image[..., 0])[0])
            boxes = [
                [x.start / 2, y.start / 2, x.stop / 2, y.stop / 2] for y, x, _ in [(*f, 0) for f in found]
            ]
            rows = len(boxes) + 1  # the last one is padding
            outputs = {
                "boxes": np.array([*boxes, [0] * 4], np.float32),
                "scores": np.full(rows, 0.9, np.float32),
                "classes": np.array([1] * len(boxes) + [0], np.int32),
                "masks": np.ones((rows, 28, 28), np.float32),
            }
            if self.keypoints:  # in the middle of each box
                middles = (outputs["boxes"][:, :2] + outputs["boxes"][:, 2:]) / 2
                outputs["keypoints"] = np.concatenate([middles, np.ones((rows, 1))], axis=1)[:, None]
            height, width = image.shape[:2]
            yield outputs, (height / 2, width / 2)


def found_in(image, tiles, masks="bool", limit=None, batch_size=3, config=CONFIG, model=None):
    run = model or DetectsRectangles()
    (found,) = detect_in([image], run, config, batch_size, masks, tiles, limit)
    return found


def by_place(boxes):
    return sorted(map(tuple, np.asarray(boxes, int).tolist()))


@pytest.mark.parametrize(("side", "overlap"), [(100, 25), (128, 30), (97, 13), (399, 100)])
@pytest.mark.parametrize("whole", [True, False])
def test_every_object_is_detected_once_and_where_it_is(side, overlap, whole):
    boxes = grid_of_boxes()
    found = found_in(image_of(boxes), Tiles(side, overlap, whole))
    assert by_place(found.boxes) == by_place(boxes)
    for box, mask in zip(np.asarray(found.boxes, int), found.masks, strict=True):
        x1, y1, x2, y2 = box
        assert mask.sum() == mask[y1:y2, x1:x2].sum() == (x2 - x1) * (y2 - y1)


def test_an_object_larger_than_the_tiles_is_one_with_or_without_the_whole_image():
    boxes = [(20, 30, 380, 60), (50, 100, 62, 112)]
    for whole in (True, False):
        found = found_in(image_of(boxes), Tiles(100, 25, whole))
        assert by_place(found.boxes) == by_place(boxes)
        large = found.masks[np.argmax(found.boxes[:, 2] - found.boxes[:, 0])]
        assert large[30:60, 20:380].all() and large.sum() == 360 * 30


def test_keypoints_move_with_their_tiles():
    boxes = grid_of_boxes(step=60)
    found = found_in(image_of(boxes), Tiles(100, 25), model=DetectsRectangles(keypoints=True))
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    np.testing.assert_allclose(found.keypoints[:, 0, :2], middles, atol=1e-4)


def test_mask_scores_come_through_tiles():
    class WithMaskScores(DetectsRectangles):
        def __call__(self, images):
            for outputs, size in super().__call__(images):
                # each mask scores by the brightness of its rectangle, seen at half the size
                middles = (outputs["boxes"][:, :2] + outputs["boxes"][:, 2:]).astype(int)
                image = images[0]
                values = [image[min(y, len(image) - 1), min(x, image.shape[1] - 1), 0] for x, y in middles]
                yield outputs | {"mask_scores": np.array(values, np.float32) / 255}, size

    image = image_of(grid_of_boxes(step=60))
    found = found_in(image, Tiles(100, 25), batch_size=1, model=WithMaskScores())
    x, y = ((found.boxes[:, :2] + found.boxes[:, 2:]) / 2).astype(int).T
    np.testing.assert_allclose(found.mask_scores, image[y, x, 0] / 255, atol=1e-6)


def test_rle_and_arrays_are_the_same_masks():
    image = image_of(grid_of_boxes(step=50))
    arrays, rles = (found_in(image, Tiles(100, 25), masks=kind) for kind in ("bool", "rle"))
    np.testing.assert_array_equal(arrays.masks, [rle_to_mask(rle) for rle in rles.masks])
    assert found_in(image, Tiles(100, 25), masks=None).masks is None


def test_the_limit_is_for_the_image_and_none_is_none():
    boxes = grid_of_boxes()
    assert len(boxes) == 13 * 17
    assert len(found_in(image_of(boxes), Tiles(100, 25), limit=40)) == 40
    assert len(found_in(image_of(boxes), Tiles(100, 25))) == len(boxes)


def test_batches_are_full_and_images_come_back_in_order():
    model = DetectsRectangles()
    images = [image_of([(10 * n, 5, 10 * n + 6, 11)], height=60 + 60 * (n % 2)) for n in range(1, 5)]
    found = list(detect_in(images, model, CONFIG, 4, "rle", Tiles(100, 25, whole=False)))
    assert [one.boxes[0, 0] for one in found] == [10, 20, 30, 40]
    assert [one.image is image for one, image in zip(found, images, strict=True)] == [True] * 4
    sizes = [len(batch) for batch in model.batches]
    assert sizes == [4] * (len(sizes) - 1) + [sizes[-1]] and sum(sizes) == 5 + 10 + 5 + 10


def test_masks_of_a_large_image_take_little_memory():
    boxes = [(x, y, x + 60, y + 60) for y in range(10, 2900, 190) for x in range(10, 3900, 190)]
    image = image_of(boxes, 3000, 4000)  # 12 megapixels
    tiles = Tiles(1024, 256)
    found_in(image[:200, :200], tiles)
    tracemalloc.start()
    found = found_in(image, tiles, masks="rle", batch_size=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == len(boxes) > 300
    # as arrays they would take 3.9 GB; the model itself labels the image in 32-bit numbers, 48 MB and twice that
    assert peak < 300e6


def test_boxes_that_rounding_leaves_without_area_keep_the_others_in_their_places():
    boxes = [(50, 50, 62, 62), (150, 50, 162, 62), (250, 150, 262, 162)]

    class WithSlivers(DetectsRectangles):
        def __call__(self, images):
            for outputs, size in super().__call__(images):
                thin = np.array([[1.1, 2, 1.2, 9]], np.float32)  # 2.2 to 2.4 in the image
                rows = {key: np.concatenate([value[:1], value]) for key, value in outputs.items()}
                yield rows | {"boxes": np.concatenate([thin, outputs["boxes"]])}, size

    config = dataclasses.replace(CONFIG, paste="matterport")
    found = found_in(image_of(boxes), Tiles(100, 25), model=WithSlivers(), config=config)
    assert by_place(found.boxes) == by_place(boxes)


def test_arguments_out_of_range_are_refused():
    assert make_tiles(None, None, True) is None
    assert make_tiles(1024, None, True) == Tiles(1024, 256)
    assert make_tiles(1024, 0, False) == Tiles(1024, 0, whole=False)
    with pytest.raises(ValueError, match="tile must be at least 1 pixel; got 0"):
        make_tiles(0, None, True)
    with pytest.raises(ValueError, match="tile_overlap must be at least 0 and less than tile 64; got 64"):
        make_tiles(64, 64, True)
    with pytest.raises(ValueError, match="tile_overlap=5 needs tile="):
        make_tiles(None, 5, True)


@pytest.fixture(scope="module")
def model():
    return MaskRCNN(tiny(score_threshold=0.0, max_detections=20))


def test_tiles_as_large_as_the_image_change_nothing(model):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, size, np.uint8) for size in ((90, 130, 3), (64, 64, 3))]
    for plain, tiled in zip(model.detect(images), model.detect(images, tile=130), strict=True):
        assert len(plain)
        for name in ("boxes", "scores", "class_ids", "masks"):
            np.testing.assert_array_equal(getattr(plain, name), getattr(tiled, name))


def test_a_model_in_tiles_detects_more_than_it_may_in_one_image(model):
    image = np.random.default_rng(1).integers(0, 255, (150, 210, 3), np.uint8)
    found = model.detect(image, tile=64, masks="rle", batch_size=4)[0]
    assert len(found) > 20
    assert (found.boxes[:, :2] >= 0).all() and (found.boxes[:, 2:] <= [210, 150]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert all(rle["size"] == [150, 210] for rle in found.masks)
    limited = model.detect(image, tile=64, masks="rle", batch_size=4, max_detections=7)[0]
    assert len(limited) == 7
