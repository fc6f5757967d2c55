"""The images that an artefact is compared on, as it takes them, and what its model finds in them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import skimage.data

from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.from_outputs import have_area, make_detections, original_boxes
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize_array import fitted_batch
from keras_maskrcnn.runtime.engines import Arrays


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One call of an artefact.

    Args:
        config: of the model.
        request: says what the artefact takes.
        images: `[H, W, C]` each; one, if it takes one.
    """

    config: Config
    request: Request
    images: list[np.ndarray]

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to see, so that many boxes tie, and which of them are kept is open."""
        return not any(image.any() for image in self.images)

    @property
    def inputs(self) -> Arrays:
        """What the artefact is given."""
        if self.request.inputs == "uint8":
            return {"image": self.images[0]}
        return self._batch

    @property
    def _batch(self) -> Arrays:
        batch, sizes = fitted_batch(self.images, self.config)
        return {"images": batch, "sizes": sizes}

    def run(self, model: Any) -> Arrays:
        """Return the model's own outputs, padded, in pixels of the resized images."""
        return {name: np.asarray(value) for name, value in model.predict_on_batch(self._batch).items()}

    def expected(self, model: Any) -> list[Arrays]:
        """Return of each image what the artefact should return."""
        outputs = self.run(model)
        found = self.rows(outputs, batched=True)
        if self.request.inputs == "uint8":
            found = [self._in_own_pixels(found[0])]
        elif self.request.masks == "pasted":
            found = [self._pasted(row) for row in found]
        return [
            {name: value for name, value in row.items() if name != "masks" or self.request.masks}
            for row in found
        ]

    def rows(self, outputs: Arrays, batched: bool | None = None) -> list[Arrays]:
        """Return the outputs of each image, of the artefact or of the model."""
        times = {name: value for name, value in outputs.items() if name == "seconds"}
        rest = {name: value for name, value in outputs.items() if name != "seconds"}
        if batched is None and self.request.inputs == "uint8":
            return [{**rest, **times}]
        return [
            {**{name: value[row] for name, value in rest.items()}, **times} for row in range(len(self.images))
        ]

    def _in_own_pixels(self, outputs: Arrays) -> Arrays:
        """Bring rows of the resized image to the pixels of the first image, as `detect` does."""
        size, (height, width) = self._batch["sizes"][0], self.images[0].shape[:2]
        boxes = original_boxes(outputs["boxes"], (height, width), size, self.config.square)
        boxes = np.clip(boxes, 0, [width, height] * 2)
        real = (outputs["classes"] > 0) & have_area(boxes, self.config.paste)
        pasted = self.request.masks == "pasted"
        found = self._detections(outputs, (height, width), size, "bool" if pasted else None)
        rows = {"boxes": found.boxes, "scores": found.scores, "classes": found.class_ids}
        rows |= {"masks": found.masks} if pasted else {}
        rows |= {"keypoints": found.keypoints} if found.keypoints is not None else {}
        rest = {name: value[real] for name, value in outputs.items() if name not in rows}
        return {**rest, **rows}

    def _pasted(self, outputs: Arrays) -> Arrays:
        """Paste the masks of rows into the padded image; nothing of a box that is rounded to nothing."""
        size = self._batch["images"].shape[1:3]
        real = outputs["classes"] > 0
        rows = {name: value[real] for name, value in outputs.items()}
        drawn = have_area(rows["boxes"], self.config.paste)
        masks = np.zeros((len(drawn), *size), bool)
        masks[drawn] = self._detections(rows, size, size, "bool").masks
        return {**rows, "masks": masks}

    def _detections(self, outputs: Arrays, size: Any, resized: Any, masks: str | None) -> Any:
        names = self.config.class_names
        return make_detections(
            outputs, size, resized, names, masks, paste=self.config.paste, square=self.config.square
        )


def make_cases(config: Config, request: Request, images: Sequence[Any] | None) -> list[Case]:
    """Return calls on a blank image and on each of the images, and on the first two together where that can be.

    The last is the one to be timed.

    Raises:
        ValueError: there are less than two images, or one cannot be read.
    """
    if images is not None and len(images) < 2:
        raise ValueError(
            f"images must be two or more, so that sizes and batches are tried; got {len(images)}"
        )
    read = [
        read_image(image, config.channels, False, config.intensity_percentiles)
        for image in images or _photos(config)
    ]
    if request.inputs == "uint8":
        wrong = next((image for image in read if image.dtype != np.uint8), None)
        if wrong is not None:
            raise ValueError(f'inputs="uint8" takes images of 8 bits; one of the images has {wrong.dtype}')
    cases = [Case(config, request, [np.zeros_like(read[0])])]
    cases += [Case(config, request, [image]) for image in read[1:]]
    if not request.one_image:
        cases.append(Case(config, request, read[:2]))
    return [*cases, Case(config, request, read[:1])]


def _photos(config: Config) -> list[np.ndarray]:
    # Cut so that they need padding, whatever the config's sizes are.
    photos = [skimage.data.astronaut()[:, :389], skimage.data.coffee()[:377]]
    if config.channels in (1, 3):
        return photos
    return [
        np.resize(photo.transpose(2, 0, 1), (config.channels, *photo.shape[:2])).transpose(1, 2, 0)
        for photo in photos
    ]
