"""A notebook with its outputs as one HTML page, for a browser where there is no Jupyter."""

import html
import re

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem }
pre { background: #8881; padding: .7rem; border-radius: 6px; overflow-x: auto; font-size: .85rem }
pre.output { background: none; border-left: 3px solid #8886; border-radius: 0 }
img { max-width: 100%; margin: .3rem }
"""


def notebook_page(notebook, title):
    """Return HTML that needs no other file.

    Args:
        notebook: the parsed file, with outputs as `run_notebook` returns them.
        title: of the page.
    """
    cells = "\n".join(_cell(cell) for cell in notebook["cells"])
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>\n{cells}\n</body></html>\n'


def _cell(cell):
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return _markdown(source)
    outputs = "".join(_output(output) for output in cell.get("outputs", []))
    return f"<pre>{html.escape(source)}</pre>{outputs}"


def _output(output):
    if output["output_type"] == "stream":
        return f'<pre class="output">{html.escape("".join(output["text"]))}</pre>'
    ((kind, content),) = output["data"].items()
    return f'<img alt="" src="data:{kind};base64,{content}">'


def _markdown(text):
    """Headings, paragraphs, code, bold words and links: all that these notebooks use."""
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        marks, _, rest = block.partition(" ")
        level = len(marks) if set(marks) == {"#"} else 0
        content = html.escape(rest if level else block, quote=False)
        content = re.sub(r"`([^`]+)`", r"<code>\1</code>", content)
        content = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", content)
        content = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', content)
        tag = f"h{level}" if level else "p"
        parts.append(f"<{tag}>{content}</{tag}>")
    return "\n".join(parts)
