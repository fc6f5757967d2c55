"""`maskrcnn predict` of a film that is killed: `python killed_video.py ENDING NUMBER ARGUMENT ...`.

The model is the one of `films`. In the image of that number the process gets SIGKILL ("kill"), or SIGINT ("interrupt").
"""

import os
import signal
import sys

import films

from keras_maskrcnn.cli import predict_video
from keras_maskrcnn.cli.main import main

SEGMENT = 7


def end_at(ending, number):
    """What a model runs before each image."""

    def before(seen):
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL if ending == "kill" else signal.SIGINT)

    return before


if __name__ == "__main__":
    predict_video.SEGMENT = SEGMENT
    model = films.FindsSquares(before=end_at(sys.argv[1], int(sys.argv[2])))
    predict_video.open_detector = lambda path: model
    sys.exit(main(sys.argv[3:]))
