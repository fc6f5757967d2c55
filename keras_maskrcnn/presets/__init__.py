"""The table of published weights, which needs no TensorFlow."""

import difflib

from keras_maskrcnn.presets import backbones, detectron2, matterport, mmdet, packaged, torchvision
from keras_maskrcnn.presets.preset import Preset

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for module in (packaged, torchvision, detectron2, mmdet, matterport, backbones)
    for preset in module.PRESETS
}


def list_pretrained() -> dict[str, Preset]:
    """Return what is known of each published file of weights; `maskrcnn models` prints it.

    Returns:
        A new dict of `Preset` by the name that `load_pretrained` takes.

    Example:
        ```python
        import keras_maskrcnn as km

        for name, preset in km.list_pretrained().items():
            if (preset.mask_ap or 0) > 43:
                print(name, preset.source, preset.mask_ap)
        ```
    """
    return dict(PRESETS)


def find_preset(name: str) -> Preset:
    """Return the row of this name.

    Raises:
        ValueError: there is none; the message lists the nearest names.
    """
    if name in PRESETS:
        return PRESETS[name]
    # Without their folders and case too, as "mask_rcnn_r_50_fpn" is nearer to its row than it looks.
    short = {known.rsplit("/", 1)[-1].lower(): known for known in reversed(PRESETS)}
    wanted = name.rsplit("/", 1)[-1].lower()
    near = [known for known in PRESETS if wanted in known.lower()]
    near += [short[match] for match in difflib.get_close_matches(wanted, short, n=3)]
    near += difflib.get_close_matches(name, PRESETS, n=3)
    near = list(dict.fromkeys(near))
    nearest = f"nearest: {', '.join(near[:4])}" if near else "`maskrcnn models` lists them"
    raise ValueError(f"No published model is called {name!r}; {nearest}")
