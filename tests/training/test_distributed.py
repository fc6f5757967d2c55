import subprocess
import sys
import textwrap

from places import ROOT, TESTS

DISTRIBUTED = """
    import sys
    import keras, numpy as np, tensorflow as tf
    sys.path.insert(0, {tests!r})
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
    from examples import drawn_records, tiny
    from keras_maskrcnn.data.pipeline.dataset import make_dataset
    from keras_maskrcnn.models.mask_rcnn import MaskRCNN
    from small_model import small_backbone

    config = tiny(score_threshold=0.0)
    records = drawn_records(5)  # batches of 2, 2 and 1: the last has fewer images than there are replicas
    found = {{}}
    strategies = {{"one": tf.distribute.get_strategy(), "two": tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])}}
    for name, strategy in strategies.items():
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = MaskRCNN(config, small_backbone())
            model.compile(optimizer=keras.optimizers.SGD(0.0))
        logs = model.fit(make_dataset(records, config, batch_size=2, training=True), verbose=0).history
        assert all(np.isfinite(v).all() for v in logs.values()), logs
        found[name] = model.predict(make_dataset(records, config, batch_size=2), verbose=0)
        # nor need batches divide evenly
        losses = model.evaluate(make_dataset(records, config, batch_size=3), verbose=0, return_dict=True)
        logs = model.fit(make_dataset(records, config, batch_size=3, training=True), verbose=0).history
        assert all(np.isfinite(v) for v in losses.values()), losses
    assert strategy.num_replicas_in_sync == 2

    # one step on an even batch moves the weights alike: every image has as many sampled rows
    after = []
    for strategy in strategies.values():
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = MaskRCNN(tiny(mask_head="none"), small_backbone())
            model.compile(optimizer=keras.optimizers.SGD(0.1))
        before = [v.numpy() for v in model.trainable_variables]
        model.fit(make_dataset(records[:2], model.config, batch_size=2, training=True), verbose=0)
        after.append([v.numpy() - b for v, b in zip(model.trainable_variables, before, strict=True)])
    for one, two in zip(*after, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-3 * max(np.abs(one).max(), 1e-3))
    for key in found["one"]:
        assert found["two"][key].shape == found["one"][key].shape == (5, *found["one"][key].shape[1:])
        np.testing.assert_allclose(found["two"][key], found["one"][key], atol=1e-3)
    model.save(sys.argv[1])
    keras.saving.load_model(sys.argv[1])
    print("equal")
"""


def test_two_replicas_and_a_last_batch_with_fewer_images(tmp_path):
    script = textwrap.dedent(DISTRIBUTED.format(tests=str(TESTS / "support")))
    arguments = [sys.executable, "-c", script, str(tmp_path / "model.keras")]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip().endswith("equal"), done.stderr[-3000:]
