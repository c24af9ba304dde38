# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ten steps of a JAX training step in plait-run, beside the same step jitted.

Steps here take what they carry first, and return the loss followed by the next
values: step(*carried, *batch) -> (loss, *carried).

Tolerances: a parameter may differ by 1e-3 of what the learning rate moves it in
all steps (lr * steps), since sums are taken in another order; any other carried
array by 1e-4 of its largest value, plus 1e-6 as its floor where gradients are
zero but for rounding. Integers are equal.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plait_run import run_step

import plait
from plait.jax import export_step
from plait.jax.boundary import to_boundary

STEPS = 10
# Of the schedules the one with most in it: updates that wait, a first step without
# them, and a flush.
SCHEDULES = ["forward"]


def parse(text: str) -> None:
    """Parse and verify with plait-opt, if there is one."""
    if tool := os.environ.get("PLAIT_OPT"):
        run = subprocess.run([tool, "-"], input=text, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def compare_steps(
    directory: Path,
    step: Any,
    carried: tuple[Any, ...],
    data: tuple[Any, ...],
    lr: float,
    schedule: str = "baseline",
    still: tuple[str, ...] = (),
    **options: Any,
) -> plait.ExportedStep:
    """Train both ways, and compare everything that is carried.

    Args:
        data: for each input, a value for each step, along a new first axis.
        still: names of parameters that need not move: their gradient is zero.
    """

    def train() -> tuple[Any, Any]:
        jitted, values = jax.jit(step), carried
        for i in range(STEPS):
            loss, *values = jitted(*values, *jax.tree.map(lambda x: x[i], data))
        return loss, tuple(values)

    return compare_training(directory, step, carried, data, train, lr, schedule, still, **options)


def compare_training(
    directory: Path,
    step: Any,
    carried: tuple[Any, ...],
    data: tuple[Any, ...],
    train: Callable[[], tuple[Any, Any]],
    lr: float,
    schedule: str,
    still: tuple[str, ...],
    **options: Any,
) -> plait.ExportedStep:
    """The same for any way to train in JAX, which gives the last loss and what
    is carried then. It is called after the export, and may change `carried`."""
    batch = tuple(jax.tree.map(lambda x: x[0], value) for value in data)
    exported = export_step(step, (*carried, *batch), **options)
    parse(exported.module_text)
    inputs = {
        name: fed(np.array(to_boundary(name, value)))
        for name, value in zip(exported.inputs, jax.tree.leaves(data), strict=True)
    }
    results = run_step(
        directory,
        exported.module_text,
        exported.tensors | inputs,
        STEPS,
        f"--schedule={schedule}",
    )
    loss, values = train()
    leaves = [np.array(to_boundary("", jnp.asarray(leaf))) for leaf in jax.tree.leaves(values)]
    assert results["loss"] == pytest.approx(float(loss), rel=1e-4)
    for (name, before), after in zip(exported.tensors.items(), leaves, strict=True):
        compare(name, exported, before, results[name], after, lr * STEPS, name in still)
    return exported


def fed(values: np.ndarray) -> np.ndarray:
    """[steps, batch, ...] as the data set that plait-run takes batches from."""
    return values if values.ndim == 1 else values.reshape(-1, *values.shape[2:])


def compare(
    name: str,
    exported: plait.ExportedStep,
    before: np.ndarray,
    result: np.ndarray,
    expected: np.ndarray,
    path: float,
    is_still: bool,
) -> None:
    if not np.issubdtype(expected.dtype, np.floating):
        np.testing.assert_array_equal(result, expected, err_msg=name)
        return
    largest = np.abs(expected).max(initial=0)
    tolerance = 1e-4 * largest + 1e-6
    if f'#train.param<"{name}">' in exported.module_text:
        tolerance = 1e-3 * path + 4 * np.spacing(largest)
        moved = np.abs(expected - before).max()
        assert is_still or moved > 10 * tolerance, f"{name} has not moved: {moved}"
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance, err_msg=name)
