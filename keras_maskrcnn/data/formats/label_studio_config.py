"""The labelling config of a Label Studio project, by which its regions can be shown and drawn."""

from collections.abc import Collection, Sequence
from xml.sax.saxutils import quoteattr

from keras_maskrcnn.data.formats.label_studio_shapes import POINT

IMAGE = "image"
"""What the image is called, in the config and in a task's "data"."""
TAGS = {
    "polygon": "PolygonLabels",
    "brush": "BrushLabels",
    "rectangle": "RectangleLabels",
    POINT: "KeyPointLabels",
}
"""By the kind of region; a tag is called like its kind."""


def labelling_config(
    kinds: Collection[str], class_names: Sequence[str], keypoint_names: Sequence[str] = ()
) -> str:
    """Return the config, XML, of a project with regions of these kinds, those of `TAGS`."""
    lines = ["<View>", f'  <Image name="{IMAGE}" value="${IMAGE}" zoom="true"/>']
    for kind, tag in TAGS.items():
        if kind in kinds:
            # Label Studio's export to COCO takes the order of keypoints from model_index.
            labels = (
                [f'value={quoteattr(name)} model_index="{n}"' for n, name in enumerate(keypoint_names)]
                if kind == POINT
                else [f"value={quoteattr(name)}" for name in class_names]
            )
            lines.append(f'  <{tag} name="{kind}" toName="{IMAGE}">')
            lines += [f"    <Label {label}/>" for label in labels]
            lines.append(f"  </{tag}>")
    return "\n".join([*lines, "</View>", ""])
