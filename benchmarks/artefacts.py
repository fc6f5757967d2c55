"""A model in every format of export: file sizes, conversion, and the time of an image, all in turns in one process.

    python benchmarks/artefacts.py --photos photos/ [--model maskrcnn_resnet50_fpn.keras] [--rounds 5]
    python benchmarks/artefacts.py --photos cells/ --model nuclei.keras --int8 --annotations cells.json

PHOTOS is a folder of images. Without --model it is ResNet-50-FPN with random weights. Times are of `detect` without
pasting masks, the model's own and each artefact's by `ExportedModel`. With --int8 OpenVINO and LiteRT are quantised
too, by the first 30 photos; with --annotations (any that `load_dataset` reads, of the photos) AP is printed for each.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster on processors without AVX-512

import peers

import keras_maskrcnn as km
from keras_maskrcnn.runtime import ExportedModel
from keras_maskrcnn.utils.files import image_files

PATHS = {"saved_model": "saved", "onnx": "model.onnx", "openvino": "openvino", "litert": "model.tflite"}
INT8 = ("openvino", "litert")


def exports(model, photos, folder, formats, int8):
    """Yield name, report and artefact of each format."""
    for whole in (False, True) if int8 else (False,):
        for format in formats:
            if whole and format not in INT8:
                continue
            name = f"{format}, int8" if whole else format
            path = folder / name.replace(", ", "_") / PATHS[format]
            path.parent.mkdir()
            calibrate = photos[:30] if whole and format == "openvino" else None
            report = km.export(model, path, format, images=photos[:3], int8=whole, calibrate=calibrate)
            print(report, flush=True)
            yield name, report, ExportedModel(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--formats", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--annotations", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    model = km.load_model(options.model) if options.model else peers.our_model()[0]
    photos = image_files(options.photos)
    image = photos[0]
    models, reports = {"this package": model}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, report, artefact in exports(model, photos, Path(folder), options.formats, options.int8):
            models[name], reports[name] = artefact, report
        runs = {
            name: lambda one=one: one.detect(image, masks="rle" if options.annotations else None)
            for name, one in models.items()
        }
        seconds = peers.in_turns(runs, options.rounds)
    own = statistics.median(seconds["this package"])
    print(f"\n{peers.machine()}; {image.name}\n")
    print("| | MB | of the weights | converted in, s | seconds an image | ratio |\n|---|---|---|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        if name in reports:
            report = reports[name]
            size = (
                f"{report.bytes / 1e6:.1f} | {report.bytes / report.weight_bytes:.2f} | {report.seconds:.0f}"
            )
        else:
            size = " | | "
        print(
            f"| {name} | {size} | {median:.3f} ({min(times):.3f} .. {max(times):.3f}) | {median / own:.2f} |"
        )
    if options.annotations:
        print_ap(models, options)


def print_ap(models, options):
    """Print the AP of each model."""
    config = models["this package"].config
    records, _ = km.load_dataset(
        options.annotations, options.photos, class_names=config.class_names, masks=True
    )
    print("\n| | box AP | mask AP | mask AP50 | mask AP75 |\n|---|---|---|---|---|")
    for name, model in models.items():
        scores = km.evaluate_coco(model, records, progress=False)
        kinds = ("box_AP", "mask_AP", "mask_AP50", "mask_AP75")
        print(f"| {name} | {' | '.join(f'{scores[kind]:.4f}' for kind in kinds)} |", flush=True)


if __name__ == "__main__":
    main()
