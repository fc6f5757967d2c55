"""Mask R-CNN for Keras 3 and TensorFlow."""
