# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise ops on the sums of products have the bits of loops of their own.

Shapes are such that products are register tiles, dot products, sums of parts, or
have tiles that are not whole; k is one block and several. Each step has a bias and
an activation whose argument backward reads, a residual, and activation gradients.
"""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: NOT verified")

from plait_run import needs_plait_run, run_step
from torch import nn
from torch.nn import functional as F

import plait.torch

pytestmark = needs_plait_run

ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "square": lambda x: x * x,
}


class Residual(nn.Module):
    """Two linear layers around an activation, beside which the input goes on."""

    def __init__(self, width: int, inner: int, activation: str):
        super().__init__()
        self.enter, self.up = nn.Linear(width, width), nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.act = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.enter(x))
        return x + self.down(self.act(self.up(x)))


def results_of(directory, model, x, *options):
    step = plait.torch.export_step(
        model,
        F.mse_loss,
        torch.optim.AdamW(model.parameters(), lr=1e-3),
        (x, torch.zeros_like(x)),
    )
    directory.mkdir()
    return run_step(
        directory,
        step.module_text,
        {**step.tensors, **step.inputs},
        2,
        *options,
    )


@pytest.mark.parametrize(
    ("activation", "shape", "width", "inner"),
    [
        ("gelu-tanh", (3,), 128, 512),  # dot products, split along k
        ("relu", (50,), 256, 1000),  # the same, with ragged lanes
        ("silu", (50,), 256, 1000),
        ("relu", (130,), 100, 205),  # tiles that are not whole
        ("gelu", (130,), 100, 205),
        ("gelu-tanh", (2, 96), 320, 512),  # two dimensions of rows, blocks of k
        ("square", (2, 96), 320, 512),
    ],
)
def test_bits(tmp_path, activation, shape, width, inner):
    torch.manual_seed(0)
    model = Residual(width, inner, activation)
    x = torch.randn(*shape, width)
    apart = results_of(tmp_path / "apart", model, x, "--epilogues=false", "--threads=1")
    for threads in 1, 3:
        fused = results_of(tmp_path / f"{threads}", model, x, f"--threads={threads}")
        assert fused.keys() == apart.keys()
        for name, value in apart.items():
            assert value.tobytes() == fused[name].tobytes(), (name, threads)


class Dot(nn.Module):
    """The product of two vectors, and a bias behind it."""

    def __init__(self, size: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(size)), nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.weight * x).sum() + self.bias


@pytest.mark.parametrize("size", [7, 512])
def test_one_sum(tmp_path, size):
    torch.manual_seed(0)
    model, x = Dot(size), torch.randn(size)
    step = plait.torch.export_step(
        model, F.mse_loss, torch.optim.SGD(model.parameters(), lr=1e-3), (x, torch.zeros(()))
    )
    tensors = {**step.tensors, **step.inputs}
    fused = run_step(tmp_path, step.module_text, tensors, 2)
    apart = run_step(tmp_path, step.module_text, tensors, 2, "--epilogues=false")
    assert {n: v.tobytes() for n, v in fused.items()} == {n: v.tobytes() for n, v in apart.items()}
