"""Puts the table of all Config fields, made from their declarations, where a page asks for it."""

from typing import Any

from keras_maskrcnn.config.table import config_table

MARKER = "<!-- config table -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker of a page; mkdocs calls this for each."""
    return markdown.replace(MARKER, config_table()) if MARKER in markdown else markdown
