"""Boxes, masks, keypoints and captions on images."""
