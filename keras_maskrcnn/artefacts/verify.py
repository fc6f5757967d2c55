"""Whether an artefact finds what its model finds: it is run in a process without this package, and compared."""

import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from keras_maskrcnn.runtime import engines
from keras_maskrcnn.runtime.engines import Arrays, save_arrays

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 0.1
"""In pixels; keypoints too."""
MASK_TOLERANCE = 0.01
"""Of probabilities; of pasted masks the share of their pixels."""
LEAST_SHARE = 0.99
"""Of the detections, one to one, for an artefact to pass: where scores tie, or an overlap is at NMS' limit, the last
digit decides."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How an artefact's detections differ from the model's."""

    compared: int
    """Detections of either."""
    equal: int
    """Of these, that have one of the other's of the same class within the tolerances."""
    score_difference: float
    """The largest, of those; as the following."""
    box_difference: float
    """In pixels."""
    mask_difference: float
    """Of probabilities, or the share of pixels that differ of pasted masks."""
    keypoint_difference: float
    """In pixels."""
    seconds: float
    """Per call, median, of the last case."""

    @property
    def share(self) -> float:
        """The share of detections that are equal, 1 if there are none."""
        return self.equal / self.compared if self.compared else 1.0

    @property
    def passes(self) -> bool:
        """Whether that is enough for the artefact to stay."""
        return self.share >= LEAST_SHARE

    def __str__(self) -> str:
        return (
            f"{self.equal} of {self.compared} detections equal; largest differences: score "
            f"{self.score_difference:.1e}, box {self.box_difference:.1e} px, mask {self.mask_difference:.1e}, keypoint "
            f"{self.keypoint_difference:.1e} px"
        )


def run_elsewhere(artefact: Path, cases: Sequence[Arrays]) -> list[Arrays]:
    """Run an artefact on cases in another process, which imports nothing of this package.

    Raises:
        RuntimeError: it failed, or crashed; the message is the runtime's.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        save_arrays(
            inputs, {f"{i}/{name}": value for i, case in enumerate(cases) for name, value in case.items()}
        )
        command = [sys.executable, "-I", engines.__file__, str(artefact), str(inputs), str(outputs)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
            raise RuntimeError(f"the artefact does not run (exit code {done.returncode}): {lines[-1]}")
        with np.load(outputs) as found:
            return [
                {name.split("/")[1]: found[name] for name in found.files if name.split("/")[0] == str(number)}
                for number in range(len(cases))
            ]


def compare(expected: Sequence[Arrays], found: Sequence[Arrays]) -> Comparison:
    """Compare the rows of images, one image after the other.

    Args:
        expected: of each image the model's `boxes [D, 4]`, `scores [D]`, `classes [D]` and what else there is, padding
            rows included.
        found: of each image the same of the artefact.
    """
    compared = equal = 0
    worst = {"scores": 0.0, "boxes": 0.0, "masks": 0.0, "keypoints": 0.0}
    for of_model, of_artefact in zip(expected, found, strict=True):
        ours, theirs = _real_rows(of_model), _real_rows(of_artefact)
        compared += max(len(ours["scores"]), len(theirs["scores"]))
        free = set(range(len(theirs["scores"])))
        for row in range(len(ours["scores"])):
            pairs = ((_differences(ours, row, theirs, other), other) for other in sorted(free))
            good = [(pair, other) for pair, other in pairs if _are_equal(pair)]
            if not good:
                continue
            differences, other = min(good, key=lambda one: one[0]["boxes"])
            free.remove(other)
            equal += 1
            worst = {name: max(value, differences.get(name, 0.0)) for name, value in worst.items()}
    seconds = float(found[-1]["seconds"]) if found and "seconds" in found[-1] else 0.0
    return Comparison(
        compared, equal, worst["scores"], worst["boxes"], worst["masks"], worst["keypoints"], seconds
    )


def _real_rows(outputs: Arrays) -> Arrays:
    real = outputs["classes"] > 0
    return {name: value[real] for name, value in outputs.items() if name != "seconds"}


def _differences(ours: Arrays, row: int, theirs: Arrays, other: int) -> dict[str, float]:
    if ours["classes"][row] != theirs["classes"][other]:
        return {"scores": np.inf}
    found = {name: _largest(ours[name][row], theirs[name][other]) for name in ("scores", "boxes")}
    if not _are_equal(found):  # masks are large
        return found
    for name in ("mask_scores", "masks", "keypoints"):
        if name in ours:
            found[name] = _difference_of(name, ours[name][row], theirs[name][other])
    return found


def _difference_of(name: str, ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.dtype == bool:
        return float(np.sum(ours != theirs) / max(np.sum(ours), 1))
    if name == "keypoints":
        ours, theirs = ours[:, :2], theirs[:, :2]
    return _largest(ours, theirs)


def _largest(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.max(np.abs(np.asarray(ours, np.float64) - theirs), initial=0.0))


def _are_equal(differences: dict[str, float]) -> bool:
    tolerances = {"scores": SCORE_TOLERANCE, "mask_scores": SCORE_TOLERANCE, "boxes": BOX_TOLERANCE}
    tolerances |= {"masks": MASK_TOLERANCE, "keypoints": BOX_TOLERANCE}
    return all(value <= tolerances[name] for name, value in differences.items())


def seconds_of(run: Callable[[], object], repeats: int = 3) -> float:
    """Return the median time of some calls, after one that does not count."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
