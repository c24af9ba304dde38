# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A step from JAX without roles: buffer donation says what is carried.

samples/jax_donated_adam.mlir is `jax.jit(step, donate_argnums=(0, 1),
keep_unused=True)` of a two-layer MLP with tanh, a squared error and optax.adam,
as jaxlib printed it: `tf.aliasing_output` on 13 arguments (b1, b2, w1, w2, then
Adam's counter and moments in the same order), and no roles. All are named by
their position.

The reference is torch in double precision; tolerances as in test_samples.py.
"""

from pathlib import Path

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")

SAMPLE = Path(__file__).parent / "samples" / "jax_donated_adam.mlir"
SHAPES = [(12,), (4,), (16, 12), (12, 4)]
STEPS = 3


def draw() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    values = [generator.standard_normal(shape) * 0.3 for shape in SHAPES]
    values.append(np.array(3))
    values += [generator.standard_normal(shape) * 1e-2 for shape in SHAPES]
    values += [generator.uniform(1e-4, 1e-3, shape) for shape in SHAPES]
    values += [generator.standard_normal((8, 16)), generator.standard_normal((8, 4))]
    return {
        f"arg{i}": value.astype(np.int32 if i == 4 else np.float32)
        for i, value in enumerate(values)
    }


def reference(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tensors = [torch.from_numpy(value).double() for value in values.values()]
    parameters = [tensor.clone().requires_grad_() for tensor in tensors[:4]]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    for i, parameter in enumerate(parameters):
        optimizer.state[parameter].update(
            step=tensors[4].clone(),
            exp_avg=tensors[5 + i].clone(),
            exp_avg_sq=tensors[9 + i].clone(),
        )
    b1, b2, w1, w2 = parameters
    x, y = tensors[13:]
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (((x @ w1 + b1).tanh() @ w2 + b2 - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    states = [optimizer.state[parameter] for parameter in parameters]
    after = parameters + [states[0]["step"]]
    after += [state[kind] for kind in ("exp_avg", "exp_avg_sq") for state in states]
    results = {f"arg{i}": value.detach().numpy() for i, value in enumerate(after)}
    return {"output0": loss.detach().numpy(), **results}


@needs_plait_run
@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
def test_donated_buffers_are_carried(tmp_path, schedule):
    values = draw()
    got = run_step(tmp_path, SAMPLE.read_text(), values, STEPS, f"--schedule={schedule}")
    for key, value in reference(values).items():
        tolerance = 1e-5 * np.abs(value).max() + 1e-6 * (key in {f"arg{i}" for i in range(5, 9)})
        if key in {f"arg{i}" for i in range(4)}:
            tolerance = STEPS * 1e-3 * 1e-5 + 4 * np.spacing(np.float32(np.abs(value).max()))
            assert np.abs(value - values[key]).max() > 100 * tolerance, f"{key} has not moved"
        assert np.abs(got[key] - value).max() <= tolerance, key


@needs_plait_run
def test_schedules_agree_bit_for_bit(tmp_path):
    values = draw()
    text = SAMPLE.read_text()
    runs = []
    for schedule in ("baseline", "backward", "forward"):
        (tmp_path / schedule).mkdir()
        runs.append(run_step(tmp_path / schedule, text, values, STEPS, f"--schedule={schedule}"))
    for key, value in runs[0].items():
        assert np.array_equal(value, runs[1][key]) and np.array_equal(value, runs[2][key]), key
