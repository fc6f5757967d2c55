"""Times the 3x3 convolutions of ResNeXt-101 32x8d, forward and with their gradient, against Keras' own.

python benchmarks/grouped_convolution.py [--rounds 3]

Keras compiles convolutions of groups with XLA, because TensorFlow's have no gradient on some machines; this package
asks the machine.
"""

import argparse
import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import peers
import tensorflow as tf

from keras_maskrcnn.ops.convolution import grouped_conv

GROUPS = 32
SHAPES = ((200, 272, 256), (100, 136, 512), (50, 68, 1024), (25, 34, 2048))
"""Height, width and channels in the four stages of an image of 800 x 1088."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(peers.machine())
    for height, width, channels in SHAPES:
        images = tf.random.stateless_normal([1, height, width, channels], [1, 2])
        kernel = tf.random.stateless_normal([3, 3, channels // GROUPS, channels], [3, 4])
        convolutions = {
            "ours": lambda x, k: grouped_conv(x, k, 1, "same"),
            "Keras": lambda x, k: keras.ops.conv(x, k, 1, "same"),
        }
        for kind, make in {"forward": forward, "forward + backward": with_gradient}.items():
            runs = {name: make(convolve, images, kernel) for name, convolve in convolutions.items()}
            print(f"\n{height} x {width}, {channels} channels, {kind}\n")
            peers.print_table(peers.in_turns(runs, rounds), "ours")


def forward(convolve, images, kernel):
    run = tf.function(convolve)
    return lambda: run(images, kernel).numpy()


def with_gradient(convolve, images, kernel):
    @tf.function
    def run(images, kernel):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            total = tf.reduce_sum(convolve(images, kernel) ** 2)
        return tape.gradient(total, [images, kernel])

    return lambda: run(images, kernel)[1].numpy()


if __name__ == "__main__":
    main()
