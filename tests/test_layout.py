"""The layout: one ordered list of packages, each importing only from those before it, and no import circle."""

import ast
import graphlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "keras_maskrcnn"
ORDER = (
    "config", "utils", "ops", "masks", "images", "layers", "drawing", "presets", "detections", "video", "runtime",
    "data", "training", "network", "weights", "artefacts", "models", "evaluation", "diagnostics", "serving", "api",
    "cli",
)  # fmt: skip
"""The packages from the bottom to the top."""
ENTRY_POINTS = {"__init__.py", "api.py", "model.py"}
"""All that lies beside the packages; `model.py` is where files saved by version 0.1.0 look for MaskRCNN."""


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The package's modules that a file imports, at its top, in functions or for type checkers."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name in known}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= (names & set(known)) or ({node.module} & set(known))
    return found


def package(module: str) -> str:
    """The place in ORDER of a module; that of the entry points is the API's."""
    own = module.split(".")[1] if "." in module else "api"
    return own if own in ORDER else "api"


def test_packages_import_only_from_those_before_them():
    known = modules()
    wrong = []
    for name, path in known.items():
        for other in imports(path, known):
            own, theirs = package(name), package(other)
            if theirs != own and ORDER.index(theirs) > ORDER.index(own):
                wrong.append(f"{name} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_by_way_of_others():
    known = modules()
    graph = {name: imports(path, known) - {"keras_maskrcnn"} for name, path in known.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # a CycleError names the circle
    assert set(order) == set(graph)


def test_only_entry_points_lie_beside_the_packages():
    assert {path.name for path in PACKAGE.glob("*.py")} <= ENTRY_POINTS
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders | {"api"} == set(ORDER)


def test_the_repository_has_no_links():
    assert not [path for path in PACKAGE.parent.rglob("*") if path.is_symlink() and ".venv" not in path.parts]
