"""Packs the polygons of a JSON file while it is read, so that they are never all there as numbers of Python."""

from typing import Any

from keras_maskrcnn.masks.packed_polygons import is_packed, pack_polygons, unpacked

_TOGETHER = 128
"""Annotations that are packed at once; the polygons of more would leave the processor's cache."""


class AnnotationPacker:
    """What `read_json` calls with each object of a file; `finish` is to be called at its end."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if type(row.get("segmentation")) is list and "image_id" in row:
            self._waiting.append(row)
            if len(self._waiting) == _TOGETHER:
                self.finish()
        return row

    def finish(self) -> None:
        """Pack the polygons of the last annotations."""
        packed = pack_polygons([row["segmentation"] for row in self._waiting])
        for row, segmentation in zip(self._waiting, packed, strict=True):
            row["segmentation"] = segmentation
        self._waiting.clear()


def as_in_file(annotation: dict[str, Any]) -> dict[str, Any]:
    """Return an annotation as it was before it was packed, if it was; numbers of polygons are floats."""
    segmentation = annotation.get("segmentation")
    return {**annotation, "segmentation": unpacked(segmentation)} if is_packed(segmentation) else annotation
