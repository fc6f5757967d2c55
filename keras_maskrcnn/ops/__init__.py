"""Anchors, boxes, RoIAlign and convolution: arithmetic without weights, and the compiled operations."""
