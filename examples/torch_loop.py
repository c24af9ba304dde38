# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch's side of the examples: the loop that plait-run is compared with."""

from collections.abc import Callable, Iterable, Sequence

import common
import numpy as np
import torch


def rates(optimizer: torch.optim.Optimizer, scheduler: torch.optim.lr_scheduler.LRScheduler,
          steps: int) -> np.ndarray:  # fmt: skip
    """The learning rate of each step, f32 [steps], as the scheduler sets it.

    Both are used up; the optimizer must have no gradients, so that nothing is
    updated.
    """
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(values, np.float32)


def train(
    name: str,
    model: torch.nn.Module,
    loss_fn: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    rates: np.ndarray,
    data: Sequence[torch.Tensor],
    batches: Iterable[np.ndarray],
    clip_grad_norm: float | None = None,
) -> common.Run:
    """Train `model` in eager mode: x and y are the rows of `data` that each
    batch names."""

    def step(rate: float, x: torch.Tensor, y: torch.Tensor) -> float:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        if clip_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip_grad_norm)
        optimizer.step()
        return loss.item()

    chosen = (
        (float(rate), *(tensor[torch.from_numpy(rows)] for tensor in data))
        for rate, rows in zip(rates, batches)
    )
    return common.train(name, step, chosen)


def load(model: torch.nn.Module, tensors: dict[str, np.ndarray], ties: dict[str, str]) -> None:
    """Give `model` the weights that plait-run has trained."""
    named = tensors | {name: tensors[first] for name, first in ties.items()}
    model.load_state_dict({n: torch.from_numpy(named[n]) for n in model.state_dict()})
