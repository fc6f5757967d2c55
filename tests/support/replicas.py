"""A short training, alone or as one of several replicas: `python replicas.py one|mirrored|workers RESULT.npz`.

What it found goes to RESULT.npz: weights, losses by epoch, predictions, and how many images this process decoded.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402


def chosen(name):
    """The strategy, which is made before anything else of TensorFlow."""
    if name == "workers":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        (device,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return tf.distribute.get_strategy()


def callbacks_in(folder, training, records):
    """All that write, in a folder of all workers."""
    import keras

    import keras_maskrcnn as km

    folder = Path(folder)
    best = keras.callbacks.ModelCheckpoint(folder / "best.keras", monitor="loss", save_best_only=True)
    return [
        km.CocoEvaluation(records),
        km.WithAveragedWeights([best]),
        keras.callbacks.CSVLogger(folder / "log.csv"),
        km.TensorBoardScalars(folder / "tensorboard", every=1),
        keras.callbacks.BackupAndRestore(folder / "keras", delete_checkpoint=False),
        km.TrainingBackup(folder / "backup.weights.h5", training, delete_checkpoint=False),
    ]


def with_corners(record):
    """A record whose objects have two keypoints, the corners of their boxes."""
    corners = record.boxes.reshape(-1, 2, 2)
    points = np.concatenate([corners, np.full((len(corners), 2, 1), 2)], axis=2).astype(np.float32)
    return dataclasses.replace(record, keypoints=points)


def main(name, result, changes="{}", count="5", folder=""):
    strategy = chosen(name)
    import keras
    from examples import drawn_records, tiny
    from small_model import small_backbone

    import keras_maskrcnn as km
    from keras_maskrcnn.data.pipeline import examples

    decoded, read = [], examples.read_image
    examples.read_image = lambda *args, **options: decoded.append(1) or read(*args, **options)
    records = drawn_records(int(count))
    keras.utils.set_random_seed(0)
    config = tiny(score_threshold=0.0, **json.loads(changes))
    if config.keypoint_names:
        records = [with_corners(record) for record in records]
    with strategy.scope():
        model = km.MaskRCNN(config, None if config.architecture == "c4" else small_backbone())
        optimizer = km.sgd(0.01, global_clipnorm=0.5, use_ema=True, ema_momentum=0.9)
        model.compile(optimizer)
    training = km.make_dataset(records, config, batch_size=4, training=True)
    validation = km.make_dataset(records, config, batch_size=4)
    callbacks = callbacks_in(folder, training, records) if folder else []
    history = model.fit(
        training, epochs=2, validation_data=validation, verbose=0, callbacks=callbacks
    ).history
    images = len(decoded)
    found = {f"predicted/{key}": value for key, value in model.predict(validation, verbose=0).items()}
    found |= {f"loss/{key}": np.array(values) for key, values in history.items()}
    found |= {f"weight/{variable.path}": variable.numpy() for variable in model.weights}
    np.savez(result, images=images, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
