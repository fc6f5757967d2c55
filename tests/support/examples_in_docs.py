"""Finds the code in docstrings and on pages, and runs it as it stands."""

import contextlib
import inspect
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from keras_maskrcnn.cli.main import main

FENCE = re.compile(r"^( *)```(python|bash|yaml)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
REASON = re.compile(r"<!-- not run: (.+?) -->\s*\Z")
SESSION = re.compile(r"^ *(?:>>>|\.\.\.) ?", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code between fences."""

    language: str
    code: str
    line: int
    """Of its first line of code, from 1."""
    not_run: str = ""
    """Why it is not run; empty if it is."""


def blocks(text):
    """Return the Python, bash and YAML blocks of a Markdown text, in order."""
    found = []
    for match in FENCE.finditer(text):
        reason = REASON.search(text[: match.start()])
        code = re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start()) + 2
        found.append(Block(match[2], code, line, reason[1] if reason else ""))
    return found


def docstring_example(thing):
    """Return the block of code below "Example:" in a docstring; sessions with >>> are one too."""
    text = inspect.cleandoc(thing.__doc__)
    assert "Example:" in text, "its docstring has no Example:"
    example = text.partition("Example:")[2]
    fenced = blocks(inspect.cleandoc(example))
    if fenced:
        (block,) = fenced
        return block.code
    lines = [line for line in example.splitlines() if SESSION.match(line)]
    assert lines, "its Example: has no code"
    return SESSION.sub("", "\n".join(lines)) + "\n"


def run_page(path, folder):
    """Run the blocks of a page in order in a folder: Python in one namespace, commands by the command line's main.

    Returns:
        The lines in which the blocks begin that ran to their end.
    """
    names, ran = {"__name__": "__main__"}, []
    with contextlib.chdir(folder):
        for block in blocks(Path(path).read_text(encoding="utf-8")):
            if block.not_run:
                continue
            place = f"{Path(path).name}, line {block.line}"
            if block.language == "python":
                code = "\n" * (block.line - 1) + block.code  # tracebacks then have the page's lines
                exec(compile(code, str(path), "exec"), names)
            else:
                _run_commands(block.code, place)
            ran.append(block.line)
    return ran


def _run_commands(code, place):
    for line in code.replace("\\\n", " ").splitlines():
        command, *arguments = shlex.split(line, comments=True) or [""]
        if not command:
            continue
        assert command == "maskrcnn", f"{place}: {command} is not run; say why in <!-- not run: ... -->"
        assert main(arguments) == 0, f"{place}: {line}"
