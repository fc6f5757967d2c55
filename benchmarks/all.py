"""Runs all benchmarks that need no files, and writes a page of what they print and a line for each of its figures.

    python benchmarks/all.py [--only inference training] [--output FOLDER]

The page, FOLDER/VERSION.md, says the machine, the versions and the commands; the lines are added to FOLDER/history.csv:
version, date, machine, program, row, column and figure. FOLDER is benchmarks/history. Nothing else should run beside
it.
"""

import argparse
import csv
import datetime
import importlib.metadata
import subprocess
import sys
import time
from pathlib import Path

import keras_maskrcnn

HERE = Path(__file__).parent
PROGRAMS = {
    "inference": [],
    "engines": [],
    "roofline": [],
    "training": ["--rounds", "3"],
    "roi_align": ["--rounds", "3"],
    "scaling": ["--rounds", "3"],
    "startup": ["--rounds", "3"],
    "loading": ["--rounds", "1"],
    "scoring": ["--rounds", "1"],
    "augmented_input": ["--rounds", "2"],
    "dataset_checks": ["--rounds", "2"],
}
"""Those that make their own data, and how they are called here."""
PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "pycocotools",
    "torch",
    "torchvision",
    "openvino",
)
COLUMNS = ("version", "date", "machine", "program", "row", "column", "figure")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--output", type=Path, default=HERE / "history")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    versions, today = installed(), datetime.date.today().isoformat()
    version = keras_maskrcnn.__version__
    page = [
        f"# {version}, {today}",
        "",
        ", ".join(f"{name} {number}" for name, number in versions.items()),
        "",
    ]
    for name in options.only:
        command = [f"benchmarks/{name}.py", *PROGRAMS[name]]
        start = time.perf_counter()
        result = subprocess.run(
            [sys.executable, HERE.parent / command[0], *command[1:]], stdout=subprocess.PIPE, text=True
        )
        if result.returncode:
            raise SystemExit(f"{' '.join(command)} failed with {result.returncode}")
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        page += [f"## `python {' '.join(command)}`", "", result.stdout.strip(), ""]
        machine = next((line for line in result.stdout.splitlines() if " cores, TensorFlow" in line), "")
        lines = [
            (version, today, machine.split(" cores")[0], name, *figure) for figure in figures(result.stdout)
        ]
        add(options.output / "history.csv", lines)
        (options.output / f"{version}.md").write_text("\n".join(page))  # so far


def installed() -> dict[str, str]:
    """The versions of what is measured and of what it is compared with."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def figures(output: str) -> list[tuple[str, str, str]]:
    """Row, column and figure of each cell of the tables in a program's output."""
    found, columns = [], None
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            columns = None
        elif columns is None:
            columns = cells
        elif set(line) - set("|-"):
            pairs = zip(columns[1:], cells[1:], strict=False)
            found += [(cells[0], column, cell) for column, cell in pairs if cell]
    return found


def add(path: Path, lines: list[tuple[str, ...]]) -> None:
    """Add lines to a table, which gets its heading first."""
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(([COLUMNS] if new else []) + lines)


if __name__ == "__main__":
    main()
