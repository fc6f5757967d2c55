"""Records written in any format that has a writer, by one function."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_maskrcnn.data.formats import FORMATS
from keras_maskrcnn.data.records import Record


def write_dataset(
    target: str | Path,
    records: Sequence[Record],
    class_names: Sequence[str],
    format: str,
    image_folder: str | Path | None = None,
    scores: Sequence[np.ndarray | None] | None = None,
) -> None:
    """Write records in a format of annotations; the writers of the formats say more of each.

    What a format cannot say is told by a warning with counts.

    Args:
        target: the file ("coco", "cvat", "label-studio"), or the folder ("labelme", "yolo").
        records: images and their objects.
        class_names: K names, class k being class_names[k - 1].
        format: "coco" (`write_coco` with save_images and polygons), "cvat", "label-studio", "labelme" or "yolo".
        image_folder: the folder that images are named from; left out: what the writer of the format says.
        scores: one [N] array in 0..1 for each record, or None, of predictions, as `detections_to_record` returns it;
            written where the format has a place for it.

    Raises:
        ValueError: there is no such format or it is only read, or as the format's writer.

    Example:
        ```python
        import keras_maskrcnn as km
        import tempfile
        import numpy as np

        folder = tempfile.mkdtemp()
        mask = np.zeros((1, 40, 60), bool)
        mask[0, 5:35, 10:30] = True
        image = np.zeros((40, 60, 3), np.uint8)
        record = km.make_record(image, masks=mask, class_ids=[1], image_id="a")
        km.write_dataset(folder, [record], ["nut"], "labelme")
        records, class_names = km.load_dataset(folder)
        print(class_names, records[0].boxes)  # ['nut'] [[10. 5. 30. 35.]]
        ```
    """
    writers = {row.name: row.write for row in FORMATS if row.write is not None}
    if format not in writers:
        raise ValueError(f"format must be one that can be written, {', '.join(writers)}; got {format!r}")
    writers[format](target, records, class_names, image_folder=image_folder, scores=scores)
