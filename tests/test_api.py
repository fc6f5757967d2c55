import subprocess
import sys

import keras
from examples import TINY
from places import ROOT

import keras_maskrcnn as km


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_is_there_and_documented():
    for name in km.__all__:
        assert getattr(km, name).__doc__, name


def test_keras_loads_a_saved_model_by_itself(tmp_path):
    model = km.MaskRCNN(TINY)
    model.compile(optimizer=km.sgd())
    model.save(tmp_path / "m.keras")
    code = f"import keras, keras_maskrcnn; print(type(keras.saving.load_model({str(tmp_path / 'm.keras')!r})).__name__)"
    assert run(code) == "MaskRCNN"
    assert keras.saving.get_registered_object("keras_maskrcnn>MaskRCNN") is km.MaskRCNN


def test_help_does_not_wait_for_tensorflow():
    code = "import sys; import keras_maskrcnn.cli.main; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    assert run(code) == "False False"


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(km, "no_such_name")
