#!/usr/bin/env bash
# PyAV 18.1.0: frame.rotation says that a mirrored film is upside down.
#
# A film says how its frames are to be shown by a matrix, which may turn and mirror them; front cameras write such. PyAV gives the
# angle of it as frame.rotation. Of a frame that is only mirrored from left to right the angle is -180, the same as of one that
# is turned upside down: whoever turns frames by it shows the mirrored film upside down. One would expect 0, or a name for
# mirroring beside it. The matrix itself is in the frame's side data, whose values() ends in a KeyError where the
# matrix alone is there, while get() finds it.
# Seen: turned: -180, mirrored: -180; values() of one item raises KeyError.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import av
import numpy as np


def first_frame(name, *shown):
    with av.open(name, "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(*shown)
        for _ in range(3):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        film.mux(stream.encode())
    with av.open(name) as film:
        return next(film.decode(video=0))


turned = first_frame("turned.mp4", 180)
mirrored = first_frame("mirrored.mp4", 0, True)
print(f"turned: {turned.rotation}, mirrored: {mirrored.rotation}")
side = mirrored.side_data
print(f"{len(side)} side data, get: {type(side.get('DISPLAYMATRIX')).__name__}")
try:
    list(side.values())
    values = "found"
except KeyError as error:
    values = f"KeyError {error}"
print(f"values(): {values}")
assert (abs(turned.rotation), abs(mirrored.rotation)) == (180, 180), "this has changed"
assert values.startswith("KeyError"), "this has changed"
PYTHON
