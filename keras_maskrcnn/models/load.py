"""Models from files: saved by Keras, or published."""

import os
from collections.abc import Sequence
from typing import Any

from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.weights.pretrained import build_pretrained
from keras_maskrcnn.weights.transfer import read_model


def load_model(path: str | os.PathLike, compile: bool = True) -> MaskRCNN:
    """Read a model that `model.save` or `maskrcnn train` wrote as `.keras`, or that `model.save` published.

    Args:
        path: of the file, of the folder that `model.save(folder, zipped=False)` wrote, or "hf://NAME/MODEL" on the
            Hugging Face Hub, which `pip install 'keras3-maskrcnn[hub]'` fetches and keeps in the Hub's own cache.
        compile: whether the model is compiled as it was saved, to go on training.

    Raises:
        ValueError: the file is missing or damaged, or holds another kind of model, or weights that are NaN or Inf; the
            message names it.
        ConnectionError: the model cannot be fetched from the Hub.
        ModuleNotFoundError: that needs huggingface_hub, which is not installed.

    Example:
        ```python
        import keras_maskrcnn as km

        config = km.Config(class_names=("coin",), depth=18, mask_head="none", fpn_channels=32, box_head_channels=32)
        km.MaskRCNN(config).save("coins.keras")
        print(km.load_model("coins.keras").config.class_names)  # ('coin',)
        ```
    """
    return read_model(path, MaskRCNN, compile)


def load_pretrained(
    name: str | Preset,
    weights: str | os.PathLike | None = None,
    class_names: Sequence[str] | None = None,
    cache_dir: str | os.PathLike | None = None,
    **changes: Any,
) -> MaskRCNN:
    """Return a model with published weights, which come with this package or are downloaded once and kept.

    Args:
        name: what the publishers call the model, as `list_pretrained` has it, or a custom `Preset`. With the name of
            a backbone all but the backbone is new.
        weights: a file to load instead of the published one: a checkpoint of the same architecture, in any format of
            the model's source, or a `.keras` file. This package's own
            (`maskrcnn convert`) and MMDetection's tell their classes. If another has another number of classes than the
            published model, `class_names` must name them; Matterport's files can do without, and may have another
            depth. If it has as many, they are taken to be the published ones.
        class_names: the classes of the model without the background, if they are to be others than the published
            ones. Layers that depend on them are new then; the log names them at level INFO.
        cache_dir: where downloads are kept; Keras' own folder, `$KERAS_HOME` or `~/.keras`, holds it by default.
        changes: other fields of the Config, such as `score_threshold=0.5` or `frozen_stages=0`.

    Returns:
        The model, in Keras' dtype policy, ready for `detect` or, compiled, for `fit`.

    Raises:
        ValueError: the name is unknown (the message lists the nearest ones); the file is broken, is of another model,
            or has other classes than those named; a field of the Config is refused; or a custom `Preset`
            has no url and no weights are given.
        FileNotFoundError: there is no file `weights`.
        ConnectionError: the file cannot be downloaded; the message says where to put it by hand.

    Example:
        ```python
        import keras_maskrcnn as km

        # load_pretrained("maskrcnn_resnet50_fpn_v2_coco") downloads; here a local file and a custom preset do.
        config = km.Config(class_names=("coin",), depth=18, mask_head="none", fpn_channels=32, box_head_channels=32)
        km.MaskRCNN(config).save("coins.keras")
        preset = km.Preset("my_coins", config, source="torchvision", url="https://example.org/coins.pth")

        model = km.load_pretrained(preset, weights="coins.keras", class_names=["cat", "dog"], score_threshold=0.5)
        print(model.config.class_names)  # ('cat', 'dog'): box_head's logits and deltas are new, all else is loaded
        ```
    """
    return build_pretrained(MaskRCNN, name, weights, class_names, cache_dir, **changes)
