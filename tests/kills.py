"""Kills and failing writes at random moments of everything that a run writes: a file is the old one or the new one.

`python tests/kills.py [--count 200] [--seed 0]` prints a table and exits with 1 if a file was not whole, something half
written was left after the next start, or the run could not be resumed. It needs Linux and a C compiler: the calls that
change files are killed, or fail, by `support/failing_writes.c`.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

SUPPORT = Path(__file__).parent / "support"
WATCHED = "WATCHED_CALLS"
"""The environment variable with the library that is preloaded."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """Something that is written: how, and how a file of it is read, which fails if it is not whole."""

    name: str
    write: Callable[[int], object]
    read: Callable[[Path], object]
    files: tuple[Path, ...]


class Run:
    """The folder of a run in which everything has been written once, by what `maskrcnn train` writes with."""

    def __init__(self, folder: Path):
        import keras
        from examples import drawn_records, tiny
        from small_model import small_model

        from keras_maskrcnn.cli.progress import EpochLog
        from keras_maskrcnn.cli.run_folder import DEFAULTS, SETTINGS, RunFolder
        from keras_maskrcnn.data.pipeline.dataset import make_dataset
        from keras_maskrcnn.evaluation.analysis import analyse
        from keras_maskrcnn.evaluation.detect_records import detect_records
        from keras_maskrcnn.training import backup
        from keras_maskrcnn.training.schedules import WarmUp

        # TensorFlow's threads, which look for NaN in parallel, are not there in a forked process.
        assert hasattr(backup, "not_finite")
        backup.not_finite = lambda weights: []

        self.folder, self.report = RunFolder(folder), folder / "report"
        self.model = small_model()
        self.model.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9))
        self.model.optimizer.build(self.model.trainable_variables)
        self.records = drawn_records(2)
        self.found = detect_records(self.model, self.records, progress=False)
        self.analysis = analyse(self.records, self.found, self.model.config.class_names)
        self.settings = {**dict.fromkeys(SETTINGS), **DEFAULTS}
        self.config = tiny()
        dataset = make_dataset(self.records, self.config, training=True)
        self.best = keras.callbacks.ModelCheckpoint(
            self.folder.best, monitor="val_mask_AP", mode="max", save_best_only=True
        )
        self.last = keras.callbacks.ModelCheckpoint(self.folder.model)
        self.log = EpochLog(self.folder, WarmUp(0.01, steps=4))
        self.backup = backup.TrainingBackup(self.folder.backup, dataset, delete_checkpoint=False)
        for callback in (self.best, self.last, self.log, self.backup):
            callback.set_model(self.model)
            callback.set_params({"epochs": 9})
        self.kinds = self.make_kinds()

    def make_kinds(self) -> list[Kind]:
        folder = self.folder
        results = folder.path / "detections.json"
        reports = ("report.html", "precision_recall.png", "class_ap.png", "confusion.png", "confusion.csv")
        return [
            Kind("config.json, settings.json", self.start, read_json, (folder.config, folder.settings)),
            Kind("best.keras", self.save_best, read_keras, (folder.best,)),
            Kind(
                "model.keras", lambda number: self.last.on_epoch_end(number, {}), read_keras, (folder.model,)
            ),
            Kind("log.csv, curves.png", self.write_log, read_any, (folder.log, folder.curves)),
            Kind(
                "backup", lambda number: self.backup._write(0, number % 2 + 1), self.resume, (folder.backup,)
            ),
            Kind("results", lambda number: self.write_results(results), read_json, (results,)),
            Kind("report", self.write_report, read_any, tuple(self.report / name for name in reports)),
        ]

    def start(self, number: int) -> None:
        """What a run does first, be it new or resumed."""
        self.folder.write(self.config, {**self.settings, "seed": number})

    def save_best(self, number: int) -> None:
        self.best.best = -1.0
        self.best.on_epoch_end(number, {"val_mask_AP": number / 10**6})

    def write_log(self, number: int) -> None:
        losses = dict.fromkeys(self.model.network.losses_by_name, 0.1)
        with contextlib.redirect_stdout(None):
            self.log.on_epoch_end(0, {"loss": float(number), **losses, "val_mask_AP": 0.5})

    def write_results(self, path: Path) -> None:
        from keras_maskrcnn.evaluation.detect_records import write_coco_results

        write_coco_results(path, self.records, self.found)

    def write_report(self, number: int) -> None:
        from keras_maskrcnn.evaluation.report import write_report

        write_report(self.report, self.analysis, about={"number": str(number)})

    def resume(self, _: object = None) -> None:
        """What a resumed run reads."""
        from keras_maskrcnn.cli.run_folder import SETTINGS, merged_settings, resumed_config

        self.folder.check(resume=True)
        merged_settings(dict.fromkeys(SETTINGS), self.folder, resume=True)
        assert resumed_config(self.folder, {}) == self.config
        assert self.folder.epochs_done() == 1 and self.folder.best_epoch() is not None
        self.backup.on_train_begin()


def read_json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def read_keras(path: Path) -> None:
    from keras_maskrcnn.models.load import load_model

    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    load_model(path)


def read_any(path: Path) -> None:
    from PIL import Image

    if path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".html":
        assert path.read_text(encoding="utf-8").endswith("</html>\n")
    else:
        rows = path.read_text(encoding="utf-8")
        assert rows.endswith("\n") and len({line.count(",") for line in rows.splitlines()}) == 1


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hidden(*folders: Path) -> list[str]:
    return [path.name for folder in folders for path in folder.iterdir() if path.name.startswith(".")]


class Trial:
    """Writes of one kind in child processes, each of which is interrupted in one call."""

    def __init__(self, run: Run, kind: Kind, calls: ctypes.CDLL):
        self.run, self.kind, self.calls, self.number = run, kind, calls, 0
        self.moments = self.child(-1, -1)  # a whole write, which counts

    def child(self, moment: int, error: int) -> int:
        """Write in a child process; return the calls that it made, or minus the number of the signal that ended it.

        What Python says of a write that fails is taken for granted: it exits as after any error.
        """
        self.number += 1
        read, write = os.pipe()
        process = os.fork()
        if not process:
            with contextlib.suppress(BaseException):
                self.calls.watch(str(self.run.folder.path).encode(), moment, error)
                with contextlib.suppress(Exception):
                    self.kind.write(self.number)
                    os.write(write, b"done ")
                os.write(write, str(self.calls.watched()).encode())
            os._exit(0)
        os.close(write)
        for _ in range(1200):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                break
            time.sleep(0.05)
        else:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise AssertionError("a write did not end in a minute")
        said = os.read(read, 100).decode()
        os.close(read)
        self.done = said.startswith("done ")
        return int(said.split()[-1]) if said else -(status & 127)

    def interrupted(self, moment: int, error: int) -> list[str]:
        """Return "old" or "new" of each file after a write that was interrupted.

        Raises:
            AssertionError: a file is neither, or something is left behind.
        """
        before = {path: digest(path) for path in self.kind.files}
        ended = self.child(moment, error)
        folders = {path.parent for path in self.kind.files}
        if error:
            assert ended > 0, f"a failing write ended the process: {ended}"
            assert not hidden(*folders), f"a failing write left {hidden(*folders)}"
        self.run.start(0)
        for folder in folders - {self.run.folder.path}:
            from keras_maskrcnn.utils.files import remove_unfinished

            remove_unfinished(folder)  # as every write there begins
        assert not hidden(*folders), f"{hidden(*folders)} is left"
        states = []
        for path, was in before.items():
            states.append("old" if digest(path) == was else "new")
            if states[-1] == "new":
                self.kind.read(path)
        self.run.resume()
        return states


def inside(count: int, seed: int) -> int:
    """Do `count` kills and `count` failing writes, print what they left, and return the exit code."""
    calls = ctypes.CDLL(os.environ[WATCHED])
    rng, wrong, began = random.Random(seed), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run")
        run.folder.path.mkdir()
        for kind in run.kinds:
            kind.write(0)
        print(
            f"{'':28}{'calls':>6}{'kills':>7}{'old':>5}{'new':>5}{'failing':>9}{'old':>5}{'new':>5}{'wrong':>7}"
        )
        for number, kind in enumerate(run.kinds):
            trial = Trial(run, kind, calls)
            own = count // len(run.kinds) + (number < count % len(run.kinds))
            row = [f"{kind.name:28}{trial.moments:6}"]
            failed = []
            for errors in ((0,), (errno.ENOSPC, errno.EIO)):
                states = []
                for _ in range(own):
                    moment, error = rng.randrange(trial.moments), rng.choice(errors)
                    try:
                        states += trial.interrupted(moment, error)
                    except Exception as problem:
                        failed.append(f"  call {moment}, {errno.errorcode.get(error, 'kill')}: {problem!r}")
                row.append(
                    f"{own:{9 if len(errors) > 1 else 7}}{states.count('old'):5}{states.count('new'):5}"
                )
            print("".join(row) + f"{len(failed):7}", *failed, sep="\n" if failed else "", flush=True)
            wrong += len(failed)
    print(f"{count} kills, {count} failing writes: {wrong} wrong, {time.monotonic() - began:.0f} s")
    return int(wrong > 0)


def main(count: int, seed: int) -> int:
    """Compile the calls to watch, and start this program again with them; return the exit code."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        raise SystemExit("this needs Linux and a C compiler")
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/failing_writes.so"
        source = SUPPORT / "failing_writes.c"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", source, "-o", library, "-ldl"], check=True)
        paths = [str(Path(__file__).parents[1]), str(SUPPORT), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "LD_PRELOAD": library, WATCHED: library, "PYTHONPATH": ":".join(paths)}
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, __file__, "--count", str(count), "--seed", str(seed)]
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="kills, and as many failing writes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit((inside if WATCHED in os.environ else main)(arguments.count, arguments.seed))
