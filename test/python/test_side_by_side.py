# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops beside each other have the bits of loops one after the other, on 1, 2, 3 and 8
threads, under every schedule and in both layouts.

A race would not show in every run; what each of these steps is sure of is that the pass
had something to join.
"""

import re

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: NOT verified")

from plait_run import needs_plait_run, print_ir, run_step
from torch import nn
from torch.nn import functional as F

import plait.torch

pytestmark = needs_plait_run

STEPS = 3


class Branches(nn.Module):
    """Layers of one input that do not depend on each other, of several widths."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(256, 256 + 64 * i) for i in range(5))
        self.last = nn.Linear(5 * 256 + 64 * 10, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.cat([F.gelu(layer(x)) for layer in self.layers], 1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(x).mean(1))


class Tied(nn.Module):
    """An embedding that is the last layer's weight, too."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(512, 256)
        self.inner = nn.Linear(256, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(torch.tanh(self.inner(self.embedding(x))), self.embedding.weight)


def layers(width: int, count: int) -> nn.Module:
    hidden = [m for _ in range(count) for m in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(width, 10))


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 16, 10),
    )  # fmt: skip


CASES = {
    "small layers": (lambda: layers(256, 7), (16, 256), {}),
    "layers, one row": (lambda: layers(512, 3), (1, 512), {}),
    "branches": (Branches, (32, 256), {}),
    "encoder": (Encoder, (2, 64, 128), {}),
    "convolutions": (convolutions, (32, 3, 16, 16), {}),
    "tied": (Tied, (48,), {}),
    "clipped": (lambda: layers(256, 4), (16, 256), {"clip_grad_norm": 0.5}),
    "accumulated": (lambda: layers(512, 3), (8, 512), {"accumulation_steps": 2}),
}


def export(case: str):
    build, shape, options = CASES[case]
    torch.manual_seed(0)
    model = build()
    x = torch.randint(512, shape) if case == "tied" else torch.randn(*shape)
    y = torch.randint(10, shape[:1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    step = plait.torch.export_step(model, F.cross_entropy, optimizer, (x, y), **options)
    return step.module_text, {**step.tensors, **step.inputs}


def count_joined(text: str, options: str) -> int:
    """How many loops are in loops over lanes, by the pass itself."""
    ir = print_ir(text, options, "after=train-side-by-side")
    joined, inside = 0, None
    for line in ir.splitlines():
        indent = len(line) - len(line.lstrip())
        if re.search(r"scf\.parallel .* to \(%c64\w*\) step \(%c1\w*\) \{", line):
            inside = indent
        elif inside is not None and indent <= inside:
            inside = None
        elif inside is not None and indent == inside + 2 and "scf.for" in line:
            joined += 1
    return joined


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
@pytest.mark.parametrize(
    ("case", "layout"),
    [*((case, "auto") for case in CASES), ("small layers", "row-major"), ("branches", "row-major")],
)
def test_bits(tmp_path, monkeypatch, case, layout, schedule):
    # More threads than processors, which else keep each other waiting.
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    text, given = export(case)

    def run(threads: int, side_by_side: str):
        return run_step(
            tmp_path, text, given, STEPS, f"--schedule={schedule}", f"--layout={layout}",
            f"--threads={threads}", f"--side-by-side={side_by_side}",
        )  # fmt: skip

    reference = run(1, "false")
    for threads in (1, 2, 3, 8):
        got = run(threads, "true")
        assert got.keys() == reference.keys()
        for name, value in reference.items():
            assert value.tobytes() == got[name].tobytes(), (name, threads)


@pytest.mark.parametrize("case", CASES)
def test_loops_are_joined(case):
    """In each case above, under at least one schedule."""
    text, _ = export(case)
    joined = [
        count_joined(text, f"policy={schedule} block-parameters={blocked}")
        for schedule in ("baseline", "backward", "forward")
        for blocked in ("true", "false")
    ]
    assert max(joined) > 1, joined
