"""Artefacts: a trained model as a file that another runtime runs without this package, verified equal."""
