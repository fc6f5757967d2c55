"""A model whose files are whole or not there, and are checked before they are read."""

import os
import tempfile
from pathlib import Path
from typing import Any

from keras_maskrcnn.artefacts.export import ExportReport, export
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.utils.files import written_whole
from keras_maskrcnn.utils.finite import check_finite
from keras_maskrcnn.utils.keras_internals import BuiltModel, may_replace, strategy_of, weights_in_memory
from keras_maskrcnn.utils.replicas import is_chief
from keras_maskrcnn.weights.files.hub import is_on_hub, model_card, publish
from keras_maskrcnn.weights.saved_names import check_saved_names


class WholeFiles(BuiltModel):
    """A model of which a save that is killed or fails, on a full disk for one, leaves the file of before.

    Keras writes in place: its ModelCheckpoint, which calls these methods, would lose the best model so far. Of several
    workers the chief alone writes, and all must call.
    """

    config: Config

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Save as `keras.Model.save` does; a `.keras` file appears whole or not at all.

        "hf://NAME/MODEL" publishes on the Hugging Face Hub, with a model card unless the model has one there.

        Raises:
            OSError: the file cannot be written; what was there before still is. Or, a ConnectionError, the model cannot
                be published.
            ModuleNotFoundError: to publish needs huggingface_hub, which is not installed.
        """
        if not is_chief(strategy_of(self)):
            with tempfile.TemporaryDirectory() as folder:  # weights of all workers are read together
                super().save(Path(folder) / "model.keras")
        elif is_on_hub(filepath) and not zipped:
            with tempfile.TemporaryDirectory() as folder:
                super().save(folder, zipped=False, **kwargs)
                publish(filepath, Path(folder), model_card(filepath, self.config))
        elif not _is_local(filepath, ".keras"):
            super().save(filepath, overwrite, zipped, **kwargs)
        elif overwrite or may_replace(filepath):
            with written_whole(filepath) as part:
                super().save(part, zipped=zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Save as `keras.Model.save_weights` does; a `.weights.h5` file appears whole or not at all.

        Raises:
            OSError: the file cannot be written; what was there before still is.
        """
        if not is_chief(strategy_of(self)):
            weights_in_memory(self)
        elif max_shard_size is not None or not _is_local(filepath, ".weights.h5"):
            super().save_weights(filepath, overwrite, max_shard_size)
        elif overwrite or may_replace(filepath):
            with written_whole(filepath) as part:
                part.write_bytes(weights_in_memory(self).getbuffer())

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: None = None,
        **options: Any,
    ) -> ExportReport:
        """Export as `keras.Model.export` does, but verified: by `keras_maskrcnn.export`, of which `options` are.

        Args:
            filepath: of the artefact.
            format: "tf_saved_model", "onnx", "openvino" or "litert".
            verbose: False prints nothing.
            input_signature: must be None: an artefact's inputs are those that `keras_maskrcnn.export` says.
            options: `inputs`, `masks`, `images`, `int8` and `calibrate`.

        Returns:
            What was written, and how it compares with the model.

        Raises:
            ValueError: an `input_signature` is given; and as `keras_maskrcnn.export`.
        """
        if input_signature is not None:
            raise ValueError(
                "input_signature cannot be chosen: it is images [B, H, W, C] with sizes [B, 2], or with "
                'inputs="uint8" one image [H, W, C]'
            )
        chosen: Any = "saved_model" if format == "tf_saved_model" else format
        report = export(self, filepath, chosen, **options)
        if verbose is not False:
            print(report)
        return report

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights that this class has saved, as `keras.Model.load_weights` does.

        Raises:
            ValueError: the file is of Keras 2, whose layers `by_name` would skip without a word; or it is a `.keras`
                file that has this model's classes in another order; or it holds NaN or Inf. Of other
                classes there is a warning.
        """
        name = str(filepath)
        if name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5"):
            raise ValueError(
                f"{name} is a file of Keras 2, which load_pretrained reads and checks: "
                f'keras_maskrcnn.load_pretrained("matterport_mask_rcnn_coco", weights="{name}"). '
                "Weights saved by Keras 3 end with .weights.h5 or .keras"
            )
        check_saved_names(filepath, self.config)
        super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        check_finite(self.weights, name)


def _is_local(path: Any, suffix: str) -> bool:
    """Whether it is a path with this suffix on this machine; all others are Keras' own matter."""
    return isinstance(path, (str, os.PathLike)) and str(path).endswith(suffix) and "://" not in str(path)
