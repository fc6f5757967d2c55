"""Times inference against OpenVINO and ONNX Runtime on torchvision's own ONNX export of the same weights.

python benchmarks/engines.py [--size 800x1088] [--rounds 5]

ResNet-50-FPN, one image, masks left in their boxes' frames on all sides; all in turns in one process. OpenVINO runs in
float32 and in bfloat16, its default where the processor has it; so does this package. int8 is this package's export,
quantised by NNCF on images like the one; weights are random, so that its time is what counts. Rows of what is not
installed are left out (torchvision: see peers.py; `pip install openvino nncf onnxruntime onnx`).
"""

import argparse
import importlib.util
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import keras
import numpy as np
import peers

from keras_maskrcnn.artefacts.graph import InferenceModule
from keras_maskrcnn.artefacts.openvino import convert
from keras_maskrcnn.artefacts.quantise import quantise
from keras_maskrcnn.artefacts.request import Request
from keras_maskrcnn.images.resize_array import fitted_batch

CALIBRATED = 8
"""Images by which NNCF measures the range of activations."""
BASE = "OpenVINO, float32"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="800x1088", help="height x width of the image")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    image = peers.made_image(height, width)
    model, state = peers.our_model()
    theirs = peers.torchvision_model(state)
    if theirs is None:
        return
    keras.config.set_dtype_policy("mixed_bfloat16")
    bfloat16, _ = peers.our_model()
    runs = {
        "torchvision": torchvision_run(theirs, image),
        "ours, float32": lambda: model.detect(image, masks=None),
        "ours, bfloat16": lambda: bfloat16.detect(image, masks=None),
    }
    with tempfile.TemporaryDirectory() as folder:
        runs |= engines(export(theirs, image, Path(folder) / "model.onnx"), image)
        runs |= int8_run(model, image)
    for name, run in runs.items():
        found = run()
        print(f"{name}: {len(found[0] if name.startswith('ours') else found)} detections")
    base = BASE if BASE in runs else "torchvision"
    seconds = peers.in_turns(runs, options.rounds)
    print(f"\n{peers.machine()}; {options.size}; ratios to {base}")
    peers.print_table(seconds, base)


def tensor_of(image):
    import torch

    return torch.tensor(image.transpose(2, 0, 1) / np.float32(255))


def torchvision_run(model, image):
    import torch

    # what it does last is to paste the masks
    model.transform.postprocess = lambda result, *_: result
    model.eval()
    tensor = tensor_of(image)

    def run():
        with torch.no_grad():
            return model([tensor])[0]["boxes"]

    return run


def export(model, image, path):
    """Write the model as torchvision's documentation says."""
    import torch

    names = {"input_names": ["image"], "output_names": ["boxes", "labels", "scores", "masks"]}
    with torch.no_grad():
        torch.onnx.export(model, ([tensor_of(image)],), str(path), opset_version=17, dynamo=False, **names)
    return path


def engines(path, image):
    pixels, runs = image.transpose(2, 0, 1) / np.float32(255), {}
    if importlib.util.find_spec("openvino"):
        import openvino

        core = openvino.Core()
        for name, precision in ((BASE, "f32"), ("OpenVINO, bfloat16", "bf16")):
            compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": precision})
            runs[name] = lambda compiled=compiled: compiled([pixels])[0]
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        given = {session.get_inputs()[0].name: pixels}
        runs["ONNX Runtime, float32"] = lambda: session.run(None, given)[0]
    return runs


def int8_run(model, image):
    """The model's own export, not verified: with random weights objects hang on differences that int8 cannot keep."""
    if not importlib.util.find_spec("openvino") or not importlib.util.find_spec("nncf"):
        return {}
    import openvino

    height, width = image.shape[:2]
    seen = tuple(peers.made_image(height, width, seed) for seed in range(1, CALIBRATED + 1))
    with model.own_precision():
        module = InferenceModule(model.network, Request("openvino", int8=True, calibrate=seen))
    compiled = openvino.Core().compile_model(quantise(convert(module), module), "CPU")
    batch, sizes = fitted_batch([image], model.config)
    return {"OpenVINO, int8": lambda: compiled({"images": batch, "sizes": sizes})["boxes"][0]}


if __name__ == "__main__":
    main()
