# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention by blocks of queries: a few steps of plait-run beside as many of the
framework, with masks, and what is in memory meanwhile. Dropout: test_torch_random.py.

What is asked of plait-opt is whether the matrix of queries and keys is stored; the
lengths are such that blocks are one (7), whole (64), and have a rest (257).
"""

import json
import os
import re
import subprocess

import pytest
from plait_run import needs_plait_run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from training import compare_training  # noqa: E402

from plait.torch import export_step  # noqa: E402

STEPS, WIDTH, HEADS = 3, 8, 2
LENGTHS = [7, 64, 257]


class Attention(nn.Module):
    """Self-attention by scaled_dot_product_attention, with a mask of that kind."""

    def __init__(self, mask=None, heads=HEADS, **options):
        super().__init__()
        torch.manual_seed(0)
        self.mask, self.heads, self.options = mask, heads, options
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def mask_of(self, length):
        if self.mask == "band":
            return torch.ones(length, length, dtype=torch.bool).triu(-9).tril(3)
        if self.mask == "distance":
            places = torch.arange(length)
            return -(places[:, None] - places).abs() * 0.1
        return None

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(
            *parts.unbind(), attn_mask=self.mask_of(length), **self.options
        )
        return self.out(y.transpose(1, 2).reshape(batch, length, width))


def data(length, batch=8):
    """Batches for all steps. The matrices of one step have more than 4096 bytes,
    the least that is done by blocks."""
    generator = torch.Generator().manual_seed(1)
    size = (STEPS * (batch if length > 7 else 64), length, WIDTH)
    return [torch.randn(size, generator=generator) for _ in range(2)]


def stores_matrix(text, length, schedule="backward"):
    """Whether a tensor has the matrices of a batch; a block may be one of them."""
    pipeline = (
        f"builtin.module(plait-schedule{{policy={schedule}}},train-block-attention,"
        "train-localize-inits,canonicalize)"
    )
    command = [os.environ["PLAIT_OPT"], "-", f"--pass-pipeline={pipeline}"]
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return re.search(rf"(?<!\d)(?!1x)\d+x{length}x{length}x", run.stdout) is not None


MASKS = {
    "none": {},
    "causal": {"is_causal": True},
    "band": {"mask": "band"},
    "distance": {"mask": "distance"},
}


@needs_plait_run
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("mask", MASKS)
def test_masks(tmp_path, length, mask):
    model = Attention(**MASKS[mask])
    step = compare_training(
        tmp_path, model, functional.mse_loss, data(length), steps=STEPS, still=["qkv.bias"]
    )
    assert not stores_matrix(step.module_text, length)


@needs_plait_run
@pytest.mark.parametrize("schedule", ["baseline", "forward"])
def test_schedules(tmp_path, schedule):
    model = Attention(is_causal=True)
    options = dict(steps=STEPS, still=["qkv.bias"], schedule=schedule)
    step = compare_training(tmp_path, model, functional.mse_loss, data(70), **options)
    assert not stores_matrix(step.module_text, 70, schedule)


@needs_plait_run
@pytest.mark.parametrize("threads", [1, 3])
def test_bits_and_bytes(tmp_path, threads):
    """Schedules agree bit for bit, and memory grows with the length."""
    peaks = []
    for length in (128, 512):
        model, values = Attention(), data(length, batch=2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = export_step(model, functional.mse_loss, optimizer, [v[:2] for v in values])
        (tmp_path / "step.mlir").write_text(step.module_text)
        report = tmp_path / "report.json"
        command = [os.environ["PLAIT_RUN"], str(tmp_path / "step.mlir"), "--random-inputs"]
        command += ["--compare", "-n", "2", f"--threads={threads}", f"--report={report}"]
        subprocess.run(command, check=True, capture_output=True)
        runs = json.loads(report.read_text())["schedules"]
        peaks.append(max(run["peak_bytes"] for run in runs))
    assert peaks[1] < 5 * peaks[0]


class Multihead(nn.Module):
    def __init__(self, weights, **options):
        super().__init__()
        torch.manual_seed(0)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, **options)
        self.weights = weights

    def forward(self, x):
        absent = x[:, :, 0] > 1.5
        y, weights = self.attention(x, x, x, key_padding_mask=absent, need_weights=self.weights)
        return y + weights.mean(-1, keepdim=True) if self.weights else y


@needs_plait_run
@pytest.mark.parametrize("weights", [False, True])
def test_multihead(tmp_path, weights):
    step = compare_training(
        tmp_path, Multihead(weights), functional.mse_loss, data(70), steps=STEPS,
        still=["attention.in_proj_bias"],
    )  # fmt: skip
    # Weights that something else reads are stored.
    assert stores_matrix(step.module_text, 70) == weights
