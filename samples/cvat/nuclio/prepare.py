"""Make the folder that nuclio deploys as a function of CVAT: handler, model, and a function.yaml with its labels.

    python samples/cvat/nuclio/prepare.py best.keras function/ --name bolts-and-nuts
    nuctl deploy --project-name cvat --path function/ --platform local

The model is a .keras file or the name of a published model (maskrcnn models). A class is one label of CVAT, which holds
one kind of shape: skeletons if the model finds keypoints, else masks, else boxes; --shapes chooses another.
"""

import argparse
import json
import math
import shutil
from pathlib import Path

import yaml
from main import shapes_of

import keras_maskrcnn as km

HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a .keras file, or the name of a published model")
    parser.add_argument("folder", type=Path, help="to make")
    parser.add_argument("--shapes", choices=["mask", "rectangle", "skeleton"], help="what CVAT is to draw")
    parser.add_argument(
        "--name", default="keras-maskrcnn", help="of the function, in small letters and hyphens"
    )
    args = parser.parse_args()
    path = Path(args.model) if args.model.endswith(".keras") else None
    model = km.load_pretrained(args.model) if path is None else km.load_model(path)
    shapes = args.shapes or shapes_of(model.config)
    args.folder.mkdir(parents=True)
    shutil.copy(HERE / "main.py", args.folder)
    if path is not None:
        shutil.copy(path, args.folder)
    function = yaml.safe_load((HERE / "function.yaml").read_text())
    function["metadata"]["name"] = args.name
    function["metadata"]["annotations"]["name"] = args.name
    function["metadata"]["annotations"]["spec"] = json.dumps(labels(model.config, shapes), indent=1)
    function["spec"]["build"]["image"] = f"cvat.{args.name}"
    function["spec"]["env"] = [
        {"name": "MODEL", "value": args.model if path is None else path.name},
        {"name": "SHAPES", "value": shapes},
    ]
    (args.folder / "function.yaml").write_text(yaml.safe_dump(function, sort_keys=False))
    print(f"nuctl deploy --project-name cvat --path {args.folder} --platform local")


def labels(config, shapes):
    """Return CVAT's description of the labels, which a task can be made with as well (Raw)."""
    rows = [
        {"id": number, "name": name, "type": shapes, "attributes": []}
        for number, name in enumerate(config.class_names, start=1)
    ]
    if shapes == "skeleton":
        points = [
            {"id": number, "name": name, "type": "points", "attributes": []}
            for number, name in enumerate(config.keypoint_names)
        ]
        for row in rows:
            row.update(sublabels=points, svg=drawing(config.keypoint_names))
    return rows


def drawing(names):
    """Where CVAT shows the points of a skeleton before it is drawn: on a circle."""
    nodes = []
    for number, name in enumerate(names, start=1):
        angle = 2 * math.pi * number / len(names)
        place = f'cx="{50 + 40 * math.sin(angle):.2f}" cy="{50 - 40 * math.cos(angle):.2f}"'
        node = f'data-type="element node" data-element-id="{number}" data-node-id="{number}"'
        nodes.append(f'<circle r="1.5" fill="#b3b3b3" {place} {node} data-label-name="{name}"></circle>')
    return "".join(nodes)


if __name__ == "__main__":
    main()
