"""Augmentation: masks, boxes and keypoints move with their image."""
