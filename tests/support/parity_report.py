"""What a kit and our model differ by, as figures.

`python tests/support/parity_report.py [KIT ...]` prints those of the kits of this checkout, with --shared of those
beside it; with --bfloat16 how far our model in mixed_bfloat16 finds what it finds in float32.
"""

import argparse
import functools
import time

import keras
from kit_inference import Inference
from kit_models import config_of, loaded, without_chance
from kit_training import Training
from parity import NAMES, OWN_NAMES, Kit, own_kit, shared_kit

from keras_maskrcnn.artefacts.agreement import agree


class Comparison:
    """A kit and our model with its weights, which is made once for all that is compared."""

    def __init__(self, kit: Kit, as_file: bool = True):
        self.kit = kit
        config = without_chance(config_of(kit)) if kit.trained else config_of(kit)
        self.model, self.table = loaded(kit, config, as_file)

    @functools.cached_property
    def inference(self) -> Inference:
        return Inference(self.kit, self.model)

    @functools.cached_property
    def training(self) -> Training:
        return Training(self.kit, self.model, self.table)


def gradient_error(ours: float, recorded: float) -> float:
    """Relative difference of two norms; norms of sums that cancel count as 5e-4 at least."""
    return abs(ours - recorded) / max(recorded, 5e-4)


def rows(kit: Kit) -> list[str]:
    """The figures of a kit as lines."""
    started, lines = time.monotonic(), []
    comparison = Comparison(kit)
    inference = comparison.inference
    for title, figures in (
        ("dense stages, worst of {}: {:.1e} sd", inference.dense_stages()),
        ("RoI stages, worst of {}: {:.1e} sd", inference.roi_stages()),
    ):
        lines.append(title.format(len(figures), max(figures.values(), default=0.0)))
    for key, value in {**inference.proposals(), **inference.detections()}.items():
        lines.append(f"{key}: {value:.4f}")
    if "tta.boxes" in kit.arrays:
        lines += [f"{key}: {value:.2g}" for key, value in inference.augmented().items()]
    if kit.trained:
        training = comparison.training
        lines += [
            f"{k}: {ours:.6g}, recorded {theirs:.6g}" for k, (ours, theirs) in training.losses().items()
        ]
        lines += [f"{k}: {ours:g}, recorded {theirs:g}" for k, (ours, theirs) in training.counts().items()]
        gradients = training.gradients()
        worst = max(gradients, key=lambda key: gradient_error(*gradients[key]))
        lines.append(
            f"{len(gradients)} gradients, the worst {gradient_error(*gradients[worst]):.2%} ({worst})"
        )
    lines.append(f"{time.monotonic() - started:.0f} s")
    return lines


def bfloat16_row(kit: Kit) -> str:
    """The objects that our models find in both precisions, scores and boxes beside each other."""
    config, found = config_of(kit), []
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        model, _ = loaded(kit, config, as_file=False)
        found.append(
            [
                {"boxes": one.boxes, "scores": one.scores, "classes": one.class_ids}
                for one in model.detect(kit.photos, 2, masks=None)
            ]
        )
    return str(agree(*found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what kits and our models differ by.")
    parser.add_argument("kits", nargs="*", help="names of kits; all by default")
    parser.add_argument("--shared", action="store_true", help="the kits beside the repository")
    parser.add_argument("--bfloat16", action="store_true", help="float32 beside mixed_bfloat16")
    options = parser.parse_args()
    for kit_name in options.kits or (NAMES if options.shared else OWN_NAMES):
        print(kit_name)
        kit = (shared_kit if options.shared else own_kit)(kit_name)
        for line in [bfloat16_row(kit)] if options.bfloat16 else rows(kit):
            print("   ", line, flush=True)
