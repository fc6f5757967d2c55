"""Videos: frames read, detections tracked from frame to frame, drawn frames written; without TensorFlow."""
