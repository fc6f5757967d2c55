"""The check of a dataset: what is broken, doubtful or worth knowing before a training."""
