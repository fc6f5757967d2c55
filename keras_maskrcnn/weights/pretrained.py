"""Published weights by name: downloaded, checked, converted once and loaded; or a custom file of the architecture."""

import dataclasses
import hashlib
import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.fields import network_fields
from keras_maskrcnn.presets import find_preset
from keras_maskrcnn.presets.preset import Preset
from keras_maskrcnn.utils.files import file_hash, written_whole
from keras_maskrcnn.weights.checkpoint import BEGINNINGS, SOURCES, current_names
from keras_maskrcnn.weights.download import check_hash, fetch
from keras_maskrcnn.weights.files.class_names import read_class_names
from keras_maskrcnn.weights.files.read import read_checkpoint, read_config
from keras_maskrcnn.weights.files.state import State
from keras_maskrcnn.weights.sources import matterport
from keras_maskrcnn.weights.sources.backbones import load_backbone
from keras_maskrcnn.weights.transfer import (
    Model,
    ModelClass,
    keep_on_disk,
    load_state,
    new_layers,
    read_model,
    start_from,
)

_log = logging.getLogger(__name__)

CONVERTER = 1
"""Raised when the same file would be converted otherwise, so that what was converted before is left aside."""

NAMED = {"class_names": "classes", "keypoint_names": "keypoints"}


def build_pretrained(
    model_class: ModelClass,
    name: str | Preset,
    weights: str | os.PathLike | None = None,
    class_names: Sequence[str] | None = None,
    cache_dir: str | os.PathLike | None = None,
    **changes: Any,
) -> Any:
    """Return a model with published weights, which are downloaded once and kept if they do not come with this package.

    `model_class` is MaskRCNN, whose package lies above this one; `keras_maskrcnn.load_pretrained` says the rest.
    """
    preset = find_preset(name) if isinstance(name, str) else name
    if preset.is_backbone and class_names is None:
        raise ValueError(f"{preset.name} is a backbone: class_names must say what the model is to find")
    config = _changed(preset.config, class_names, changes)  # what cannot be is refused before the download
    if weights is None and not preset.url:
        if preset.packaged_file is None:
            raise ValueError(
                f"{preset.name} has no url and does not come with this package: give its weights"
            )
        return _from_file(model_class, preset, preset.packaged_file, class_names, changes)
    if weights is None:
        folder = Path(cache_dir) if cache_dir is not None else _keras_folder()
        if config == preset.config and not preset.is_backbone:
            return _as_published(model_class, preset, folder)
        return _from_file(model_class, preset, _fetched(preset, folder), class_names, changes)
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    load = _from_keras if path.suffix == ".keras" else _from_file
    return load(model_class, preset, path, class_names, changes)


def _keras_folder() -> Path:
    home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    return Path(home).expanduser() / "keras_maskrcnn"


def _changed(config: Config, class_names: Sequence[str] | None, changes: Mapping[str, Any]) -> Config:
    fields = {**config.to_dict(), **changes}
    if class_names is not None:  # Config refuses a string, which would be names of a letter each
        fields["class_names"] = class_names if isinstance(class_names, str) else tuple(class_names)
    return Config.from_dict(fields)


def _fetched(preset: Preset, folder: Path) -> Path:
    def check(path: Path) -> None:
        if preset.hash:
            check_hash(path, preset.hash)
        else:
            _read(preset, path)

    return fetch(preset.url, folder, check)


def _as_published(model_class: ModelClass, preset: Preset, folder: Path) -> Any:
    """Return the model from what was converted before, or convert it."""
    digest = preset.hash or file_hash(_fetched(preset, folder), "sha256")
    key = hashlib.sha256(f"{CONVERTER} {digest} {preset.config.to_json()}".encode()).hexdigest()[:12]
    converted = folder / f"{Path(preset.file_name).stem}-{key}.npz"
    if converted.exists():
        model = model_class(preset.config)
        if _read_converted(converted, model):
            return model
        _log.warning("%s is damaged. It is removed, and the weights are converted again.", converted)
        converted.unlink()
    model = _from_file(model_class, preset, _fetched(preset, folder), None, {})
    if model.variable_dtype == "float32":  # otherwise it has lost some of their precision
        with written_whole(converted) as part:
            _write_converted(part, model)
    return model


def _write_converted(path: Path, model: Model) -> None:
    """Write a model's weights as `numpy.savez` does, which would take memory for all of them at once."""
    with zipfile.ZipFile(path, "w") as archive:
        for weight in model.weights:
            with archive.open(f"{weight.path}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, weight.numpy())


def _read_converted(path: Path, model: Model) -> bool:
    """Set the weights of a model as they were converted; False if the file is not whole."""
    try:
        with np.load(path) as file:
            if set(file.files) != {weight.path for weight in model.weights}:
                return False
            for weight in model.weights:
                weight.assign(file[weight.path])
    except Exception:  # whatever is wrong with it, it can be made again
        return False
    return True


def _read(preset: Preset, path: Path) -> State:
    """Return a checkpoint's tensors by today's names."""
    state = read_checkpoint(path)
    if preset.is_backbone:
        return state
    begin = BEGINNINGS[preset.source]
    if not any(key.startswith(begin) for key in state):
        raise ValueError(f"{path} is not of {preset.source}: no tensor is called {' or '.join(begin)}...")
    return current_names(preset.source, path, state)


def _from_file(
    model_class: ModelClass,
    preset: Preset,
    path: Path,
    class_names: Sequence[str] | None,
    changes: Mapping[str, Any],
) -> Any:
    state = _read(preset, path)
    if preset.is_backbone:
        return _from_backbone(model_class, preset, path, state, _changed(preset.config, class_names, changes))
    own = _config_of_file(preset, path, state, class_names, changes)
    config = _changed(own, class_names, changes)
    new = new_layers(config, own)
    keep_on_disk(state)
    model = model_class(config)
    try:
        load_state(model, state, SOURCES[preset.source], new)
    except ValueError as error:
        raise ValueError(f"{path} is not a file of {preset.name}. {error}") from error
    _log_new(path, new)
    return model


def _from_backbone(model_class: ModelClass, preset: Preset, path: Path, state: State, config: Config) -> Any:
    model = model_class(config)
    try:
        new = load_backbone(model.network, state, preset.source)
    except ValueError as error:
        raise ValueError(f"{path} is not a file of {preset.name}. {error}") from error
    _log_new(path, new)
    return model


def _from_keras(
    model_class: ModelClass,
    preset: Preset,
    path: Path,
    class_names: Sequence[str] | None,
    changes: Mapping[str, Any],
) -> Any:
    source = read_model(path, model_class)
    _check_network(path, source.config, preset)
    config = _changed(source.config, class_names, changes)
    if config == source.config:
        return source
    model = model_class(config)
    _log_new(path, start_from(model, source, path))
    return model


def _check_network(path: Path, config: Config, preset: Preset) -> None:
    own, theirs = (_network(one, preset.source) for one in (config, preset.config))
    for field, value in theirs.items():
        if own[field] != value:
            raise ValueError(
                f"{path} is not a file of {preset.name}: its {field} is {own[field]!r}, and {value!r} there"
            )


def _network(config: Config, source: str) -> dict[str, Any]:
    made_of = {field: getattr(config, field) for field in network_fields(Config)}
    if source == "matterport":  # of either depth
        del made_of["depth"]
    made_of["number of cascade_ious"] = len(config.cascade_ious)
    made_of["number of anchors"] = len(config.anchor_sizes[0]) * len(config.anchor_ratios)
    made_of["keypoint head"] = bool(config.keypoint_names)
    return made_of


def _config_of_file(
    preset: Preset,
    path: Path,
    state: State,
    class_names: Sequence[str] | None,
    changes: Mapping[str, Any],
) -> Config:
    """Return the Config of the model that the file was saved from, as far as the file tells."""
    published = preset.config
    if preset.source == "keras_maskrcnn":
        text = read_config(path)
        try:
            own = Config.from_json(text)
        except ValueError as error:
            raise ValueError(f"{path}: its Config cannot be read: {error}") from error
        _check_network(path, own, preset)
        return own
    if preset.source == "matterport":
        depth, count = matterport.describe(state)
        if count != published.num_classes and class_names is None:
            class_names = [f"class {i}" for i in range(1, count + 1)]
    else:
        ending = "fc_cls.bias" if preset.source == "mmdet" else "cls_score.bias"
        depth, count = published.depth, _rows(state, ending, path) - 1
    fields: dict[str, Any] = {"depth": depth}
    stated = _stated_names(path, published.class_names) if preset.source == "mmdet" else ()
    if count == len(stated):
        fields["class_names"] = stated
    else:
        fields["class_names"] = _names(path, "class_names", count, published.class_names, class_names)
    if published.keypoint_names:
        points = _rows(state, "score_lowres.bias", path)
        given = changes.get("keypoint_names")
        fields["keypoint_names"] = _names(path, "keypoint_names", points, published.keypoint_names, given)
    return dataclasses.replace(published, **fields)


def _stated_names(path: Path, published: tuple[str, ...]) -> tuple[str, ...]:
    """Return the class names that a file states; early ones have "_" for the published names' spaces."""
    names = read_class_names(path)
    spaced = [name.replace("_", " ") for name in names]
    return published if spaced == [name.replace("_", " ") for name in published] else names


def _rows(state: State, ending: str, path: Path) -> int:
    """Length of the first tensor whose name ends so."""
    for key, array in state.items():
        if key.endswith(ending) and array.ndim == 1:
            return len(array)
    raise ValueError(f"{path} holds no tensor ...{ending}, but {', '.join(list(state)[:3])}, ...")


def _names(
    path: Path, argument: str, count: int, published: tuple[str, ...], given: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of what the file has `count` of."""
    if count == len(published):
        return published
    what = NAMED[argument]
    if given is None:
        raise ValueError(
            f"{path} has {count} {what}, the published file {len(published)}: {argument} must name them"
        )
    if len(given) != count:
        raise ValueError(f"{path} has {count} {what}; {argument} has {len(given)} names")
    return tuple(given)


def _log_new(path: Path, new: Sequence[str]) -> None:
    if new:
        _log.info("New layers, to be trained: %s. All others are from %s.", ", ".join(new), path)
