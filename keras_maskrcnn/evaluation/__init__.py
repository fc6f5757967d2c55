"""COCO's metrics of detections, their analysis and report."""
