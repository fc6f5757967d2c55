"""What a model detects, in pixels of the original image; batches and tiles on the way there."""
