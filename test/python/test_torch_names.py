# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models whose tensors are called as a step's own inputs, states and results are."""

from copy import deepcopy

import numpy as np
import pytest
from exported import torch
from plait_run import needs_plait_run, run_step
from safetensors.numpy import load_file
from torch import nn
from training import compare_training

import plait.torch
from plait.torch import export_step

STEPS = 3


class Parameters(nn.Module):
    """A parameter of each name that the step has a use for, and random numbers
    without influence."""

    NAMES = ("x", "y", "loss", "lr", "rng", "loss_fn", "state")

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        for i, name in enumerate(self.NAMES):
            self.register_parameter(name, nn.Parameter(torch.randn(6) + i / 4))

    def forward(self, x):
        for name in self.NAMES:
            x = torch.tanh(x + getattr(self, name))
        return x + 0 * torch.rand_like(x)


class Modules(nn.Module):
    """The same of submodules; the parameters of one are called lr.0 and lr.1."""

    NAMES = ("x", "loss", "rng", "loss_fn", "model", "step")

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        for name in self.NAMES:
            self.add_module(name, nn.Linear(6, 6))
        self.lr = nn.ParameterList([torch.randn(6), torch.randn(6)])

    def forward(self, x):
        for name in self.NAMES:
            x = torch.tanh(getattr(self, name)(x))
        return x * self.lr[0] + self.lr[1]


class Loss(nn.Module):
    """With a buffer called loss_fn.weight, as the model has one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.linspace(0.5, 1.5, 6))

    def forward(self, out, y):
        return nn.functional.cross_entropy(out, y, weight=self.weight)


def adam(model):
    """Two groups, and so two learning rates."""
    first, *rest = model.parameters()
    return torch.optim.Adam([{"params": [first]}, {"params": rest, "lr": 0.02}], lr=0.01)


def data(batches):
    generator = torch.Generator().manual_seed(1)
    rows = 4 * batches
    return (
        torch.randn(rows, 6, generator=generator),
        torch.randint(0, 6, (rows,), generator=generator),
    )


@needs_plait_run
@pytest.mark.parametrize("make", [Parameters, Modules])
def test_train_with_the_names_of_the_step(tmp_path, make):
    model = make()
    step = compare_training(
        tmp_path, model, Loss(), data(STEPS), optimizer=adam(model), steps=STEPS, lr_input=True
    )
    own = {"x", "lr.0"} & {name for name, _ in model.named_parameters()}
    assert own and {f"step.{name}" for name in own} <= step.inputs.keys()
    if make is Parameters:
        assert "step.rng" in step.tensors and '#train.output<"step.loss">' in step.module_text


@pytest.mark.parametrize("make", [Parameters, Modules])
def test_compile_with_the_names_of_the_step(make):
    pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")
    model, loss_fn = make(), Loss()
    optimizer = adam(model)
    mine, steps_optimizer = deepcopy((model, optimizer))
    step = plait.torch.compile(mine, loss_fn, steps_optimizer, [v[:4] for v in data(1)])
    x, y = data(2 * STEPS)
    for i in range(2 * STEPS):
        if i == STEPS:  # There and back, mid-run.
            saved, states = deepcopy((step.state_dict(), step.optimizer_state_dict()))
            step.copy_to(mine, steps_optimizer)
            step(x[:4], y[:4])
            step.load_state_dict(saved)
            step.load_optimizer_state_dict(states)
        rows = slice(4 * i, 4 * i + 4)
        for group in (*optimizer.param_groups, *steps_optimizer.param_groups):
            group["lr"] *= 0.9
        optimizer.zero_grad()
        loss = loss_fn(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        assert step(x[rows], y[rows]).item() == pytest.approx(loss.item(), rel=1e-4)
    got = step.state_dict()
    assert list(got) == list(model.state_dict())
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-3 * 0.02 * 6, err_msg=name)


@needs_plait_run
@pytest.mark.parametrize("schedule", ["backward", "forward"])
@pytest.mark.parametrize("make", [Parameters, Modules])
def test_save_and_resume_with_the_names_of_the_step(tmp_path, make, schedule):
    model = make()
    rows = {"x": data(4)[0].numpy(), "y": data(4)[1].numpy()}
    step = export_step(model, Loss(), adam(model), [v[:4] for v in data(1)], seed=5)
    names = [name for name in step.inputs if name.rpartition(".")[2] in rows]
    assert len(names) == 2
    tensors = step.tensors | {name: rows[name.rpartition(".")[2]] for name in names}

    def run(folder, steps, *options):
        (tmp_path / folder).mkdir()
        options = (*options, f"--schedule={schedule}", f"--save={tmp_path / folder}")
        return run_step(tmp_path, step.module_text, tensors, steps, *options)

    whole = run("whole", 4)
    run("half", 2)
    both = run("both", 2, f"--resume={tmp_path / 'half'}")
    assert whole.keys() == both.keys() and step.tensors.keys() <= whole.keys()
    for name, value in whole.items():
        assert np.array_equal(value, both[name]), name
    saved = load_file(tmp_path / "both" / "model.safetensors")
    model.load_state_dict({k: torch.from_numpy(v) for k, v in saved.items()}, strict=True)


def test_refuse_a_parameter_called_as_a_state_of_another():
    """Nothing can be named otherwise here: `state.w.exp_avg` is both."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.state = nn.Parameter(torch.ones(6)), nn.Module()
            self.state.w = nn.Module()
            self.state.w.exp_avg = nn.Parameter(torch.ones(6))

        def forward(self, x):
            return x * self.w * self.state.w.exp_avg

    model = Model()
    message = r"'state\.w\.exp_avg' \(the state s of a parameter p is state\.p\.s\): call what"
    with pytest.raises(ValueError, match=message):
        export_step(model, Loss(), torch.optim.Adam(model.parameters()), data(1))
