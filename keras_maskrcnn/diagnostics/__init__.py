"""What is wrong with a dataset, which anchors fit, what a step takes, what a model does with an image."""
