"""Detection in a video against `detect` on the same images, and memory over a long one.

    python benchmarks/video.py [--frames 2000] [--rounds 5] [--min-size 240]

A video of 320 x 240 pixels is written (H.264, 25 frames per second) in which an image of smooth blobs moves. A
ResNet-50-FPN with randomly generated weights detects in its first 50 frames, in turns: by `detect_video`, by `detect`
on the same images in memory, and by `detect_video` with tracks; frames are also decoded alone. Then all frames go
through `detect_video`, and through `maskrcnn predict --track` in a process of its own, which are watched for memory.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import peers

from keras_maskrcnn.video.encoding import Encoder
from keras_maskrcnn.video.reading import Selection, Video

RATE = 25
TIMED = 50
"""Frames of a turn."""
OPTIONS = {"score_threshold": 0.5, "max_detections": 20, "masks": "rle"}


def write_video(path: Path, frames: int) -> None:
    """Write a video in which an image moves to the right, and at the end of it begins again."""
    image = peers.made_image(240, 320)
    encoder = Encoder(path, Fraction(1, RATE), Fraction(RATE), None)
    for number in range(frames):
        encoder.add(np.roll(image, 2 * number, axis=1), number, f"frame {number}")
    encoder.close()


def timed(model: Any, path: Path, rounds: int) -> None:
    """Print the seconds of each way through the first frames."""
    stop = TIMED / RATE
    images = [frame.image for frame in Video(path).frames(Selection(stop=stop))]
    if len(images) != TIMED:
        raise SystemExit(f"{len(images)} frames were read, not {TIMED}")

    def in_video(**options: Any) -> None:
        for _ in model.detect_video(path, stop=stop, **OPTIONS, **options):
            pass

    runs = {
        "detect on images": lambda: model.detect(images, **OPTIONS),
        "detect_video": in_video,
        "detect_video, tracks": lambda: in_video(track="bytetrack"),
        "frames decoded alone": lambda: list(Video(path).frames(Selection(stop=stop))),
    }
    seconds = peers.in_turns(runs, rounds)
    notes = {
        name: f"{TIMED / float(np.median(taken)):.1f} frames per second" for name, taken in seconds.items()
    }
    peers.print_table(seconds, "detect on images", notes)


def watched(model: Any, path: Path, marks: list[int]) -> None:
    """Print the memory of this process after so many frames of `detect_video`."""
    print("\n| `detect_video`, tracks | memory now, GiB | highest |\n|---|---|---|")
    for count, _ in enumerate(model.detect_video(path, track="bytetrack", **OPTIONS), 1):
        if count in marks:
            print(
                f"| {count} frames | {peers.memory('VmRSS'):.3f} | {peers.memory('VmHWM'):.3f} |", flush=True
            )


def watched_command(model_file: Path, path: Path, marks: list[int]) -> None:
    """Print the memory of `maskrcnn predict` when so many frames are written, by its segments of 100."""
    output = path.parent / "out"
    command = [
        sys.executable,
        "-m",
        "keras_maskrcnn.cli.main",
        "predict",
        model_file,
        path,
        "--output",
        output,
    ]
    process = subprocess.Popen(
        list(map(str, command)) + ["--track", "--max-detections", "20"], stdout=subprocess.DEVNULL
    )
    work, left = output / f"{path.stem}.unfinished", list(marks)
    print("\n| `maskrcnn predict --track` | memory now, GiB |\n|---|---|")
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        now = [int(line.split()[1]) / 2**20 for line in status.splitlines() if line.startswith("VmRSS")]
        if left and now and len(list(work.glob("0*.jsonl"))) * 100 >= left[0]:
            print(f"| {left.pop(0)} frames | {now[0]:.3f} |", flush=True)
        time.sleep(0.02)
    if process.returncode or left:
        raise SystemExit(f"maskrcnn predict ended with {process.returncode}; not seen: {left}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=2000, help="of the video, hundreds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--min-size", type=int, default=240, help="to which a frame's shorter side is resized"
    )
    args = parser.parse_args()
    print(peers.machine(), end="\n\n")
    size = {"min_size": args.min_size, "max_size": 2 * args.min_size}
    model, _ = peers.our_model(**size, pre_nms_top_k=200, post_nms_top_k=100)  # else the box head were all
    marks = sorted({100, args.frames // 4 // 100 * 100, args.frames // 2 // 100 * 100, args.frames} - {0})
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "film.mp4"
        write_video(path, args.frames)
        timed(model, path, args.rounds)
        watched(model, path, marks)
        model.save(Path(name) / "model.keras")
        watched_command(Path(name) / "model.keras", path, marks)


if __name__ == "__main__":
    main()
