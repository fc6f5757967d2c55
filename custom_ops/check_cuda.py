"""Compares the CUDA kernels with the same arithmetic on the CPU, and times them against torchvision; needs a GPU.

python -m custom_ops.check_cuda LIBRARY [--rounds 50]

LIBRARY is what `python -m keras_maskrcnn.ops.build_cuda FOLDER` printed first. TensorFlow is not needed, PyTorch with
torchvision is. Prints a table for custom_ops/README.md; exits with 1 if values differ.
"""

import argparse
import functools
import statistics
import sys
from collections.abc import Callable

import torch
from torchvision.ops import roi_align

from keras_maskrcnn.ops.cuda_library import Library, make_call

HEIGHT, WIDTH = 800, 1088
STRIDES = (4, 8, 16, 32)
CASES = ((1000, 7), (100, 14))
CHANNELS = 256


class Case:
    """Features of a pyramid in both layouts, and boxes of all sizes with the level each belongs to."""

    def __init__(self, library: Library, boxes: int, size: int, dtype: torch.dtype):
        generator = torch.Generator().manual_seed(0)
        self.library, self.size, self.dtype = library, size, dtype
        shapes = [(1, CHANNELS, HEIGHT // s, WIDTH // s) for s in STRIDES]
        self.planes = [torch.randn(shape, generator=generator).to("cuda", dtype) for shape in shapes]
        self.maps = [x.permute(0, 2, 3, 1).contiguous() for x in self.planes]
        limits = torch.tensor([WIDTH, HEIGHT])
        centre = torch.rand((boxes, 2), generator=generator) * limits
        half = torch.exp(torch.rand((boxes, 2), generator=generator) * 3.6 + 2.1)
        corners = [(centre - half).clamp(min=0), torch.minimum(centre + half, limits)]
        self.boxes = torch.cat(corners, dim=1).cuda()
        sides = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(1).sqrt()
        self.levels = (torch.floor(4 + torch.log2(sides / 224 + 1e-6)).clamp(2, 5) - 2).int()
        self.images = torch.zeros_like(self.levels)
        self.above = torch.randn((boxes, size, size, CHANNELS), generator=generator).to("cuda", dtype)
        self.pooled = torch.empty_like(self.above)
        self.gradients = [torch.empty_like(x) for x in self.maps]
        self.call = make_call(
            [x.shape for x in self.maps],
            [x.data_ptr() for x in self.maps],
            *(x.data_ptr() for x in (self.boxes, self.images, self.levels)),
            boxes,
            dtype=str(dtype).removeprefix("torch."),
            strides=STRIDES,
            output_size=size,
            sampling_ratio=2,
            aligned=False,
            mode="average",
        )
        self.workspace = torch.empty(library.workspace(self.call), dtype=torch.uint8, device="cuda")
        self.rows = [torch.nonzero(self.levels == level)[:, 0] for level in range(len(STRIDES))]

    def forward(self) -> None:
        self.library.forward(self.call, self.pooled.data_ptr(), torch.cuda.current_stream().cuda_stream)

    def backward(self) -> None:
        addresses = [x.data_ptr() for x in self.gradients]
        stream = torch.cuda.current_stream().cuda_stream
        self.library.gradient(self.call, self.above.data_ptr(), addresses, self.workspace.data_ptr(), stream)

    def torchvision_forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Level by level, as torchvision's models do; the rows of each level are known beforehand."""
        chosen = zip(maps, self.rows, STRIDES, strict=True)
        return [
            roi_align(x, [self.boxes[rows].to(self.dtype)], self.size, 1 / s, 2, False)
            for x, rows, s in chosen
        ]

    def torchvision_backward(self) -> list[torch.Tensor]:
        maps = [x.detach().requires_grad_() for x in self.planes]
        pooled = self.torchvision_forward(maps)
        above = [self.above[rows].permute(0, 3, 1, 2).contiguous() for rows in self.rows]
        return list(torch.autograd.grad(pooled, maps, above))

    def differences(self) -> tuple[float, float]:
        """Largest differences of values and gradients from torchvision's in float32 on the CPU."""
        self.forward()
        self.backward()
        maps = [x.float().cpu().requires_grad_() for x in self.planes]
        value, gradient = 0.0, 0.0
        for level, rows in enumerate(self.rows):
            pooled = roi_align(maps[level], [self.boxes[rows].cpu()], self.size, 1 / STRIDES[level], 2, False)
            ours = self.pooled[rows].float().cpu().permute(0, 3, 1, 2)
            value = max(value, float((ours - pooled).abs().max()) if len(rows) else 0.0)
            pooled.backward(self.above[rows].float().cpu().permute(0, 3, 1, 2))
            ours = self.gradients[level].float().cpu().permute(0, 3, 1, 2)
            gradient = max(gradient, float((ours - maps[level].grad).abs().max()))
        return value, gradient


def milliseconds(run: Callable[[], object], rounds: int) -> float:
    taken = []
    for turn in range(rounds + 5):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        if turn >= 5:
            taken.append(start.elapsed_time(end))
    return statistics.median(taken)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library")
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    library = Library(options.library)
    reason = library.status()
    if reason is not None:
        sys.exit(f"This machine's GPU cannot be used: {reason}")
    print(f"{torch.cuda.get_device_name()}, medians of {options.rounds}, milliseconds")
    print("| | dtype | forward | torchvision | ratio | backward | torchvision, both | difference |")
    print("|---|---|---|---|---|---|---|---|")
    equal = True
    for boxes, size in CASES:
        for dtype, limit in ((torch.float32, 1e-4), (torch.float16, 3e-2), (torch.bfloat16, 2e-1)):
            case = Case(library, boxes, size, dtype)
            value, gradient = case.differences()
            equal = equal and value < limit and gradient < 10 * limit
            cells = [milliseconds(case.forward, options.rounds)]
            if dtype != torch.bfloat16:  # which torchvision has no kernel for
                cells.append(
                    milliseconds(functools.partial(case.torchvision_forward, case.planes), options.rounds)
                )
                cells.append(cells[1] / cells[0])
            else:
                cells += [float("nan")] * 2
            cells.append(milliseconds(case.backward, options.rounds))
            both = float("nan")
            if dtype != torch.bfloat16:
                both = milliseconds(case.torchvision_backward, options.rounds)
            cells.append(both)
            name = str(dtype).removeprefix("torch.")
            row = " | ".join(f"{cell:.3f}" for cell in cells)
            print(
                f"| {boxes} x {size} x {size} x {CHANNELS} | {name} | {row} | {value:.1e}, {gradient:.1e} |"
            )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
