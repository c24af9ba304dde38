# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products of few rows, which are dot products where the weight lies along k, and
split along k where it does not.

All schedules give the same bits, also where a panel of the weight has fewer rows
than the batch: a panel must add in the order of the whole.
"""

import numpy as np
import pytest

pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

import plait
from plait_run import run_step
from test_fusion_cost import load_grid


def step_text(batch, outputs, width, by_lanes=False):
    """y = x W, with W [in, out] if `by_lanes` and [out, in] otherwise, and SGD."""
    x, y = f"{batch}x{width}", f"{batch}x{outputs}"
    w = f"{width}x{outputs}" if by_lanes else f"{outputs}x{width}"
    of_w = "(k, n)" if by_lanes else "(n, k)"
    left, right = (("x", x), ("y", y)) if by_lanes else (("y", y), ("x", x))
    return f"""
func.func @step(%w: tensor<{w}xf32> {{train.role = #train.param<"w">}},
                %x: tensor<{x}xf32> {{train.role = #train.input<"x">}})
    -> (tensor<{y}xf32> {{train.role = #train.output<"y">}},
        tensor<{w}xf32> {{train.role = #train.next<"w">}}) attributes {{train.step}} {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<{y}xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<{y}xf32>) -> tensor<{y}xf32>
  %y = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
      affine_map<(m, n, k) -> {of_w}>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %w : tensor<{x}xf32>, tensor<{w}xf32>) outs(%z : tensor<{y}xf32>) -> tensor<{y}xf32>
  %ew = tensor.empty() : tensor<{w}xf32>
  %zw = linalg.fill ins(%zero : f32) outs(%ew : tensor<{w}xf32>) -> tensor<{w}xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>,
      affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%{left[0]}, %{right[0]} : tensor<{left[1]}xf32>, tensor<{right[1]}xf32>) outs(%zw : tensor<{w}xf32>) -> tensor<{w}xf32>
  %n = train.sgd ins(%dw : tensor<{w}xf32>) outs(%w : tensor<{w}xf32>) {{lr = {0.1 / width} : f64}}
  return %y, %n : tensor<{y}xf32>, tensor<{w}xf32>
}}
"""


@pytest.mark.parametrize(
    ("batch", "outputs", "width"),
    [
        (1, 1001, 4099),
        (1, 32, 64),
        (2, 37, 65),
        (5, 100, 131),
        (8, 515, 784),
        (8, 34, 40000),  # a panel has one row, fewer than the batch
        (9, 515, 784),
        (30, 101, 3000),
        (33, 34, 40000),
        (64, 100, 1025),
    ],
)
def test_few_rows(batch, outputs, width):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((outputs, width), np.float32) / np.float32(width)
    x = rng.standard_normal((batch, width), np.float32)
    exported = plait.ExportedStep(step_text(batch, outputs, width), {"w": w}, {"x": x})
    results = []
    for schedule in ("baseline", "backward", "forward"):
        step = plait.CompiledStep(exported, schedule=schedule)
        results.append([*(step(x) for _ in range(3)), step.state_dict()["w"]])
    wide = w.astype(np.float64)
    for got in results[0][:3]:
        y = x @ wide.T
        # Rounding of a sum: 1e-6 of the sum of what is added.
        limit = 1e-6 * (abs(x) @ abs(wide).T)
        assert (abs(got - y) <= limit).all()
        wide -= 0.1 / width * y.T @ x
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("batch", "outputs", "width"),
    [
        (1, 1001, 4096),  # a vector that is not whole
        (1, 40000, 80),  # several blocks of lanes
        (2, 37, 8192),
        (5, 515, 1000),  # parts of 125 steps
        (8, 512, 4096),  # under forward, panels of 16 lanes
        (33, 300, 1024),
        (64, 1024, 1024),
    ],
)
def test_split(batch, outputs, width):
    text = step_text(batch, outputs, width, by_lanes=True)
    rng = np.random.default_rng(0)
    w = rng.standard_normal((width, outputs), np.float32) / np.float32(width)
    x = rng.standard_normal((batch, width), np.float32)
    exported = plait.ExportedStep(text, {"w": w}, {"x": x})
    results = []
    for schedule, threads in (("baseline", 1), ("baseline", 3), ("backward", 2), ("forward", 2)):
        step = plait.CompiledStep(exported, schedule=schedule, threads=threads)
        results.append([*(step(x) for _ in range(3)), step.state_dict()["w"]])
    wide = w.astype(np.float64)
    for got in results[0][:3]:
        y = x @ wide
        limit = 1e-6 * (abs(x) @ abs(wide))
        assert (abs(got - y) <= limit).all()
        wide -= 0.1 / width * x.T @ y
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_zeros_of_one_row(tmp_path):
    """Momentum begins as the gradient, so that signs of zeros are seen."""
    text = load_grid().step_text("momentum", 512, 1)
    x = np.ones((1, 512), np.float32)
    x[0, ::3] = 0
    zeros = np.zeros((512, 512), np.float32)
    given = {
        "w": zeros, "state.w.momentum_buffer": zeros, "state.w.initialized": np.float32(0),
        "x": x, "dz": -np.ones((1, 512), np.float32),
    }  # fmt: skip
    kept = []
    for schedule in ("baseline", "backward", "forward"):
        got = run_step(tmp_path, text, given, 1, f"--schedule={schedule}")
        kept.append(got["state.w.momentum_buffer"])
        np.testing.assert_array_equal(kept[0].view(np.int32), kept[-1].view(np.int32))
    assert not np.signbit(kept[0][:, ::3]).any()
