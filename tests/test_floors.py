"""Imports go downward only: a module imports from lower floors, or from its own package beside it."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "keras_maskrcnn"
FLOORS = [
    {
        "config",
        "config_checks",
        "boxes",
        "ops",
        "op_library",
        "plain_roi_align",
        "winograd",
        "resizing",
        "keypoints",
        "custom_ops",
        "files",
        "embedded",
    },
    {
        "anchors",
        "images",
        "orientation",
        "masks",
        "segmentations",
        "captions",
        "drawing",
        "results",
        "layers",
    },
    {"model", "graphs", "training_graph", "parts", "detector", "tiling", "fitting"},
    {"weights", "data", "presets", "download"},
    {"evaluate", "scoring", "training", "pretrained", "advice", "anchor_matching", "memory", "checking"}
    | {"inspection", "target_inspection", "visualize"}
    | {"matching", "analysis", "plots", "evaluation_report"},
    {"cli", "commands", "api", "__init__"},
]


def part(module):
    return module.split(".")[1] if "." in module else "__init__"


def floor(name):
    return next(number for number, names in enumerate(FLOORS) if name in names)


def imports(path):
    """What a file imports from the package, leaving out what only type checkers see."""
    tree = ast.parse(path.read_text())
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and id(node) not in unseen
            and (node.module or "").startswith("keras_maskrcnn")
        ):
            if node.module == "keras_maskrcnn":
                yield from (f"keras_maskrcnn.{name.name}" for name in node.names)
            else:
                yield node.module


def test_every_file_has_a_floor_and_imports_from_those_below():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        own = relative.parts[0].removesuffix(".py")
        for module in imports(path):
            other = part(module)
            if other != own and floor(other) >= floor(own) and (own, other) not in SAME_FLOOR:
                wrong.append(f"{relative} imports {module}")
    assert not wrong


SAME_FLOOR = {
    ("config", "config_checks"),
    ("ops", "plain_roi_align"),
    ("ops", "winograd"),
    ("layers", "anchors"),
    ("images", "orientation"),
    ("masks", "segmentations"),
    ("results", "drawing"),
    ("results", "masks"),
    ("drawing", "masks"),
    ("drawing", "captions"),
    ("model", "detector"),
    ("detector", "tiling"),
    ("model", "fitting"),
    ("model", "graphs"),
    ("model", "training_graph"),
    ("training_graph", "graphs"),
    ("training_graph", "parts"),
    ("model", "parts"),
    ("graphs", "parts"),
    ("evaluate", "scoring"),
    ("advice", "anchor_matching"),
    ("memory", "anchor_matching"),
    ("checking", "advice"),
    ("checking", "memory"),
    ("target_inspection", "inspection"),
    ("visualize", "inspection"),
    ("visualize", "target_inspection"),
    ("matching", "scoring"),
    ("analysis", "scoring"),
    ("analysis", "matching"),
    ("plots", "analysis"),
    ("plots", "matching"),
    ("evaluation_report", "analysis"),
    ("evaluation_report", "matching"),
    ("evaluation_report", "plots"),
    ("evaluate", "analysis"),
    ("evaluate", "evaluation_report"),
    ("cli", "commands"),
    ("__init__", "api"),
    ("ops", "op_library"),
    ("op_library", "custom_ops"),
    ("op_library", "winograd"),
}
"""Neighbours that use one another, one way."""
