"""A model whose files are whole or not there."""

import os
from typing import Any

from keras_maskrcnn.utils.files import written_whole
from keras_maskrcnn.utils.keras_internals import BuiltModel, may_replace, weights_in_memory


class WholeFiles(BuiltModel):
    """A model of which a save that is killed or fails, on a full disk for one, leaves the file of before.

    Keras writes in place: its ModelCheckpoint, which calls these methods, would lose the best model so far.
    """

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Save as `keras.Model.save` does; a `.keras` file appears whole or not at all.

        Raises:
            OSError: the file cannot be written; what was there before still is.
        """
        if not _is_local(filepath, ".keras"):
            super().save(filepath, overwrite, zipped, **kwargs)
        elif overwrite or may_replace(filepath):
            with written_whole(filepath) as part:
                super().save(part, zipped=zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, max_shard_size: Any = None) -> None:
        """Save as `keras.Model.save_weights` does; a `.weights.h5` file appears whole or not at all.

        Raises:
            OSError: the file cannot be written; what was there before still is.
        """
        if max_shard_size is not None or not _is_local(filepath, ".weights.h5"):
            super().save_weights(filepath, overwrite, max_shard_size)
        elif overwrite or may_replace(filepath):
            with written_whole(filepath) as part:
                part.write_bytes(weights_in_memory(self).getbuffer())


def _is_local(path: Any, suffix: str) -> bool:
    """Whether it is a path with this suffix on this machine; all others are Keras' own matter."""
    return isinstance(path, (str, os.PathLike)) and str(path).endswith(suffix) and "://" not in str(path)
