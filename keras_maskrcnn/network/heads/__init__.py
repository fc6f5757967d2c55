"""The RoI heads, each an object: its layer, its branch of the training graph with its loss, its branch at inference."""
