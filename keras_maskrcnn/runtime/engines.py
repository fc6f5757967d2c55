"""Runs an artefact with its runtime: ONNX Runtime, OpenVINO, LiteRT or TensorFlow.

Nothing of this package is imported here, so that the file also runs by itself, as a program that proves it:

    python engines.py ARTEFACT INPUTS.npz OUTPUTS.npz

reads cases from one file, `NUMBER/NAME` by `NUMBER/NAME`, and writes what the artefact makes of each to the other, with
`NUMBER/seconds`, the median time of some more calls, of the last.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]


class Engine(Protocol):
    """An artefact that has been loaded."""

    def __call__(self, inputs: Arrays) -> Arrays:
        """Run it on arrays by the names of its inputs, and return arrays by the names of its outputs."""


class OnnxEngine:
    """Of ONNX Runtime."""

    def __init__(self, path: Path, threads: int | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        available = onnxruntime.get_available_providers()
        self._session = onnxruntime.InferenceSession(str(path), options, providers=available)
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._names, self._session.run(self._names, inputs), strict=True))


class OpenVinoEngine:
    """Of OpenVINO, in single precision, whatever the processor would rather have."""

    def __init__(self, path: Path, threads: int | None = None):
        import openvino

        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._model = openvino.Core().compile_model(str(path), "CPU", settings)

    def __call__(self, inputs: Arrays) -> Arrays:
        found = self._model(inputs)
        return {output.get_any_name(): np.array(found[output]) for output in self._model.outputs}


class LiteRTEngine:
    """Of LiteRT, which was TensorFlow Lite."""

    def __init__(self, path: Path, threads: int | None = None):
        from ai_edge_litert.interpreter import Interpreter

        self._run = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
        self._shapes: dict[str, tuple[int, ...]] = {}

    def __call__(self, inputs: Arrays) -> Arrays:
        return self._run(**inputs)


class SavedModelEngine:
    """Of TensorFlow."""

    def __init__(self, path: Path, threads: int | None = None):
        import tensorflow as tf

        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        self._loaded = tf.saved_model.load(str(path))
        self._run = self._loaded.signatures["serving_default"]
        self._constant = tf.constant

    def __call__(self, inputs: Arrays) -> Arrays:
        outputs = self._run(**{name: self._constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


ENGINES: dict[str, Callable[[Path, int | None], Engine]] = {
    ".onnx": OnnxEngine,
    ".xml": OpenVinoEngine,
    ".tflite": LiteRTEngine,
}
"""By the ends of files' names."""


def load_engine(path: str | os.PathLike, threads: int | None = None) -> Engine:
    """Load an artefact into the runtime that its name asks for.

    Args:
        path: a `.onnx` or `.tflite` file, or the folder of a SavedModel or of OpenVINO's files.
        threads: of the runtime; None for its own choice.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no artefact by its name.
        ImportError: the runtime is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such artefact")
    if (path / "saved_model.pb").exists():
        return SavedModelEngine(path, threads)
    file = path / "model.xml" if path.is_dir() else path
    if file.suffix not in ENGINES or not file.exists():
        raise ValueError(
            f"{path}: an artefact is a .onnx or .tflite file, or the folder of a SavedModel or of OpenVINO's model.xml"
        )
    return ENGINES[file.suffix](file, threads)


def save_arrays(path: str | os.PathLike, arrays: Arrays) -> None:
    """Write arrays by name to a `.npz` file."""
    values: dict[str, Any] = arrays
    np.savez(path, **values)


def run_cases(artefact: str, inputs: str, outputs: str, repeats: int = 3) -> None:
    """Run an artefact on all cases of a file, and write what it returns; the last is timed."""
    engine = load_engine(artefact)
    results: Arrays = {}
    with np.load(inputs) as cases:
        numbers = sorted({name.split("/")[0] for name in cases.files}, key=int)
        for number in numbers:
            case = {name.split("/")[1]: cases[name] for name in cases.files if name.split("/")[0] == number}
            results |= {f"{number}/{name}": value for name, value in engine(case).items()}
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            engine(case)
            seconds.append(time.perf_counter() - start)
        results[f"{number}/seconds"] = np.array(statistics.median(seconds))
    if any(name.split(".")[0] == "keras_maskrcnn" for name in sys.modules):
        raise RuntimeError("the artefact was to be run without keras_maskrcnn")
    save_arrays(outputs, results)


if __name__ == "__main__":
    run_cases(sys.argv[1], sys.argv[2], sys.argv[3])
