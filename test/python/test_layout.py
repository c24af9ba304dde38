# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights in blocks: the numbers are those of row-major weights, and so are files.

Where rows and outputs are more than 64, a product adds in the same order in both
layouts, so that all bits are equal; else row-major weights are read by other
kernels, and rounding differs.
"""

import os
import subprocess

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

LR = 1e-3


def product(name, left, right, shape, maps, init=None):
    """`name`, of `shape`: the product of two (name, shape), added to `init`."""
    a, b = maps
    text = f"""
  %e{name} = tensor.empty() : tensor<{shape}xf32>
  %z{name} = linalg.fill ins(%zero : f32) outs(%e{name} : tensor<{shape}xf32>) -> tensor<{shape}xf32>"""
    return f"""{"" if init else text}
  %{name} = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> {a}>, affine_map<(m, n, k) -> {b}>,
      affine_map<(m, n, k) -> (m, n)>] ins(%{left[0]}, %{right[0]} : tensor<{left[1]}xf32>, tensor<{right[1]}xf32>)
      outs(%{init or "z" + name} : tensor<{shape}xf32>) -> tensor<{shape}xf32>"""


NN, NT, TN = ("(m, k)", "(k, n)"), ("(m, k)", "(n, k)"), ("(k, m)", "(k, n)")


def with_adam(x, w, products, outputs):
    """A step with the weight `w` and the input `x`; `products` make its `outputs`
    (name, shape), and the gradient dw."""
    state = "".join(
        f',\n    %{s}: tensor<{w}xf32> {{train.role = #train.state<"w", "{s}">}}'
        for s in ("exp_avg", "exp_avg_sq")
    )
    following = "".join(
        f',\n    tensor<{w}xf32> {{train.role = #train.next<"w", "{s}">}}'
        for s in ("exp_avg", "exp_avg_sq")
    )
    roles = "".join(
        f'tensor<{shape}xf32> {{train.role = #train.output<"{name}">}},\n    ' for name, shape in outputs
    )
    matrices = f"tensor<{w}xf32>, tensor<{w}xf32>, tensor<{w}xf32>, tensor<f32>"
    return f"""
func.func @step(%w: tensor<{w}xf32> {{train.role = #train.param<"w">}}{state},
    %n: tensor<f32> {{train.role = #train.state<"w", "step">}},
    %x: tensor<{x}xf32> {{train.role = #train.input<"x">}})
    -> ({roles}tensor<{w}xf32> {{train.role = #train.next<"w">}}{following},
    tensor<f32> {{train.role = #train.next<"w", "step">}}) attributes {{train.step}} {{
  %zero = arith.constant 0.0 : f32
{"".join(products)}
  %w1, %m1, %v1, %n1 = train.adam ins(%dw : tensor<{w}xf32>)
      outs(%w, %exp_avg, %exp_avg_sq, %n : {matrices})
      {{lr = {LR} : f64, betas = array<f64: 0.9, 0.999>, eps = 1.0e-8 : f64}}
  return {"".join(f"%{name}, " for name, _ in outputs)}%w1, %m1, %v1, %n1
      : {"".join(f"tensor<{shape}xf32>, " for _, shape in outputs)}{matrices}
}}
"""


def step_text(batch, outputs, width):
    """y = x W^T, dx = y W, and Adam with dW = y^T x."""
    x, y, w = f"{batch}x{width}", f"{batch}x{outputs}", f"{outputs}x{width}"
    products = (
        product("y", ("x", x), ("w", w), y, NT),
        product("dx", ("y", y), ("w", w), x, NN),
        product("dw", ("y", y), ("x", x), w, TN),
    )
    return with_adam(x, w, products, [("y", y), ("dx", x)])


def tied_text(batch, outputs, width):
    """A weight that two layers share, the second transposed: h = x W^T and
    z = h W. With the gradient z of z, both of their parts of dW are added."""
    x, h, w = f"{batch}x{width}", f"{batch}x{outputs}", f"{outputs}x{width}"
    products = (
        product("h", ("x", x), ("w", w), h, NT),
        product("z", ("h", h), ("w", w), x, NN),
        product("dh", ("z", x), ("w", w), h, NT),
        product("dx", ("dh", h), ("w", w), x, NN),
        product("second", ("h", h), ("z", x), w, TN),
        product("dw", ("dh", h), ("x", x), w, TN, init="second"),
    )
    return with_adam(x, w, products, [("z", x), ("dx", x)])


def tensors(batch, outputs, width):
    rng = np.random.default_rng(0)
    zeros = np.zeros((outputs, width), np.float32)
    return {
        "w": rng.standard_normal((outputs, width), np.float32) / np.float32(width),
        "state.w.exp_avg": zeros,
        "state.w.exp_avg_sq": zeros,
        "state.w.step": np.float32(0),
        "x": rng.standard_normal((batch, width), np.float32),
    }


def is_blocked(text):
    """Whether the step keeps its weight in blocks, by plait-opt."""
    run = subprocess.run(
        [os.environ["PLAIT_OPT"], "--plait-schedule=block-parameters=true"],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return "train.blocked_dim" in run.stdout


def assert_equal(one, two):
    """All but what is pending: a save flushes it."""
    names = {name for name in one if not name.startswith("pending.")}
    assert names == {name for name in two if not name.startswith("pending.")}
    for name in names:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@needs_plait_run
@pytest.mark.parametrize(
    ("batch", "outputs", "width"),
    [
        (4, 128, 160),
        (7, 64, 261),  # a panel has rows that no register tile divides
        (16, 1000, 64),  # blocks along the inputs, since no block divides 1000
        (33, 96, 1000),
        (64, 512, 512),
        (96, 128, 160),
        (200, 96, 261),
        (256, 320, 1000),
    ],
)
def test_layouts_agree(tmp_path, batch, outputs, width):
    text, given = step_text(batch, outputs, width), tensors(batch, outputs, width)
    assert is_blocked(text)
    runs = {}
    for layout in ("auto", "row-major"):
        # One step shows the products: later, Adam makes rounding of a gradient
        # near 0 a step of lr.
        runs[layout] = run_step(tmp_path, text, given, 1, f"--layout={layout}")
    wide = given["w"].astype(np.float64)
    x = given["x"].astype(np.float64)
    y = x @ wide.T
    dx = y @ wide
    # Rounding of a sum: 1e-6 of the sum of what is added.
    assert (abs(runs["auto"]["y"] - y) <= 1e-6 * (abs(x) @ abs(wide).T)).all()
    assert (abs(runs["auto"]["dx"] - dx) <= 2e-6 * (abs(x) @ abs(wide).T @ abs(wide))).all()
    for name in runs["auto"]:
        one, two = runs["auto"][name], runs["row-major"][name]
        if batch > 64:
            np.testing.assert_array_equal(one, two, err_msg=name)
    difference = abs(runs["auto"]["state.w.exp_avg"] - runs["row-major"]["state.w.exp_avg"])
    # A tenth of dW, in which y is as far off as above.
    assert (difference <= 2e-7 * ((abs(x) @ abs(wide).T).T @ abs(x))).all()


@needs_plait_run
@pytest.mark.parametrize(("batch", "outputs", "width"), [(8, 512, 1000), (32, 96, 4099)])
def test_schedules_and_threads_agree(tmp_path, batch, outputs, width):
    text, given = step_text(batch, outputs, width), tensors(batch, outputs, width)
    assert is_blocked(text)
    first = None
    for schedule, threads in (("baseline", 1), ("baseline", 3), ("backward", 2), ("forward", 2)):
        got = run_step(
            tmp_path, text, given, 4, f"--schedule={schedule}", f"--threads={threads}"
        )
        first = first or got
        assert_equal(first, got)


@needs_plait_run
@pytest.mark.parametrize(
    ("batch", "outputs", "width"), [(4, 128, 160), (7, 64, 261), (33, 96, 1000), (96, 128, 160)]
)
def test_transposed_tie(tmp_path, batch, outputs, width):
    text, given = tied_text(batch, outputs, width), tensors(batch, outputs, width)
    assert is_blocked(text)
    w, x = given["w"].astype(np.float64), given["x"].astype(np.float64)
    h = x @ w.T
    z = h @ w
    dh = z @ w.T
    dw = h.T @ z + dh.T @ x
    first = None
    for schedule, threads in (("baseline", 1), ("backward", 2), ("forward", 3)):
        got = run_step(
            tmp_path, text, given, 1, f"--schedule={schedule}", f"--threads={threads}"
        )
        first = first or got
        assert_equal(first, got)
    # Rounding of three products in a row, of the largest element.
    for name, expected in (("z", z), ("dx", dh @ w), ("state.w.exp_avg", 0.1 * dw)):
        assert abs(first[name] - expected).max() <= 3e-6 * abs(expected).max(), name


@needs_plait_run
def test_files_are_row_major(tmp_path):
    """Saves of a run, and going on from them, in either layout."""
    text, given = step_text(96, 128, 160), tensors(96, 128, 160)
    whole = run_step(tmp_path, text, given, 6, "--layout=row-major")
    for first, then in (("auto", "row-major"), ("row-major", "auto"), ("auto", "auto")):
        # The save in the middle is read while the run goes on.
        saved = tmp_path / f"{first}-{then}"
        got = run_step(
            tmp_path, text, given, 6, f"--layout={first}", f"--save={saved}", "--save-every=3"
        )
        assert_equal(whole, got)
        data = {"x": given["x"]}
        got = run_step(
            tmp_path, text, data, 3, f"--layout={then}", f"--resume={saved / 'step-3'}"
        )
        assert_equal(whole, got)


@needs_plait_run
def test_unknown_layout(tmp_path):
    (tmp_path / "step.mlir").write_text(step_text(8, 64, 64), encoding="utf-8")
    run = subprocess.run(
        [os.environ["PLAIT_RUN"], str(tmp_path / "step.mlir"), "--layout=columns"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2
    assert "unknown --layout=columns; expected auto or row-major" in run.stderr
