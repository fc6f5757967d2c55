"""An artefact that detects as the model did, with numpy and the artefact's own runtime."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.detections.batching import check_call, detect_in, make_tiles
from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.detections.from_outputs import Outputs
from keras_maskrcnn.detections.views import Augment
from keras_maskrcnn.images.given import as_list
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize_array import fitted_batch
from keras_maskrcnn.runtime.description import read_description
from keras_maskrcnn.runtime.engines import load_engine
from keras_maskrcnn.video.detecting import DetectsVideo


class ExportedModel(DetectsVideo):
    """A model that `keras_maskrcnn.export` has written, read back; TensorFlow is not loaded but for a SavedModel.

    Args:
        path: a `.onnx` or `.tflite` file, or the folder of a SavedModel or of OpenVINO's files, with its description.
        threads: of the runtime; None for its own choice.

    Raises:
        FileNotFoundError: the artefact or its description is not there.
        ValueError: it is no artefact, its description is of a later version, or its masks are pasted already.
        ImportError: its runtime is not installed.

    Example:
        <!-- not run: it needs an artefact -->
        ```python
        from keras_maskrcnn.runtime import ExportedModel

        model = ExportedModel("cells.onnx")
        for detections in model.detect(["one.png", "two.png"], score_threshold=0.5):
            print(detections)
        ```
    """

    def __init__(self, path: str | os.PathLike, threads: int | None = None):
        self.description = read_description(path)
        if self.description["masks"] == "pasted":
            raise ValueError(
                f"{path}: its masks are pasted within it, which leaves nothing to do here: run it with its own "
                'runtime, or export it with masks="crops"'
            )
        self.config = Config.from_dict(self.description["config"])
        self._engine, self._name = load_engine(Path(path), threads), Path(path).name

    @property
    def name(self) -> str:
        """That of its file or folder."""
        return self._name

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.config.class_names

    def detect(
        self,
        images: Any,
        batch_size: int = 1,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        masks: Literal["bool", "rle"] | None = "bool",
        tile: int | None = None,
        tile_overlap: int | None = None,
        tile_whole: bool = True,
        augment: Augment = None,
    ) -> list[Detections]:
        """Find the objects in images of any sizes, as `MaskRCNN.detect` does, which says what the arguments are.

        Returns:
            One `Detections` per image, in pixels of the image.

        Raises:
            FileNotFoundError: a path does not exist.
            ValueError: an image cannot be read; or `score_threshold` is below the artefact's, or `max_detections` above
                it: what it leaves out cannot be had from it; or `augment` is not None: views are joined within a model.
        """
        limits = batch_size, score_threshold, max_detections
        return list(self.detect_iter(images, *limits, masks, tile, tile_overlap, tile_whole, augment))

    def detect_iter(
        self,
        images: Iterable[Any],
        batch_size: int = 1,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        masks: Literal["bool", "rle"] | None = "bool",
        tile: int | None = None,
        tile_overlap: int | None = None,
        tile_whole: bool = True,
        augment: Augment = None,
    ) -> Iterator[Detections]:
        """As `detect`, one `Detections` at a time, so that memory does not grow with the number of images."""
        check_call(masks, batch_size)
        if augment is not None:
            raise ValueError(
                f"augment={augment!r}: an artefact's masks of several views cannot be joined; use the model itself"
            )
        tiles = make_tiles(tile, tile_overlap, tile_whole)
        threshold, limit = self._limits(score_threshold, max_detections, tiles is not None)
        reading = self.config.channels, tiles is not None, self.config.intensity_percentiles
        read = (read_image(image, *reading) for image in as_list(images))

        def run(batch: list[np.ndarray]) -> Iterator[tuple[Outputs, tuple[int, int]]]:
            for outputs, size in self._outputs(batch):
                kept = outputs["scores"] > threshold
                kept[limit:] = False
                yield {name: value[kept] for name, value in outputs.items()}, size

        yield from detect_in(read, run, self.config, batch_size, masks, tiles, max_detections)

    def _limits(
        self, score_threshold: float | None, max_detections: int | None, tiled: bool
    ) -> tuple[float, int]:
        """Return the least score and the most detections of an image or tile."""
        own = self.config
        threshold = own.score_threshold if score_threshold is None else score_threshold
        limit = own.max_detections if max_detections is None else max_detections
        if not own.score_threshold <= threshold <= 1:
            raise ValueError(
                f"score_threshold must be from the artefact's {own.score_threshold} to 1; got {score_threshold}: "
                "export a model with a lower Config.score_threshold for more"
            )
        if limit < 1 or (limit > own.max_detections and not tiled):
            raise ValueError(
                f"max_detections must be from 1 to the artefact's {own.max_detections}; got {max_detections}: export a "
                "model with more Config.max_detections for more"
            )
        return threshold, min(limit, own.max_detections)

    def _outputs(self, images: list[np.ndarray]) -> Iterator[tuple[dict[str, np.ndarray], tuple[int, int]]]:
        """Yield the artefact's outputs for each image, and the size that it was resized to."""
        if self.description["inputs"] == "uint8":
            for image in images:
                if image.dtype != np.uint8:
                    raise ValueError(f"the artefact takes images of 8 bits; got one of {image.dtype}")
                yield self._engine({"image": image}), image.shape[:2]
            return
        calls = [[image] for image in images] if self.description["one_image"] else [images]
        for call in calls:
            batch, sizes = fitted_batch(call, self.config)
            outputs = self._engine({"images": batch, "sizes": sizes})
            for row, size in enumerate(sizes.tolist()):
                yield {name: value[row] for name, value in outputs.items()}, tuple(size)
