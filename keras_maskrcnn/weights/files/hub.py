"""Models on the Hugging Face Hub, as Keras names them: hf://NAME/MODEL."""

import os
from pathlib import Path
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.utils.counted import counted

HUB = "hf://"
PARTS = ("config.json", "metadata.json", "model.weights.*", "assets/*")
"""What Keras writes of a model; model cards and whatever else is there are not fetched."""
CARD = "README.md"


def is_on_hub(path: str | os.PathLike) -> bool:
    """Tell whether a model is named by its place on the Hub."""
    return isinstance(path, str) and path.startswith(HUB)


def fetch(name: str) -> str:
    """Bring a model of the Hub into its cache on this machine, unless it is there, and return the folder.

    Args:
        name: hf://NAME/MODEL.

    Raises:
        ModuleNotFoundError: huggingface_hub is not installed.
        ConnectionError: the model cannot be fetched; the message says why.
        ValueError: the name is no such one, or there is no model of Keras.
    """
    library, repository = _library(name), _repository(name)
    try:
        folder = library.snapshot_download(repository, library_name="keras", allow_patterns=list(PARTS))
    except Exception as error:  # of the Hub, of its HTTP library, of the system
        raise ConnectionError(f"{name}: the model cannot be fetched: {error}") from error
    if not os.path.exists(os.path.join(folder, "config.json")):
        raise ValueError(
            f"{name}: there is no config.json, so no model that model.save('{HUB}...') has written"
        )
    return folder


def publish(name: str, folder: Path, card: str) -> None:
    """Make a model of the Hub, or a new version of it, of the parts in a folder.

    Keras' own upload replaces the model's card, and draws the model, which fails where pydot is without Graphviz.

    Args:
        name: hf://NAME/MODEL.
        folder: what Keras has saved there.
        card: the model card, unless there is one already.

    Raises:
        ModuleNotFoundError, ValueError: as `fetch`.
        ConnectionError: the model cannot be published; the message says why.
    """
    library, repository = _library(name), _repository(name)
    try:
        api = library.HfApi(library_name="keras")
        place = api.create_repo(repository, exist_ok=True)
        if not api.file_exists(place.repo_id, CARD):
            (folder / CARD).write_text(card, encoding="utf-8")
        api.upload_folder(repo_id=place.repo_id, folder_path=folder, commit_message="Save the model")
    except Exception as error:
        raise ConnectionError(f"{name}: the model cannot be published: {error}") from error


def model_card(name: str, config: Config) -> str:
    """Return the card of a model: what it is and how it is used; what it was trained on its author has to add."""
    return f"""---
library_name: keras
pipeline_tag: image-segmentation
tags: [instance-segmentation, mask-rcnn]
---

# {name.removeprefix(HUB)}

Finds objects of {counted(config.num_classes, "class", "classes")} in images: {", ".join(config.class_names)}.
A model of [keras_maskrcnn](https://pypi.org/project/keras3-maskrcnn):

```python
import keras_maskrcnn as km

model = km.load_model("{name}")
print(model.detect("photo.jpg")[0])
```

On what it was trained and judged, with what results, what it was not tried on, and its licence: to be added.
"""


def _library(name: str) -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{name} needs huggingface_hub: pip install 'keras3-maskrcnn[hub]'", name="huggingface_hub"
        ) from None
    return huggingface_hub


def _repository(name: str) -> str:
    repository = name.removeprefix(HUB)
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ValueError(f"{name}: a model of the Hugging Face Hub is named {HUB}NAME/MODEL")
    return repository
