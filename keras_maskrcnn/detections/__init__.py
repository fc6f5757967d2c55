"""What a model finds, in pixels of the original image; batches and tiles on the way there."""
