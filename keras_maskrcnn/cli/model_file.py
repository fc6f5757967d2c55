"""The models that a command line names: `.keras` files, and published ones."""

from collections.abc import Sequence
from pathlib import Path

from keras_maskrcnn.models.load import load_model, load_pretrained
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS


def open_model(
    model: str | Path, weights: Path | None = None, class_names: Sequence[str] | None = None
) -> MaskRCNN:
    """Return the model of a `.keras` file, or the published one of this name.

    Args:
        model: a path, or a name that `maskrcnn models` lists; a name goes before a file of the same name.
        weights: with a name, a checkpoint to use instead of the published one.
        class_names: with a name, as in `load_pretrained`; of a backbone it may be left out, and is one class then.

    Raises:
        ValueError: see `load_pretrained` and `load_model`.
    """
    if str(model) not in PRESETS:
        return load_model(model, compile=False)
    if PRESETS[str(model)].is_backbone and class_names is None:
        class_names = PRESETS[str(model)].config.class_names
    return load_pretrained(str(model), weights, class_names)
