"""COCO's metrics of what a model finds, their analysis and report."""
