"""`maskrcnn serve`: an artefact as a web server."""

import argparse

from keras_maskrcnn.runtime.model import ExportedModel


def run(args: argparse.Namespace) -> int:
    """Serve until the process is told to end; return the exit code."""
    try:
        import uvicorn

        from keras_maskrcnn.serving.app import make_app
    except ImportError as error:
        raise ImportError(f"{error}: pip install 'keras3-maskrcnn[serve]'") from error
    from keras_maskrcnn.serving.requests import Limits

    model = ExportedModel(args.artefact, args.threads)
    limits = Limits(int(args.max_megabytes * 1e6), int(args.max_megapixels * 1e6))
    app = make_app(model, limits, args.batch_size, args.batch_wait / 1000, args.max_waiting)
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning", timeout_graceful_shutdown=60)
    return 0
