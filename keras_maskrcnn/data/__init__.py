"""Annotated images: the dataset contract, readers of formats, and the pipeline to batches."""
