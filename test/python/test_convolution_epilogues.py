# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What stands behind a convolution is done in its own loops, with the same bits.

Convolutions that become products (with one image a tile, several, or one tile in
all) and those that do not (depthwise, with few channels in a group), of NCHW
and NHWC; behind them a bias, an activation, a residual, and in backward the
gradient of the activation. The results without epilogues are the reference, and
PyTorch's and JAX's.
"""

import os
import re
import subprocess

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: NOT verified")

import plait.torch
from plait_run import needs_plait_run, run_step
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}

#: channels, outputs, size of an image, batch, and of torch.nn.Conv2d
CASES = {
    "products": (16, 32, 16, 16, dict(padding=1)),
    "a stride": (16, 32, 17, 4, dict(padding=1, stride=2)),
    "a dilation": (16, 32, 16, 4, dict(padding=2, dilation=2)),
    "small images": (16, 24, 4, 320, dict(padding=1)),
    "one tile": (128, 128, 4, 8, dict(padding=1)),
    "one tile, blocks of k": (320, 64, 8, 32, dict(padding=1)),
    "depthwise": (16, 16, 30, 8, dict(padding=1, groups=16)),
    "depthwise, a stride": (16, 16, 29, 4, dict(padding=1, groups=16, stride=2)),
    "depthwise, more channels": (16, 32, 30, 4, dict(padding=1, groups=16)),
    "few channels": (32, 32, 22, 12, dict(padding=1, groups=4)),
    "groups of many": (64, 64, 14, 4, dict(padding=1, groups=4)),
    "one channel": (1, 16, 28, 8, dict()),
}


class Net(nn.Module):
    """A convolution with a bias, an activation, and one that is added to its input."""

    def __init__(self, channels, outputs, activation, **options):
        super().__init__()
        self.enter = nn.Conv2d(channels, outputs, 3, **options)
        self.inner = nn.Conv2d(outputs, outputs, 3, padding=1, groups=options.get("groups", 1))
        self.leave = nn.Conv2d(outputs, 8, 1)
        self.act = ACTIVATIONS[activation]

    def forward(self, x):
        x = self.act(self.enter(x))
        x = self.act(x + self.inner(x))
        return self.leave(x).mean((2, 3))


def make_step(case, activation):
    channels, outputs, size, batch, options = CASES[case]
    torch.manual_seed(0)
    model = Net(channels, outputs, activation, **options)
    x = torch.randn(batch, channels, size, size)
    y = torch.randn(batch, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, x, y, plait.torch.export_step(model, F.mse_loss, optimizer, (x, y))


def check_bits(directory, text, tensors, schedules=("backward",), more=()):
    """Results with epilogues are those without, which are returned of the last schedule."""

    def run(name, *options):
        (directory / name).mkdir()
        return run_step(directory / name, text, tensors, 2, *more, *options)

    for schedule in schedules:
        which = f"--schedule={schedule}"
        apart = run(f"apart-{schedule}", "--epilogues=false", "--threads=1", which)
        for threads in (1, 2, 3) if schedule == "backward" else (2,):
            fused = run(f"{schedule}{threads}", f"--threads={threads}", which)
            assert fused.keys() == apart.keys()
            for name, value in apart.items():
                assert value.tobytes() == fused[name].tobytes(), (name, schedule, threads)
    return apart


@needs_plait_run
@pytest.mark.parametrize(
    ("case", "activation"),
    [*((case, "relu") for case in CASES), ("products", "silu"), ("depthwise", "gelu")],
)
def test_torch(tmp_path, case, activation):
    model, x, y, step = make_step(case, activation)
    schedules = ("backward",)
    if case in ("products", "depthwise"):
        schedules = ("baseline", "forward", "backward")
    apart = check_bits(tmp_path, step.module_text, {**step.tensors, **step.inputs}, schedules)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    for name, value in model.named_parameters():
        np.testing.assert_allclose(
            apart[name], value.detach().numpy(), rtol=1e-4, atol=1e-5, err_msg=name
        )


@needs_plait_run
@pytest.mark.parametrize("case", ["depthwise", "few channels"])
def test_narrow_vectors(tmp_path, case):
    _, _, _, step = make_step(case, "gelu")
    tensors = {**step.tensors, **step.inputs}
    check_bits(tmp_path, step.module_text, tensors, more=["--mcpu=x86-64-v3"])


@needs_plait_run
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize(
    ("groups", "stride", "batch", "size"),
    [(1, 1, 4, 16), (1, 2, 4, 15), (1, 1, 320, 4), (32, 2, 4, 19), (8, 1, 4, 16)],
)
def test_jax(tmp_path, layout, groups, stride, batch, size):
    jax = pytest.importorskip("jax", reason="JAX is not installed: NOT verified")
    import jax.numpy as jnp
    from plait.jax import export_step

    channels, taps = 32, 3
    kernel = "HWIO" if layout == "NHWC" else "OIHW"
    sizes = dict(N=batch, H=size, W=size, C=channels)
    random = np.random.default_rng(0)
    x = random.standard_normal([sizes[c] for c in layout], np.float32)
    shape = [{"H": taps, "W": taps, "I": channels // groups, "O": channels}[c] for c in kernel]
    w, v = (0.1 * random.standard_normal((2, *shape), np.float32)).astype(np.float32)
    b = random.standard_normal(channels, np.float32)
    bias_shape = [channels if c == "C" else 1 for c in layout]

    def conv(x, w, stride):
        return jax.lax.conv_general_dilated(
            x, w, (stride, stride), "SAME",
            dimension_numbers=(layout, kernel, layout), feature_group_count=groups,
        )  # fmt: skip

    def loss(w, v, b, x):
        h = jax.nn.relu(conv(x, w, stride) + b.reshape(bias_shape))
        h = jax.nn.relu(h + conv(h, v, 1))
        return (h * h).mean()

    def step(w, v, b, x):
        value, gradients = jax.value_and_grad(loss, (0, 1, 2))(w, v, b, x)
        new = [p - 0.1 * g for p, g in zip((w, v, b), gradients)]
        return value, *new

    exported = export_step(step, (w, v, b, x), carry={0: 1, 1: 2, 2: 3})
    apart = check_bits(tmp_path, exported.module_text, {**exported.tensors, **exported.inputs})
    expected = (w, v, b)
    for _ in range(2):
        _, *expected = jax.jit(step)(*expected, jnp.asarray(x))
    found = sorted((value.shape, value.tobytes()) for value in apart.values() if value.size > 1)
    for value in expected:
        value = np.asarray(value)
        close = [
            np.allclose(np.frombuffer(data, np.float32).reshape(shape), value, 1e-4, 1e-5)
            for shape, data in found
            if shape == value.shape
        ]
        assert any(close)


@pytest.mark.skipif("PLAIT_OPT" not in os.environ, reason="PLAIT_OPT is not set: NOT verified")
@pytest.mark.parametrize("case", ["products", "small images", "depthwise", "few channels"])
def test_no_loop_of_its_own(tmp_path, case):
    """Forward, ReLU is nowhere but in loops that have a convolution's sums."""
    model, x, y, step = make_step(case, "relu")
    file = tmp_path / "step.mlir"
    file.write_text(step.module_text, encoding="utf-8")

    def count_loops(epilogues):
        options = f"policy=backward epilogues={str(epilogues).lower()}"
        run = subprocess.run(
            [
                os.environ["PLAIT_OPT"], str(file),
                f"--pass-pipeline=builtin.module(plait-to-llvm{{{options}}})",
                "--mlir-print-ir-after=train-lower-convolutions", "-o", os.devnull,
            ],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        # The loops over elements of the whole result, each with what is in it.
        loops = re.findall(r"^    scf\.forall .*?^    }", run.stderr, re.M | re.S)
        alone = [
            loop
            for loop in loops
            if re.search(r"arith\.cmpf ugt|arith\.cmpf ole", loop) and '"reduction"' not in loop
        ]
        assert "plait.epilogue" not in run.stderr or case not in ("products", "small images")
        return len(alone)

    assert count_loops(False) >= 3
    assert count_loops(True) == 0
