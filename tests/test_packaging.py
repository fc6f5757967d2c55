"""What a wheel and a source distribution hold, and for which machines a wheel says it is."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from places import ROOT

from keras_maskrcnn.ops import build

pytest.importorskip("setuptools", "77")

FOLDERS = ("benchmarks", "custom_ops", "docs", "keras_maskrcnn", "samples", "tests")
ENDINGS = (".md", ".toml", ".yml", ".py", ".in")
NOT_SOURCES = ("*.so", "*.so.sha256", "*.pyc", "__pycache__", ".*cache", "runs", "nothing_is_downloaded")


def sources():
    """All files of the checkout that somebody wrote, by their names from its root."""
    ignored = shutil.ignore_patterns(*NOT_SOURCES)
    found = {"LICENSE", *(path.name for path in ROOT.iterdir() if path.suffix in ENDINGS)}
    for folder in FOLDERS:
        for path, folders, files in os.walk(ROOT / folder):
            left_out = ignored(path, folders + files)
            folders[:] = set(folders) - left_out
            found |= {(Path(path) / name).relative_to(ROOT).as_posix() for name in set(files) - left_out}
    return found


@pytest.fixture(scope="module")
def compiler(tmp_path_factory):
    """What is asked like a compiler, and writes a file."""
    path = tmp_path_factory.mktemp("compiler") / "compiler"
    path.write_text('#!/bin/sh\nwhile [ "$1" != "-o" ]; do shift; done\necho library > "$2"\n')
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the checkout, as building leaves its own files in it."""
    copy = tmp_path_factory.mktemp("project")
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    return copy


def built(project, command, folder, compiler=""):
    """The one file that a command of setup.py makes."""
    environment = {**os.environ, "CXX": str(compiler)}
    if not compiler:
        environment["PATH"] = str(folder)
    arguments = [sys.executable, "setup.py", "-q", "build", "--build-base", str(folder / "build")]
    subprocess.run(
        [*arguments, command, "--dist-dir", str(folder / "dist")],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
        timeout=300,
    )
    (made,) = (folder / "dist").iterdir()
    return made


@pytest.fixture(scope="module", params=[True, False], ids=["compiled", "not compiled"])
def wheel(request, project, compiler, tmp_path_factory):
    """A wheel made where there is a compiler, or not, and whether there was."""
    path = built(project, "bdist_wheel", tmp_path_factory.mktemp("wheel"), compiler if request.param else "")
    return path, request.param


def test_a_wheel_is_for_the_platform_of_its_library_and_for_any_without_one(wheel):
    path, has_compiler = wheel
    assert re.search(r"-py3-none-(.+)\.whl$", path.name)[1].startswith("any") is not has_compiler
    with zipfile.ZipFile(path) as archive:
        libraries = [name for name in archive.namelist() if ".so" in Path(name).suffixes]
        (info,) = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
        assert f"Root-Is-Purelib: {str(not has_compiler).lower()}" in archive.read(info).decode()
    library = f"keras_maskrcnn/ops/{build.library_name()}"
    assert sorted(libraries) == [library, f"{library}.sha256"] * has_compiler


def test_a_wheel_holds_the_package_and_the_sources_of_its_operations_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel[0]) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name and ".so" not in name}
    files = sources()
    expected = {name for name in files if name.startswith("keras_maskrcnn/")}
    for name in files:
        folder, _, last = name.rpartition("/")
        if folder == "custom_ops" and not last.endswith(".md"):
            expected.add(f"keras_maskrcnn/ops/csrc/{last}")
    assert held == expected


def test_the_description_leads_to_no_file_that_is_not_there(wheel):
    with zipfile.ZipFile(wheel[0]) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    links = re.findall(r"\]\(([^)]*)\)", metadata.get_payload())
    assert all(link.startswith(("http://", "https://", "#")) for link in links), links
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    assert any(line.startswith("Programming Language :: Python") for line in metadata.get_all("Classifier"))


def test_the_page_of_dependencies_lists_all_that_are_required_and_all_extras(wheel):
    with zipfile.ZipFile(wheel[0]) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    needed = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    required = {re.match(r"[\w-]+", line)[0] for line in needed}
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    of_required, of_extras = page.split("## Extras")
    first_cells = [row.split("|")[1] for row in of_required.splitlines() if row.startswith("| ")][1:]
    listed = {name.split()[0] for cell in first_cells for name in cell.split(",")}
    assert listed == required
    assert set(re.findall(r"^\| `(\w+)` \|", of_extras, re.MULTILINE)) == set(
        metadata.get_all("Provides-Extra")
    )


def test_a_source_distribution_holds_the_whole_checkout(project, tmp_path):
    with tarfile.open(built(project, "sdist", tmp_path)) as archive:
        held = {member.name.partition("/")[2] for member in archive if member.isfile()}
    made = {name for name in held if ".egg-info/" in name or name in ("PKG-INFO", "setup.cfg")}
    assert held - made == sources()
