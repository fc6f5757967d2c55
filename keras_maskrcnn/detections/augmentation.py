"""Test-time augmentation: objects detected in several views of an image, and one result of it all.

By Detectron2's rule (`GeneralizedRCNNWithTTA`): what is detected in all views is merged by NMS, then the mask head runs
on the merged boxes in each view, and the mask probabilities are averaged.

V views of an image; B images of a batch; D rows per image.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.batching import Run
from keras_maskrcnn.detections.from_outputs import Outputs, original_boxes
from keras_maskrcnn.detections.views import View

Detect = Callable[[list[np.ndarray], Config], Iterable[tuple[Outputs, tuple[int, int]]]]
"""Runs the model on a batch, resized as a config says; else as `Run`. Only boxes, scores and classes are needed."""
Merge = Callable[[np.ndarray, np.ndarray, np.ndarray], Outputs]
"""NMS of boxes `[N, 4]`, scores `[N]` and classes `[N]`, 0 for padding rows: as rows of outputs."""
Predict = Callable[[list[np.ndarray], list[Outputs], Config], Iterable[Outputs]]
"""Runs the RoI heads on the boxes, scores and classes of each image of a batch, in pixels of the resized image."""


def augmented(
    views: Sequence[View], config: Config, detect: Detect, merge: Merge, predict: Predict | None
) -> Run:
    """Return what runs a model on all views of each image and gives one result, in pixels of the image as given.

    The views of a batch's images go through the model one after the other, so a batch is no larger than without.

    Args:
        views: V views.
        config: of the model.
        detect: the model, as far as its boxes.
        merge: what makes one list of detections of those of all views.
        predict: the model's RoI heads; None if it has none or they are not asked for. What they predict is averaged.
    """

    def run(images: list[np.ndarray]) -> Iterable[tuple[Outputs, tuple[int, int]]]:
        found = [list(detect([view.image(image) for image in images], view.config(config))) for view in views]
        merged = [
            _merged(views, rows, image.shape[:2], config, merge)
            for image, *rows in zip(images, *found, strict=True)
        ]
        if predict is not None:
            sizes = [[size for _, size in of_view] for of_view in found]
            merged = _with_heads(views, images, sizes, merged, config, predict)
        for image, rows in zip(images, merged, strict=True):
            yield rows, image.shape[:2]

    return run


def _merged(
    views: Sequence[View],
    found: Sequence[tuple[Outputs, tuple[int, int]]],
    size: tuple[int, int],
    config: Config,
    merge: Merge,
) -> Outputs:
    """One list of detections of those of an image's V views, in its pixels."""
    boxes = []
    for view, (outputs, resized) in zip(views, found, strict=True):
        height, width = size[::-1] if view.transpose else size
        seen = original_boxes(outputs["boxes"], (height, width), resized, config.square)
        seen = np.clip(seen, 0, np.array([width, height] * 2, seen.dtype))
        boxes.append(view.original_boxes(seen, size))
    scores, classes = (
        np.concatenate([outputs[name] for outputs, _ in found]) for name in ("scores", "classes")
    )
    return merge(np.concatenate(boxes).astype(np.float32), scores, classes)


def _with_heads(
    views: Sequence[View],
    images: list[np.ndarray],
    sizes: list[list[tuple[int, int]]],
    merged: list[Outputs],
    config: Config,
    predict: Predict,
) -> list[Outputs]:
    """The detections of B images with what the RoI heads predict of them, averaged over the views.

    `sizes [V][B]` are the (height, width) that views were resized to.
    """
    sums: list[dict[str, np.ndarray]] = [{} for _ in images]
    for view, resized in zip(views, sizes, strict=True):
        given: list[Outputs] = [
            {**rows, "boxes": _resized_boxes(view, rows["boxes"], image.shape[:2], to, config.square)}
            for rows, image, to in zip(merged, images, resized, strict=True)
        ]
        predicted = predict([view.image(image) for image in images], given, view.config(config))
        for total, outputs in zip(sums, predicted, strict=True):
            for name, values in outputs.items():
                values = view.original_masks(values) if name == "masks" else values
                total[name] = total[name] + values if name in total else values
    return [
        {**rows, **{name: values / len(views) for name, values in total.items()}}
        for rows, total in zip(merged, sums, strict=True)
    ]


def _resized_boxes(
    view: View, boxes: np.ndarray, size: tuple[int, int], resized: tuple[int, int], square: bool
) -> np.ndarray:
    """Boxes `[D, 4]` of an image of `size` in pixels of its view, which was resized to `resized`."""
    seen = view.boxes(boxes, size)
    # from the image to the resized one is the way back between the two
    return original_boxes(seen, resized, size[::-1] if view.transpose else size, square)
