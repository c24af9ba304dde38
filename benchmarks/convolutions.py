# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions with few channels in a group, of Plait and of torch, in turns.

    PYTHONPATH=build/python:python build/venv/bin/python benchmarks/convolutions.py

Forward, the same with a ReLU behind, gradient of the input, gradient of the weight,
as a model of `torch.nn` brings them: NCHW, and Plait pads within the time. How the
two sides take turns: kernels.py. Prints milliseconds of the fastest call, and how
many times as long Plait takes. Results are checked against torch's in f64 before they
are timed.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from kernels import add_options, compile_step, fastest, set_threads
from torch.nn import functional as F

#: name: input channels, output channels, groups, kernel, stride, size of an image
LAYERS = {
    "3x3, 32 channels": (32, 32, 32, 3, 1, 56),
    "3x3, 128 channels": (128, 128, 128, 3, 1, 14),
    "3x3 by 2, 64 channels": (64, 64, 64, 3, 2, 56),
    "5x5, 64 channels": (64, 64, 64, 5, 1, 14),
    "3x3, 32 to 64 channels": (32, 64, 32, 3, 1, 56),
    "3x3, 4 groups of 8": (32, 32, 4, 3, 1, 56),
    "dense 3x3, 64 channels": (64, 64, 1, 3, 1, 32),
    "dense 3x3 by 2, 64 to 128 channels": (64, 128, 1, 3, 2, 32),
    "dense 1x1 by 2, 64 to 128 channels": (64, 128, 1, 1, 2, 32),
    "dense 3x3, 512 channels": (512, 512, 1, 3, 1, 4),
}
FORMS = ("forward", "ReLU", "dX", "dW")


def functions(layer: str, batch: int) -> dict[str, tuple[Callable[..., torch.Tensor], list]]:
    """For each form, the function of torch and its arguments."""
    channels, out, groups, kernel, stride, size = LAYERS[layer]
    padding = kernel // 2
    torch.manual_seed(0)
    x = torch.rand(batch, channels, size, size) - 0.5
    w = torch.rand(out, channels // groups, kernel, kernel) - 0.5
    b = torch.rand(out) - 0.5
    grad = torch.rand_like(F.conv2d(x, w, b, stride, padding, 1, groups)) - 0.5
    window = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups

    def gradient(mask: list[bool]) -> Callable[..., torch.Tensor]:
        backward = torch.ops.aten.convolution_backward
        at = mask.index(True)
        return lambda grad, x, w: backward(grad, x, w, None, *window, mask)[at]

    def forward(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, w, b, stride, padding, 1, groups)

    return {
        "forward": (forward, [x, w, b]),
        "ReLU": (lambda x, w, b: F.relu(forward(x, w, b)), [x, w, b]),
        "dX": (gradient([True, False, False]), [grad, x, w]),
        "dW": (gradient([False, True, False]), [grad, x, w]),
    }


def step_text(function: Callable[..., torch.Tensor], arguments: list[torch.Tensor]) -> str:
    from plait.torch.lowering import lower
    from plait.torch.tracing import decompositions, trace

    text = lower({"kernel": trace(function, arguments, decompositions())}, entries=("kernel",))
    head, brace, body = text.partition(" {\n    ")
    return f"{head} attributes {{train.step}}{brace}{body}"


def measure(options: argparse.Namespace, folder: Path, layer: str, form: str) -> str:
    function, arguments = functions(layer, options.batch)[form]
    kernel = compile_step(options.plait_opt, step_text(function, arguments), "kernel", folder)
    # In f64: torch's own f32 can be off by more than Plait's.
    expected = function(*[argument.double() for argument in arguments])
    result = torch.full(expected.shape, float("nan"))
    kernel(*arguments, result)
    error = (result - expected).abs().max() / expected.abs().max()
    if not error < 1e-5:
        raise SystemExit(f"{layer}, {form}: differs from torch by {error:.1e} of the largest")
    sides = [lambda: kernel(*arguments, result), lambda: function(*arguments)]
    plait, other = (1e3 * t for t in fastest(sides, options.blocks, options.block))
    size = LAYERS[layer][-1]
    return f"| {layer} | {size}x{size} | {form} | {plait:.2f} | {other:.2f} | {plait / other:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_options(parser)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", default="", help="what their names contain, with ; between")
    parser.add_argument("--forms", default=",".join(FORMS))
    options = parser.parse_args()
    set_threads(options.threads)
    print(f"{options.threads} threads, batch {options.batch}, torch {torch.__version__}, ms\n")
    print("| layer | image | form | Plait | torch | Plait / torch |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for layer in LAYERS:
            if any(part in layer for part in options.layers.split(";")):
                for form in options.forms.split(","):
                    print(measure(options, Path(folder), layer, form), flush=True)


if __name__ == "__main__":
    main()
