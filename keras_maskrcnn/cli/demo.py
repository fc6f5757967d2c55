"""`maskrcnn demo`: a web page on which a model is tried on one's own images."""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_maskrcnn.cli.common import open_detector
from keras_maskrcnn.serving.requests import Limits
from keras_maskrcnn.serving.thumbnails import make_thumbnails
from keras_maskrcnn.utils.files import image_files


def run(args: argparse.Namespace) -> int:
    """Serve the page until the process is told to end; return the exit code."""
    with _ended_by_sigterm(), tempfile.TemporaryDirectory(prefix="maskrcnn_demo_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads and results: nothing is left of them
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # these before they are imported
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        try:
            import uvicorn

            from keras_maskrcnn.serving.demo import make_demo
            from keras_maskrcnn.serving.page import make_page
        except ImportError as error:
            raise ImportError(f"{error}: pip install 'keras3-maskrcnn[demo]'") from error
        model = open_detector(args.model)
        files = [] if args.examples is None else image_files(args.examples)
        examples = make_thumbnails(files, model.config, Path(folder))
        # The first detection takes longer: the model is traced.
        model.detect(np.zeros((64, 64, model.config.channels), np.uint8), masks="rle")
        limits = Limits(int(args.max_megabytes * 1e6), int(args.max_megapixels * 1e6))
        page = make_page(model, Path(args.model).name, limits, args.score_threshold, examples)
        print(f"Open http://{args.host}:{args.port} in a browser; Ctrl-C ends it", flush=True)
        # Open pages keep their connections: they are not waited for.
        uvicorn.run(
            make_demo(page, limits),
            host=args.host,
            port=args.port,
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
    return 0


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as an exit of Python does, so that files are removed."""
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
