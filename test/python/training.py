# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A PyTorch model trained twice, by torch and by plait-run on the exported step.

All losses are compared, all parameters, all buffers. A parameter may differ by
1e-3 of the farthest that one of its elements has moved (sums in another order,
added up over the steps), and must have moved by more than the floor: 1e-6 of
lr * steps, for gradients that are zero but for rounding, and 4 ulps. What is
known not to move (a bias before batch-norm) is named in `still`, and may differ by
10 floors: rounding moves it.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plait_run import run_step

from plait import ExportedStep
from plait.torch import export_step

STEPS = 10


def train(
    model: torch.nn.Module,
    loss_fn: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    data: Sequence[torch.Tensor],
    rows: Sequence[int],
    after_backward: Callable[[], Any] = lambda: None,
    steps: int = STEPS,
) -> list[float]:
    """torch's loop; the loss of each step. Step i takes rows[k] rows of data[k]
    from i * rows[k] on; the last of the data is the target."""
    losses = []
    for i in range(steps):
        *inputs, target = (d[i * n : (i + 1) * n] if d.dim() else d for d, n in zip(data, rows))
        optimizer.zero_grad()
        loss = loss_fn(model(*inputs), target)
        loss.backward()
        after_backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def compare_training(
    directory: Path,
    model: torch.nn.Module,
    loss_fn: Callable[..., torch.Tensor],
    data: Sequence[torch.Tensor],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    still: Sequence[str] = (),
    schedule: str = "backward",
    steps: int = STEPS,
    reference: Callable[..., list[float]] = train,
    tolerance: float = 1e-3,
    values: dict[str, np.ndarray] | None = None,
    **options: Any,
) -> ExportedStep:
    """Export, train both ways, compare; the exported step.

    `data` holds the rows of all steps, inputs before the target; `values` what
    further inputs are to be (a learning rate for each step). The rows of a step
    are as many as there are micro-batches of the example inputs.
    """
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rows = [len(value) // steps for value in data]
    repeats = options.get("accumulation_steps", 1)
    examples = [value[: n // repeats] for value, n in zip(data, rows)]
    step = export_step(model, loss_fn, optimizer, examples, **options)
    results, losses = run(directory, step, data, schedule, steps, values)

    before = {n: v.clone() for n, v in model.state_dict().items()}
    expected = reference(model, loss_fn, optimizer, data, rows, steps=steps)
    np.testing.assert_allclose(losses, expected, rtol=2e-4, atol=1e-6)
    rate = max(float(group["lr"]) for group in optimizer.param_groups)
    compare_tensors(before, model, results, rate * steps, still, tolerance)
    return step


def run(
    directory: Path,
    step: ExportedStep,
    data: Sequence[torch.Tensor],
    schedule: str = "backward",
    steps: int = STEPS,
    values: dict[str, np.ndarray] | None = None,
) -> tuple[dict[str, np.ndarray], list[float]]:
    """What plait-run carries after the last step, and the loss of each."""
    names = [*step.inputs][: len(data)]
    inputs = step.inputs | {name: value.numpy() for name, value in zip(names, data, strict=True)}
    log = directory / "log.csv"
    options = (f"--schedule={schedule}", f"--log={log}")
    tensors = step.tensors | inputs | (values or {})
    results = run_step(directory, step.module_text, tensors, steps, *options)
    lines = log.read_text().splitlines()
    return results, [float(line.split(",")[1]) for line in lines[1:]]


def compare_tensors(
    before: dict[str, torch.Tensor],
    model: torch.nn.Module,
    results: dict[str, np.ndarray],
    reach: float,
    still: Sequence[str] = (),
    tolerance: float = 1e-3,
) -> None:
    """`reach` is lr * steps."""
    names = {name for name, _ in model.named_parameters()}
    for name, value in deepcopy(model.state_dict()).items():
        if name not in results:
            continue  # another name of a tied parameter
        start, value, result = before[name].numpy(), value.numpy(), results[name]
        if not np.issubdtype(value.dtype, np.floating):
            np.testing.assert_array_equal(result, value, err_msg=name)
            continue
        moved = np.abs(value - start).max(initial=0)
        floor = 1e-6 * reach + 4 * np.spacing(np.abs(value).max(initial=0))
        if name in still:
            # Moved by rounding alone, which depends on the order of sums.
            floor *= 10
        elif name in names:
            assert moved > 100 * floor, f"{name} has not moved: {moved}"
        allowed = tolerance * moved + floor
        assert np.abs(result - value).max(initial=0) <= allowed, (
            f"{name}: {np.abs(result - value).max()} off, {allowed} allowed, moved by {moved}"
        )
