"""Good datasets made bad: one change drawn from a seed, and which objects it may have changed.

`broken(folder, seed)` writes a dataset of some format and changes one value of its JSON or text, or one of its files.
"""

import copy
import dataclasses
import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from dataset_files import WRITERS
from made_images import CLASSES, made_images
from PIL import Image

MADE = made_images(2)
ALL = frozenset((one.name, number) for one in MADE for number in range(len(one.shapes)))
ROWS = [(one.name, number) for one in MADE for number in range(len(one.shapes))]
WRONG = (
    None, True, "", "12", "text", "é漢字", "\ud800", "../..", "a\0b", [], {}, [[]], [None], {"id": 1}, 0, 1, -1, 2, 1.5,
    1e9, -1e9, 1e308, 10**400, 2**63, math.nan, math.inf, -math.inf, [math.nan], [1, 2, 3, 4], ["1", "2"], "NaN", 255,
)  # fmt: skip
NOT_IN_XML = dict.fromkeys([0, 0xD800])
"""Characters of those that no XML can hold."""


@dataclasses.dataclass
class Broken:
    """A dataset after one change."""

    format: str
    annotations: Path
    images: Path | None
    what: str
    """The change, for messages."""
    touched: frozenset
    """(image, number of the object) of those that may differ from the unbroken dataset's."""
    removed: bool
    """Whether what it touched may be gone without a word, since nothing tells that it was there."""
    names: set[str]
    """Of the files and folders of the dataset, before and after the change."""


def broken(folder: Path, seed: int) -> Broken:
    """Write a dataset and change it as the seed says."""
    rng = np.random.default_rng(seed)
    format_ = list(WRITERS)[seed % len(WRITERS)]
    annotations, images = WRITERS[format_](folder, MADE)
    names = _names(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    trees = [path for path in files if path.suffix == ".json"]
    texts = [path for path in files if path.suffix in (".txt", ".yaml", ".csv")]
    elements = [path for path in files if path.suffix == ".xml"]
    if trees and rng.random() < 0.7:
        what, touched, removed = _change_tree(trees[rng.integers(len(trees))], format_, rng)
    elif elements and rng.random() < 0.7:
        what, touched, removed = _change_elements(elements[0], rng)
    elif texts and rng.random() < 0.6:
        what, touched, removed = _change_text(texts[rng.integers(len(texts))], format_, rng)
    else:
        what, touched, removed = _change_file(files[rng.integers(len(files))], rng)
    return Broken(format_, annotations, images, what, touched, removed, names | _names(folder))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def _of_image(name: str) -> frozenset:
    return frozenset(one for one in ALL if one[0] == name)


def _of_class(name: str) -> frozenset:
    of_class = {
        (one.name, number)
        for one in MADE
        for number, shape in enumerate(one.shapes)
        if shape.class_name == name
    }
    return frozenset(of_class)


# JSON


def _change_tree(path: Path, format_: str, rng: np.random.Generator) -> tuple[str, frozenset, bool]:
    tree = json.loads(path.read_text())
    places = list(_places(tree))
    # Half of the changes deep inside: most places are numbers of polygons.
    shallow = [place for place in places if len(place) < 5]
    chosen = shallow if rng.random() < 0.5 else places
    place = chosen[rng.integers(len(chosen))]
    changed, how, removed, places = _changed(tree, place, rng)
    path.write_text(json.dumps(changed))
    owners = [_owner(format_, tree, one, path) for one in places]
    touched, depth = frozenset.union(*(owner for owner, _ in owners)), owners[0][1]
    return f"{path.name}: {how} at {'/'.join(map(str, place))}", touched, removed and len(place) <= depth


def _places(tree, place=()):
    yield place
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        yield from _places(value, (*place, key))


def _changed(tree, place, rng):
    """Return a copy of the tree, changed at a place; what was done, whether something was taken away, and where."""
    tree = copy.deepcopy(tree)
    if not place:
        wrong = WRONG[rng.integers(len(WRONG))]
        return wrong, f"{wrong!r}", True, [place]
    holder = tree
    for key in place[:-1]:
        holder = holder[key]
    key, value = place[-1], holder[place[-1]]
    action = rng.choice(["delete", "wrong", "wrong", "wrong", "text", "twice", "swap", "shift", "empty"])
    if action == "delete":
        del holder[key]
        return tree, "deleted", True, [place]
    if action == "twice" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(value))
        return tree, "twice", False, [place]
    if action == "swap" and len(holder) > 1:
        others = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        other = others[rng.integers(len(others))]
        holder[key], holder[other] = holder[other], holder[key]
        emptied = not holder[key] or not holder[other]
        return tree, f"swapped with {other}", emptied, [place, (*place[:-1], other)]
    if action == "shift" and isinstance(value, (int, float)):
        holder[key] = value + float(rng.normal(0, 200))
        return tree, f"{value} became {holder[key]}", False, [place]
    if action == "empty" and isinstance(value, (list, dict)):
        holder[key] = type(value)()
        return tree, "emptied", True, [place]
    holder[key] = str(value) if action == "text" else WRONG[rng.integers(len(WRONG))]
    how = f"{str(value)[:40]!r} became {str(holder[key])[:40]!r}"
    return tree, how, holder[key] in (None, [], {}, ""), [place]


def _owner(format_, tree, place, path) -> tuple[frozenset, int]:
    """The objects that a value of the unbroken tree is about, and how deep in the tree an object lies."""
    if format_ == "results" and place:
        return frozenset([ROWS[place[0]]]), 1
    if format_ == "coco" and len(place) > 1:
        part, number = place[:2]
        if part == "annotations":
            return frozenset([ROWS[number]]), 2
        return (_of_image(MADE[number].name) if part == "images" else _of_class(CLASSES[number])), 2
    if format_ == "labelme":
        if len(place) > 1 and place[0] == "shapes":
            return frozenset([(path.stem, place[1])]), 2
        return _of_image(path.stem), 1
    if format_.startswith("via"):
        place = place[1:] if "_via_img_metadata" in tree else place
        depth = 3 + ("_via_img_metadata" in tree)
        if place:
            image = place[0].partition(".png")[0]
            if len(place) > 2 and place[1] == "regions":
                return frozenset([(image, int(place[2]))]), depth
            return _of_image(image), depth
    if format_ == "label-studio" and place:
        image = MADE[place[0]].name
        is_result = len(place) > 4 and place[1] == "annotations" and place[3] == "result"
        return (frozenset([(image, place[4])]) if is_result else _of_image(image)), 5
    if format_ == "label images" and place:
        touched = _of_image(place[0])
        return (touched if len(place) == 1 else frozenset([(place[0], int(place[1]) // 1000 - 1)])), 2
    return ALL, 9


# Text


def _change_text(path: Path, format_: str, rng: np.random.Generator) -> tuple[str, frozenset, bool]:
    lines = path.read_text().splitlines()
    number = int(rng.integers(len(lines)))
    before, removed = lines[number], False
    action = rng.choice(["delete", "word", "word", "word", "cut", "twice", "junk", "negative"])
    words = before.split(",") if path.suffix == ".csv" else before.split(" ")
    place = int(rng.integers(len(words)))
    if action == "delete":
        del lines[number]
        removed = True
    elif action == "twice":
        lines.insert(number, before)
    elif action == "junk":
        lines[number] = "".join(chr(c) for c in rng.integers(1, 0x2FFF, 30))
    elif action == "cut":
        lines[number] = before[: int(rng.integers(len(before) + 1))]
        removed = not lines[number].strip()
    else:
        words[place] = (
            f"-{words[place]}" if action == "negative" else str(WRONG[rng.integers(len(WRONG))])[:50]
        )
        lines[number] = ("," if path.suffix == ".csv" else " ").join(words)
        removed = not lines[number].strip()
    path.write_text("\n".join(lines) + "\n", errors="surrogatepass")
    touched = ALL
    if format_ == "yolo" and path.suffix == ".txt" and len(lines) > 1:
        touched = frozenset([(path.stem, number)])
    elif format_ == "rle-csv" and 0 < number <= len(ROWS):
        touched = frozenset([ROWS[number - 1]])
    after = lines[number] if number < len(lines) else ""
    return f"{path.name}: {action} of line {number}: {before[:60]!r} became {after[:60]!r}", touched, removed


# XML


def _change_elements(path: Path, rng: np.random.Generator) -> tuple[str, frozenset, bool]:
    root = ElementTree.fromstring(path.read_text())
    parents = [(parent, child) for parent in root.iter() for child in parent]
    parent, child = parents[rng.integers(len(parents))]
    number, keys = list(parent).index(child), list(child.keys())
    if parent.tag == "image":
        touched = frozenset([(parent.get("name").removesuffix(".png"), number)])
    else:
        touched = _of_image(child.get("name", "").removesuffix(".png")) or ALL
    action = rng.choice(["delete", "twice", "tag", "emptied", "value", "value", "value", "value", "no value"])
    if action == "delete":
        parent.remove(child)
    elif action == "twice":
        parent.insert(number, copy.deepcopy(child))
    elif action == "tag":
        child.tag = str(rng.choice(["tag", "track", "points", "cuboid", "image", "other"]))
    elif action == "emptied":
        child.clear()
    elif not keys:
        child.text = str(WRONG[rng.integers(len(WRONG))]).translate(NOT_IN_XML)[:50]
    else:
        key = keys[rng.integers(len(keys))]
        wrong = str(WRONG[rng.integers(len(WRONG))]).translate(NOT_IN_XML)[:50]
        child.attrib.update({key: wrong} if action == "value" else {})
        if action == "no value":
            del child.attrib[key]
        action = f"{action} of {key}: {wrong!r}"
    path.write_text(ElementTree.tostring(root, encoding="unicode"))
    removed = action in ("delete", "emptied", "tag")
    return f"{path.name}: {action} of {child.tag} {number} of {parent.tag}", touched, removed


# Files


def _change_file(path: Path, rng: np.random.Generator) -> tuple[str, frozenset, bool]:
    action = rng.choice(
        ["cut", "flip", "flip", "rename", "delete", "empty", "resize", "other kind", "folder"]
    )
    places = (path.stem, *(parent.name for parent in path.parents[:3]))
    owners = [one.name for one in MADE if one.name in places]
    touched = _of_image(owners[0]) if owners else ALL
    content = path.read_bytes()
    lines = path.suffix in (".txt", ".csv")  # an object each
    removed = action in ("delete", "rename", "folder") or (lines and action in ("cut", "empty"))
    if action == "cut":
        path.write_bytes(content[: int(rng.integers(len(content)))])
    elif action == "flip":
        changed = np.frombuffer(content, np.uint8).copy()
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed.tobytes())
    elif action == "rename":
        path.rename(path.with_name(f"renamed {path.name}"))
    elif action == "delete":
        path.unlink()
    elif action == "empty":
        path.write_bytes(b"")
    elif action == "resize" and path.suffix in (".png", ".jpg"):
        with Image.open(path) as image:
            changed = image.resize((image.width + int(rng.integers(-3, 4)), image.height - 1))
        changed.save(path)
    elif action == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content.decode("latin-1").encode("utf-16"))
    return f"{path.parent.name}/{path.name}: {action}", touched, removed
