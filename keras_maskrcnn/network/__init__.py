"""The layers of a Mask R-CNN, assembled into two functional graphs: for training and for inference."""
