import numpy as np
import pytest
import tensorflow as tf

from keras_maskrcnn.ops import build, library
from keras_maskrcnn.ops.product import product

INPUTS = tf.random.stateless_normal((5, 7), (0, 1))
KERNEL = tf.random.stateless_normal((7, 3), (0, 2))
ABOVE = tf.random.stateless_normal((5, 3), (0, 3))


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def computed_by(request, monkeypatch):
    if request.param == "compiled" and build.find_compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv(library.SWITCH, request.param)


def test_it_is_the_product():
    np.testing.assert_allclose(product(INPUTS, KERNEL), INPUTS.numpy() @ KERNEL.numpy(), atol=1e-6)


def test_its_gradients_are_those_of_the_product():
    with tf.GradientTape() as tape:
        tape.watch([INPUTS, KERNEL])
        y = product(INPUTS, KERNEL)
    of_inputs, of_kernel = tape.gradient(y, [INPUTS, KERNEL], output_gradients=ABOVE)
    np.testing.assert_allclose(of_inputs, ABOVE.numpy() @ KERNEL.numpy().T, atol=1e-6)
    np.testing.assert_allclose(of_kernel, INPUTS.numpy().T @ ABOVE.numpy(), atol=1e-6)


def test_compiled_the_gradient_to_the_inputs_waits_for_the_one_to_the_kernel(monkeypatch):
    if build.find_compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv(library.SWITCH, "compiled")

    @tf.function
    def gradients(inputs, kernel):
        return tf.gradients(product(inputs, kernel), [inputs, kernel])

    of_inputs, of_kernel = gradients.get_concrete_function(INPUTS, KERNEL).graph.outputs
    above = _ancestor(of_inputs.op, "MatMul").inputs[0].op
    assert _ancestor(of_kernel.op, "MatMul") in above.control_inputs


def _ancestor(operation, kind):
    while operation.type != kind:
        operation = operation.inputs[0].op
    return operation
