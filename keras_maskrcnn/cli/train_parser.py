"""The arguments of `maskrcnn train`."""

from typing import Any

from keras_maskrcnn.cli import advised, arguments, numbers
from keras_maskrcnn.cli.run_folder import DEFAULTS

DESCRIPTION = """
Train a Mask R-CNN on annotated images, and write a run folder:
  model.keras         the model after the last epoch
  best.keras          the model after the epoch with the best mask AP (keypoint AP for models of
                      keypoints, box AP if there are neither) on the validation images, if any
  log.csv             losses, APs and learning rate of each epoch
  curves.png          the same, drawn
  config.json         the Config, with the names of the classes
  settings.json       everything else that the run was started with
  backup.weights.h5   where --resume goes on
  tensorboard/        with --tensorboard: the same curves, and images with their detections

fine-tune published weights on your own photographs, which is where to start:
  maskrcnn train --annotations train.json --images train/ --output run \\
      --val-annotations val.json --val-images val/ --weights maskrcnn_resnet50_fpn_v2_coco

from randomly initialised weights, for images unlike photographs, of which it takes many:
  maskrcnn train --annotations train.json --images train/ --output run --epochs 50 --set min_size=512

on all GPUs of several machines of a SLURM cluster:
  srun --nodes 2 --ntasks-per-node 1 maskrcnn train ... --cluster slurm

images of many small objects, such as the cells of the 2018 Data Science Bowl:
  maskrcnn train --annotations stage1_train --output run --anchors auto --max-detections auto

first the heads alone, then all but the first two stages of the backbone:
  maskrcnn train ... --weights maskrcnn_resnet50_fpn_coco --set frozen_stages=5 --output heads
  maskrcnn train ... --weights heads/model.keras --set frozen_stages=2 --output all
"""


def add_options(command: Any) -> None:
    """Add all arguments of the command."""
    _add_data_options(command)
    _add_optimisation_options(command)
    _add_machine_options(command)
    _add_model_options(command)


def _add_data_options(command: Any) -> None:
    data = command.add_argument_group("data")
    arguments.add_dataset_options(data)
    data.add_argument(
        "--output", type=arguments.output_folder, metavar="DIR", required=True, help="the run folder"
    )
    data.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run in --output, exactly where its last backup was made; options left out are as "
        "the run was started, and of the others only --epochs, --eval-every, --patience, --tensorboard and "
        "--backup-every may change",
    )


def _add_optimisation_options(command: Any) -> None:
    group = command.add_argument_group("optimisation")
    _add_count(group, "epochs", "epochs to train in all")
    group.add_argument(
        "--batch-size",
        type=numbers.count_or_auto,
        metavar="N",
        help="images per step, of all replicas together; auto: as many as the free memory holds, 16 at most "
        "(default: 2 for each replica)",
    )
    _add_count(group, "accumulate", "steps whose gradients are averaged for one update of the weights")
    group.add_argument(
        "--optimizer",
        choices=("sgd", "adamw"),
        help="sgd with momentum 0.9 as Detectron's recipes, or adamw as Swin's (default: sgd)",
    )
    _add_rate_options(group)
    group.add_argument(
        "--weight-decay",
        type=numbers.not_negative,
        metavar="X",
        help="of all weights but the normalisations' (default: 0.0001, coupled, with sgd; 0.05, decoupled, with adamw)",
    )
    group.add_argument(
        "--clip-norm",
        type=numbers.positive,
        metavar="X",
        help="scale gradients down whose norm over all weights is larger (default: they stay as they are)",
    )
    group.add_argument(
        "--ema",
        type=numbers.below_one,
        metavar="M",
        help="validate and save exponential moving averages of the weights with this momentum, such as 0.999 "
        "(default: the weights themselves)",
    )
    _add_course_options(group)


def _add_rate_options(group: Any) -> None:
    group.add_argument(
        "--learning-rate",
        type=numbers.positive,
        metavar="RATE",
        help="after the warm-up (default: 0.02, with adamw 0.0001, * images per update / 16, as in the published "
        "recipes)",
    )
    group.add_argument(
        "--warmup-steps",
        type=numbers.count_or_zero,
        metavar="N",
        help="steps in which the learning rate rises (default: those of 1000 updates, or a tenth of all steps if that "
        "is less)",
    )
    group.add_argument(
        "--schedule",
        choices=("step", "cosine"),
        help="whether the learning rate then drops at epochs or falls along a cosine to 0 (default: step)",
    )
    group.add_argument(
        "--drop-epochs",
        type=numbers.epochs,
        action="extend",
        metavar="N,N",
        help="epochs after which the learning rate is divided by ten (default: none); the published recipe of 12 "
        "epochs, called 1x, drops after 8 and 11: --epochs 12 --drop-epochs 8,11",
    )


def _add_course_options(group: Any) -> None:
    group.add_argument(
        "--repeat-threshold",
        type=numbers.fraction,
        metavar="FRACTION",
        help="repeat images of classes that are in less than this fraction of the images, as LVIS's baselines do with "
        "0.001 (default: every image once per epoch)",
    )
    group.add_argument(
        "--seed",
        type=numbers.count_or_zero,
        metavar="N",
        help=f"of all randomness: same seed, same run (default: {DEFAULTS['seed']})",
    )
    _add_count(group, "eval-every", "epochs from one validation to the next")
    group.add_argument(
        "--patience",
        type=numbers.count,
        metavar="N",
        help="stop when the AP of the best epoch has not been exceeded for N epochs (default: train to --epochs)",
    )
    group.add_argument(
        "--max-hours",
        type=numbers.positive,
        metavar="H",
        help="stop after the first step or epoch that ends H hours after this command began; --resume goes on there "
        "as if nothing had happened (default: train to --epochs)",
    )
    group.add_argument(
        "--tensorboard",
        action="store_true",
        default=None,
        help="write curves and images into the run folder; to look at them: pip install tensorboard, and "
        "tensorboard --logdir RUN",
    )
    _add_count(group, "backup-every", "steps from one backup to the next; each epoch's end has one too")


def _add_count(group: Any, name: str, text: str) -> None:
    default = DEFAULTS[name.replace("-", "_")]
    group.add_argument(f"--{name}", type=numbers.count, metavar="N", help=f"{text} (default: {default})")


def _add_machine_options(command: Any) -> None:
    machines = command.add_argument_group("several GPUs and machines")
    machines.add_argument(
        "--strategy",
        choices=("mirrored", "workers"),
        help="mirrored: on all GPUs of this machine; workers: with the processes that TF_CONFIG names, each started by "
        "this same command (default: on one device)",
    )
    machines.add_argument(
        "--cluster",
        choices=("tf_config", "slurm"),
        help="what names the processes of --strategy workers: TF_CONFIG, or the variables of srun, as in "
        "`srun maskrcnn train --cluster slurm ...` (default: tf_config)",
    )


def _add_model_options(command: Any) -> None:
    model = command.add_argument_group("model")
    model.add_argument(
        "--weights",
        type=arguments.model_or_name,
        metavar="MODEL",
        help="a .keras file, a run folder (its best.keras) or a published model (maskrcnn models lists them) to start "
        "from, with its Config; if its classes are others, the layers that depend on them are new (default: randomly "
        "initialised weights, with norm, fpn_norm and head_norm group_norm and frozen_stages 0)",
    )
    arguments.add_config_options(model)
    advised.add_options(model)
