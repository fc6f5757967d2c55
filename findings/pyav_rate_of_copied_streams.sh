#!/usr/bin/env bash
# PyAV 18.1.0: a stream made from a template takes its rate from the codec, not from the template.
#
# Packets are copied into another file with add_stream_from_template. Where the codec has clock ticks of its own, as MPEG-4
# has, the new stream is announced with one frame for each tick: the times of the frames are right, but the .mkv says
# 30000 frames a second, from which programs reckon times, lengths and speeds. One would expect the template's rate.
# Setting codec_context.framerate of the new stream to the template's average_rate is the way round.
# Seen: 30000/1001 frames a second are copied as 30000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/remux.py" <<'PYTHON'
from fractions import Fraction

import av
import numpy as np


def copied(path, keep):
    with av.open("film.mkv") as film, av.open(path, "w") as target:
        source = film.streams.video[0]
        stream = target.add_stream_from_template(source)
        if keep:
            stream.codec_context.framerate = source.average_rate
        for packet in film.demux(source):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with av.open(path) as film:
        return film.streams.video[0].average_rate, [frame.time for frame in film.decode(video=0)]


with av.open("film.mkv", "w") as film:
    stream = film.add_stream("mpeg4", rate=Fraction(30000, 1001))
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for level in range(0, 200, 10):
        film.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")))
    film.mux(stream.encode())
with av.open("film.mkv") as film:
    rate, times = film.streams.video[0].average_rate, [frame.time for frame in film.decode(video=0)]
plain, told = copied("plain.mkv", False), copied("told.mkv", True)
print(f"rate {rate}, copied {plain[0]}, told {told[0]}, equal times {times == plain[1] == told[1]}")
PYTHON
cd "$folder"
seen=$(venv/bin/python remux.py)
echo "$seen"
[ "$seen" = "rate 30000/1001, copied 30000, told 30000/1001, equal times True" ] || { echo "this has changed"; exit 1; }
