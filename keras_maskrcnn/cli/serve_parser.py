"""The arguments of `maskrcnn serve`, and its help."""

from pathlib import Path
from typing import Any

from keras_maskrcnn.cli import numbers

DESCRIPTION = """
Answer requests with an artefact that maskrcnn export has written: POST /detect with the bytes of an image file, and
the answer is JSON. GET /health, /model and /metrics (Prometheus) say how it is. TensorFlow is not loaded but for a
SavedModel. Ctrl-C or SIGTERM: what has been asked is answered, then it ends.
Needs pip install 'keras3-maskrcnn[serve]'.

examples:
  maskrcnn serve cells.onnx
  maskrcnn serve cells_openvino --host 0.0.0.0 --port 80 --threads 4
  curl --data-binary @cells.png 'http://127.0.0.1:8000/detect?score_threshold=0.5'
"""


def add_options(command: Any) -> None:
    """Add the arguments to the command's parser."""
    command.add_argument("artefact", type=Path, metavar="ARTEFACT", help="what maskrcnn export has written")
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)"
    )
    command.add_argument(
        "--port", type=numbers.count, default=8000, metavar="N", help="port to listen on (default: 8000)"
    )
    command.add_argument(
        "--threads", type=numbers.count, metavar="N", help="threads of the runtime (default: its own choice)"
    )
    command.add_argument(
        "--batch-size",
        type=numbers.count,
        default=4,
        metavar="N",
        help="most images run together (default: 4)",
    )
    command.add_argument(
        "--batch-wait",
        type=numbers.not_negative,
        default=5.0,
        metavar="MS",
        help="milliseconds that an image waits for others (default: 5)",
    )
    command.add_argument(
        "--max-waiting",
        type=numbers.count,
        default=64,
        metavar="N",
        help="images that may wait; more are refused with 503 (default: 64)",
    )
    command.add_argument(
        "--max-megabytes", type=numbers.positive, default=20, metavar="N", help="of a body (default: 20)"
    )
    command.add_argument(
        "--max-megapixels", type=numbers.positive, default=50, metavar="N", help="of an image (default: 50)"
    )
