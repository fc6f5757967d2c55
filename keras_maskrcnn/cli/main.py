"""The command `maskrcnn`: arguments are checked before TensorFlow is loaded, which takes seconds."""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from keras_maskrcnn.cli import advised, arguments, evaluate_parser, video_arguments
from keras_maskrcnn.cli.cluster import LostWorkerError, check_strategy
from keras_maskrcnn.cli.common import interruptible
from keras_maskrcnn.cli.console import fresh_line, log_shown, warnings_shown
from keras_maskrcnn.cli.labels import label_folder
from keras_maskrcnn.cli.parser import make_parser
from keras_maskrcnn.cli.run_folder import RunFolder, merged_settings, resumed_config
from keras_maskrcnn.cli.terminal import harmless_output
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.data.formats.detect import checked_format
from keras_maskrcnn.runtime.description import is_artefact
from keras_maskrcnn.utils.display import message

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_RAISED_IN_DATASET = re.compile(r"Error in user-defined function.*?(?:ValueError|FileNotFoundError): (.+)")
"""How tf.data words an error of ours, as for an unreadable image; pages of tracebacks follow."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments; None takes those of the process.

    Returns:
        The exit code: 0 done, 1 done but for some images or with issues, 2 an error, 130 stopped by Ctrl-C.
    """
    with harmless_output():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.version:
        return _version()
    if args.command is None:
        parser.print_help()
        return 2
    try:
        with interruptible(), log_shown(), warnings_shown():
            return COMMANDS[args.command](args)
    except KeyboardInterrupt:
        print(f"{fresh_line()}maskrcnn: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, as in `maskrcnn models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        lines = [message(f"maskrcnn: error: {_reason(error)}"), *getattr(error, "__notes__", [])]
        print(fresh_line() + "\n".join(lines), file=sys.stderr)
        if isinstance(error, LostWorkerError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(2)  # the end of TensorFlow may wait for the lost process, for minutes
        return 2
    finally:
        # An interrupted iteration over a dataset that were left to the interpreter's exit would wait there forever for
        # its Python functions, which then cannot run any more.
        gc.collect()


def _version() -> int:
    from keras_maskrcnn import __version__

    print(f"keras_maskrcnn {__version__}")
    return 0


def _check(args: argparse.Namespace) -> int:
    if args.val_images is not None and args.val_annotations is None:
        raise ValueError("--val-images needs --val-annotations")
    if args.images is None:
        checked_format(args.annotations, None, args.format)
    _check_outputs([args.json, args.html], [args.annotations, args.val_annotations])
    Config(**{"class_names": ("object",), **args.config, **dict(args.set)})
    _start_tensorflow()
    from keras_maskrcnn.cli import check

    return check.run(args)


def _train(args: argparse.Namespace) -> int:
    advised.check(args)
    cluster = check_strategy(args.strategy, args.cluster, os.environ)
    folder = RunFolder(args.output)
    folder.check(args.resume)
    settings = merged_settings(vars(args), folder, args.resume)
    if (args.strategy or cluster) and settings["accumulate"] > 1:
        raise ValueError(
            f"--accumulate {settings['accumulate']} does not work with --strategy or --cluster: leave it out and raise "
            "--batch-size, which counts the images of all replicas together"
        )
    fields = {**args.config, **dict(args.set)}
    if settings["images"] is None:
        checked_format(settings["annotations"], None, settings["format"])
    if args.resume:
        resumed_config(folder, fields)
        done = folder.epochs_done()
        if done >= settings["epochs"]:
            print(
                f"{folder.path}: {done} of {settings['epochs']} epochs are trained, so nothing is left to train; "
                f"--epochs with more than {done} trains on"
            )
            return 0
        reason = folder.patience_is_over(settings["patience"])
        if reason:
            print(f"{folder.path}: {reason}, so training has ended; a larger --patience trains on")
            return 0
    else:
        Config(**{"class_names": ("object",), **fields})
    _start_tensorflow()
    from keras_maskrcnn.cli import train

    return train.run(folder, settings, fields, args.resume, args.strategy, cluster, args.max_hours)


def _evaluate(args: argparse.Namespace) -> int:
    evaluate_parser.check(args)
    _check_outputs([args.json, args.results], [args.annotations])
    if args.annotations is not None and args.images is None:
        checked_format(args.annotations, None, args.format)
    _start_tensorflow()
    from keras_maskrcnn.cli import evaluate

    return evaluate.run(args)


def _predict(args: argparse.Namespace) -> int:
    args.model, inputs = arguments.model_and_inputs([args.first, *args.images], args.model)
    video = video_arguments.video_among(inputs)
    if video is not None:
        return _predict_video(args, video)
    args.images = list(dict.fromkeys(path for text in inputs for path in arguments.images(text)))
    video_arguments.check_images(args)
    folders = {folder for path in args.images for folder in (path.resolve().parent, path.parent.resolve())}
    # Both folders of an image that is a link: drawing into its own would draw on the original.
    written = [args.output] + ([args.output / "label_images"] if args.label_images else [])
    written += [label_folder(args.output, name) for name in args.write]
    if any(folder.resolve() in folders for folder in written):
        raise ValueError(f"{args.output}: the output folder must be another than the images' own")
    evaluate_parser.tiling(args)
    _start_tensorflow()
    from keras_maskrcnn.cli import predict

    return predict.run(args)


def _predict_video(args: argparse.Namespace, video: str | int) -> int:
    video_arguments.check_video(args, video)
    evaluate_parser.tiling(args)
    _start_tensorflow()
    from keras_maskrcnn.cli import predict_video

    return predict_video.run(args, video)


def _convert(args: argparse.Namespace) -> int:
    is_checkpoint = isinstance(args.source, Path) and args.source.suffix != ".keras"
    if args.model is not None and args.config:
        raise ValueError("--model and --config both say what the checkpoint is: leave out one of them")
    if is_checkpoint and args.model is None and not args.config:
        raise ValueError(
            f"{args.source}: --model NAME must say the published model of this architecture, or --config FILE the "
            "Config of the model that it is of, such as a run's config.json"
        )
    if not is_checkpoint and (args.model is not None or args.classes is not None or args.config):
        raise ValueError(f"{args.source} says itself what it is: leave out --model, --config and --classes")
    _start_tensorflow()
    from keras_maskrcnn.cli import convert

    return convert.run(args)


def _export(args: argparse.Namespace) -> int:
    _start_tensorflow()
    from keras_maskrcnn.cli import export

    return export.run(args)


def _serve(args: argparse.Namespace) -> int:
    from keras_maskrcnn.cli import serve

    return serve.run(args)


def _demo(args: argparse.Namespace) -> int:
    if not isinstance(args.model, Path) or not is_artefact(args.model):
        _start_tensorflow()
    from keras_maskrcnn.cli import demo

    return demo.run(args)


def _to_coco(args: argparse.Namespace) -> int:
    _check_outputs([args.target], [args.annotations])
    if args.images is None:
        checked_format(args.annotations, None, args.format)
    from keras_maskrcnn.cli import to_coco

    return to_coco.run(args)


def _to_labels(args: argparse.Namespace) -> int:
    _check_outputs([args.target], [args.annotations])
    if args.images is None:
        checked_format(args.annotations, None, args.format)
    from keras_maskrcnn.cli import to_labels

    return to_labels.run(args)


def _check_outputs(outputs: Sequence[Path | None], inputs: Sequence[Path | None]) -> None:
    """Refuse to write a file twice, over an input, or among the files of a folder that is one."""
    taken: set[Path] = set()
    sources = {path.resolve() for path in inputs if path is not None}
    for output in (path for path in outputs if path is not None):
        place = output.resolve()
        if place in taken:
            raise ValueError(f"{output}: two outputs would be written there")
        if place in sources or any(source in place.parents for source in sources):
            raise ValueError(f"{output}: it is among the annotations that are read; choose another place")
        taken.add(place)


def _models(args: argparse.Namespace) -> int:
    from keras_maskrcnn.cli import models

    return models.run(args)


COMMANDS = {
    "check": _check,
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "convert": _convert,
    "export": _export,
    "serve": _serve,
    "demo": _demo,
    "to-coco": _to_coco,
    "to-labels": _to_labels,
    "models": _models,
}


def _start_tensorflow() -> None:
    """Load TensorFlow without its chatter; a log level that the user has chosen is kept, and 0 shows all."""
    if "tensorflow" in sys.modules:
        return
    # Errors too: it logs as such what it then does another way. Those that matter arrive as exceptions.
    if os.environ.setdefault(LOG_LEVEL, "3") != "0":
        _import_silently()


def _import_silently() -> None:
    """Import TensorFlow with standard error put aside: the first lines that it logs follow no level."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            aside.seek(0)
            os.write(before, aside.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)


def _reason(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    in_dataset = _RAISED_IN_DATASET.search(str(error))
    if in_dataset:
        return in_dataset[1]
    lines = [line for line in str(error).splitlines() if line.strip() and line != "Graph execution error:"]
    if isinstance(error, (ValueError, OSError)) and lines:
        if lines[0].endswith(":") and len(lines) > 1:  # a list follows
            more = f" (--debug shows {len(lines) - 2} more)" if len(lines) > 2 else ""
            return f"{lines[0]} {lines[1].strip()}{more}"
        return lines[0]
    out_of_memory = [line for line in lines if line.startswith("OOM")]
    line = (out_of_memory or lines or ["no reason given"])[0]
    return f"{type(error).__name__}: {line} (--debug shows where)"


if __name__ == "__main__":
    sys.exit(main())
