# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models, data and loops for the tests of `plait.torch.compile`."""

from collections import OrderedDict
from copy import deepcopy
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compile")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to compile")
pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from plait.torch import TorchStep, export_step  # noqa: E402

BATCH = 8
SCHEDULES = ("baseline", "backward", "forward")

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.5, centered=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.02, initial_accumulator_value=0.1),
    # Traced: `mu_product` and `step` are states of their own kind.
    "NAdam": lambda p: torch.optim.NAdam(p, lr=1e-3),
}


def mlp(seed=0):
    torch.manual_seed(seed)
    layers = [("fc1", nn.Linear(20, 33)), ("act", nn.ReLU()), ("fc2", nn.Linear(33, 5))]
    return nn.Sequential(OrderedDict(layers))


def loader(batches, seed=1, workers=0):
    """An ordinary one: shuffled, with a last batch that is too small."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batches * BATCH + 3, 20, generator=generator)
    y = torch.randint(0, 5, (len(x),), generator=generator)
    return DataLoader(
        TensorDataset(x, y), BATCH, shuffle=True, drop_last=True, num_workers=workers,
        generator=torch.Generator().manual_seed(seed + 1),
    )  # fmt: skip


EXAMPLE = (torch.zeros(BATCH, 20), torch.zeros(BATCH, dtype=torch.int64))


def train(model, optimizer, batches, scheduler=None, loss_fn=nn.functional.cross_entropy):
    """PyTorch's loop; the losses."""
    losses = []
    for *x, y in batches:
        optimizer.zero_grad()
        loss = loss_fn(model(*x), y)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
    return losses


def warm(name):
    """A model, and an optimizer that has stepped: no square that Adam divides by
    is near zero. The same each time."""
    model = mlp()
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, optimizer, loader(3, seed=7))
    return model, optimizer


@cache
def exported(name, fresh=False):
    model, optimizer = warm(name)
    if fresh:
        model = mlp()
        optimizer = OPTIMIZERS[name](model.parameters())
    return export_step(model, nn.functional.cross_entropy, optimizer, EXAMPLE, lr_input=True)


def compiled(name, **options):
    """`plait.torch.compile` of `warm(name)`; the export is done once."""
    model, optimizer = warm(name)
    return TorchStep(exported(name), model, optimizer, **options), model, optimizer


def compiled_fresh(name, **options):
    """The same of an optimizer that has not stepped."""
    model = mlp()
    optimizer = OPTIMIZERS[name](model.parameters())
    return TorchStep(exported(name, fresh=True), model, optimizer, **options), model, optimizer


def compare(got, expected, before, lr, steps, precision=1e-3):
    """Parameters and buffers beside torch's.

    A parameter may differ by `precision` of what the learning rate moves it in
    all steps, and must have moved by more than ten times that.
    """
    assert list(got) == list(expected)
    tolerance = precision * lr * steps
    for name, value in expected.items():
        assert got[name].dtype == value.dtype and got[name].shape == value.shape
        if not value.is_floating_point():
            assert torch.equal(got[name], value), name
            continue
        moved = (value - before[name]).abs().max()
        assert moved > 10 * tolerance or "running" in name, f"{name} has not moved"
        np.testing.assert_allclose(
            got[name].numpy(), value.detach().numpy(), rtol=1e-5, atol=tolerance, err_msg=name
        )


def compare_states(got, expected):
    """Optimizer state dicts: the same keys, kinds and shapes, near values."""
    assert got["param_groups"] == expected["param_groups"]
    assert list(got["state"]) == [i for i, s in expected["state"].items() if _held(s)]
    for number in got["state"]:
        states = _held(expected["state"][number])
        assert set(got["state"][number]) == set(states)
        for key, value in states.items():
            mine = got["state"][number][key]
            assert isinstance(mine, torch.Tensor) == isinstance(value, torch.Tensor), key
            mine, value = torch.as_tensor(mine), torch.as_tensor(value)
            assert mine.shape == value.shape and mine.dtype == value.dtype, key
            scale = float(value.abs().max())
            np.testing.assert_allclose(
                mine.numpy(), value.numpy(), rtol=0, atol=1e-3 * scale + 1e-9, err_msg=key
            )


def _held(states):
    return {key: value for key, value in states.items() if value is not None}


def snapshot(model):
    return deepcopy(model.state_dict())
