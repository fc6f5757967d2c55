import numpy as np

from keras_maskrcnn.training.schedules import WarmUp


def test_warm_up_then_drops():
    rate = WarmUp(0.02, steps=100, drops=(1000, 2000), start=0.1)
    found = [float(rate(step)) for step in (0, 50, 100, 999, 1000, 2000)]
    np.testing.assert_allclose(found, [0.002, 0.011, 0.02, 0.02, 0.002, 0.0002], rtol=1e-5)
