"""An exported artefact as a web server: images in, detections as JSON out."""
