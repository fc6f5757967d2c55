"""MaskRCNN and the two graphs, for training and for inference, that its layers are assembled into."""
