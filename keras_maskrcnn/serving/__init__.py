"""An exported artefact as a web server, images in and JSON out; and a page on which any model is tried."""
