"""Readers of annotation formats, and the COCO writer."""
