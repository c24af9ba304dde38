# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`plait.torch.compile` in the loops people write, beside PyTorch in the same loops."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
from compiled_models import (
    BATCH,
    EXAMPLE,
    OPTIMIZERS,
    SCHEDULES,
    compare,
    compiled,
    loader,
    mlp,
    snapshot,
    torch,
    train,
    warm,
)
from torch import nn
from torch.optim import lr_scheduler

import plait
import plait.torch
from plait.torch import TorchStep

cross_entropy = nn.functional.cross_entropy

SCHEDULERS = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, step_size=7, gamma=0.3),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=24),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["momentum", "Adam", "AdamW"])
def test_loop_with_scheduler(name, scheduler, schedule):
    reference, optimizer = warm(name)
    before, lr = snapshot(mlp()), optimizer.param_groups[0]["lr"]
    expected = train(reference, optimizer, loader(24), SCHEDULERS[scheduler](optimizer))

    step, _, optimizer = compiled(name, schedule=schedule)
    assert step.schedule == schedule
    rate = SCHEDULERS[scheduler](optimizer)
    losses = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x, y in loader(24):
            loss = step(x, y)
            rate.step()
            assert loss.shape == () and loss.dtype == torch.float32 and not loss.requires_grad
            losses.append(loss.item())
    assert optimizer.param_groups[0]["lr"] < 0.5 * lr
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    compare(step.state_dict(), reference.state_dict(), before, lr, 24)
    assert step.report()["steps"] == 24


def test_batch_norm_and_eval():
    """Buffers are trained, too; copy_to in the middle disturbs nothing."""
    torch.manual_seed(0)
    # No bias before the norm: its gradient is rounding noise, which Adam magnifies.
    reference = nn.Sequential(
        nn.Linear(20, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5)
    )
    before = snapshot(reference)
    optimizer = torch.optim.AdamW(reference.parameters(), lr=1e-3)
    train(reference, optimizer, loader(3, seed=7))
    model, mine = deepcopy((reference, optimizer))
    live = model[0].weight
    step = plait.torch.compile(model, cross_entropy, mine, EXAMPLE, schedule="forward")
    held_out = torch.randn(50, 20, generator=torch.Generator().manual_seed(3))
    for start in range(2):
        train(reference, optimizer, loader(10, seed=20 + start))
        for x, y in loader(10, seed=20 + start):
            step(x, y)
        step.copy_to(model)
        assert model[0].weight is live
        model.eval(), reference.eval()
        with torch.no_grad():
            got, expected = model(held_out), reference(held_out)
        np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=0, atol=2e-3)
        model.train(), reference.train()
    assert int(model[1].num_batches_tracked) == 23
    compare(model.state_dict(), reference.state_dict(), before, 1e-3, 20)


def test_groups_with_rates_of_their_own():
    """Rates that are equal at first, and are not later."""

    def make(model):
        weights = [model.fc1.weight, model.fc2.weight]
        biases = [model.fc1.bias, model.fc2.bias]
        return torch.optim.AdamW(
            [{"params": biases, "weight_decay": 0.0}, {"params": weights}], lr=1e-3
        )

    def rates(optimizer):
        return lr_scheduler.LambdaLR(optimizer, [lambda i: 1.0, lambda i: 0.8**i])

    reference = mlp()
    before = snapshot(reference)
    optimizer = make(reference)
    train(reference, optimizer, loader(3, seed=7))
    model = deepcopy(reference)
    mine = make(model)
    mine.load_state_dict(optimizer.state_dict())
    step = plait.torch.compile(model, cross_entropy, mine, EXAMPLE)
    scheduler = rates(mine)
    for x, y in loader(20):
        step(x, y)
        scheduler.step()
    train(reference, optimizer, loader(20), rates(optimizer))
    compare(step.state_dict(), reference.state_dict(), before, 1e-3, 20)


def test_clipping_and_accumulation():
    """Options of export_step are options of compile."""
    reference = mlp()
    before = snapshot(reference)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.05, momentum=0.9)
    model, mine = deepcopy((reference, optimizer))
    step = plait.torch.compile(
        model, cross_entropy, mine, EXAMPLE, clip_grad_norm=0.5, accumulation_steps=2
    )
    batches = list(loader(24))
    for one, two in zip(batches[::2], batches[1::2]):
        loss = step(*(torch.cat(parts) for parts in zip(one, two)))
        optimizer.zero_grad()
        losses = [cross_entropy(reference(x), y) / 2 for x, y in (one, two)]
        for part in losses:
            part.backward()
        nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        optimizer.step()
        assert loss.item() == pytest.approx(sum(losses).item(), rel=1e-4)
    compare(step.state_dict(), reference.state_dict(), before, 0.05, 12, 1e-4)


def test_frozen_parameters_stay():
    model = mlp()
    model.fc1.weight.requires_grad_(False)
    frozen = model.fc1.weight.clone()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    model.fc1.weight.requires_grad_(True)
    train(model, optimizer, loader(2))
    model.fc1.weight.requires_grad_(False)
    frozen = model.fc1.weight.clone()
    states = deepcopy(optimizer.state_dict()["state"])
    step = plait.torch.compile(model, cross_entropy, optimizer, EXAMPLE)
    for x, y in loader(3):
        step(x, y)
    assert torch.equal(step.state_dict()["fc1.weight"], frozen)
    assert not torch.equal(step.state_dict()["fc2.weight"], model.fc2.weight)
    after = step.optimizer_state_dict()["state"]
    assert list(after) == [0, 1, 2, 3]
    assert torch.equal(after[0]["exp_avg"], states[0]["exp_avg"]) and after[0]["step"] == 2
    assert after[1]["step"] == 5
    step.copy_to(model, optimizer)
    assert optimizer.state[model.fc1.weight]["step"] == 2


def test_auto_is_one_of_the_three():
    step, model, _ = compiled("SGD")
    assert step.schedule in SCHEDULES
    report = step.report()
    assert {u["param"] for u in report["updates"]} == set(dict(model.named_parameters()))
    assert report["param_bytes"] == sum(p.nbytes for p in model.parameters())
    assert report["state_bytes"] == 0 and report["compile_ms"] > 0


def test_threads():
    losses = []
    for threads in (1, 2):
        step, _, _ = compiled("AdamW", threads=threads)
        losses.append([step(x, y).item() for x, y in loader(4)])
    assert losses[0] == losses[1], "the number of threads changes no bit"
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        compiled("AdamW", threads=0)


def test_inputs_of_all_kinds():
    step, _, optimizer = compiled("SGD")
    optimizer.param_groups[0]["lr"] = 0.0
    x, y = next(iter(loader(1)))
    expected = step(x, y)
    assert isinstance(expected, torch.Tensor)
    columns = x.t().contiguous().t()
    assert not columns.is_contiguous()
    assert step(columns, y) == expected
    assert step(x.clone().requires_grad_(), y) == expected
    assert step(torch._neg_view(-x), y) == expected
    storage = torch.empty(x.numel() + 1)
    shifted = storage[1:].view_as(x).copy_(x)  # aligned to 4 bytes, no more
    assert step(shifted, y) == expected
    loss = step(x.numpy(), y.numpy())
    assert isinstance(loss, np.float32) and loss == expected.item()
    assert step(x.numpy()[:, ::-1].copy()[:, ::-1], y) == expected
    assert step(nn.Parameter(x), y) == expected


def test_inputs_are_not_copied():
    """What the step is given is the memory of the tensor."""
    step, _, _ = compiled("SGD")
    x, y = EXAMPLE
    assert step._prepared(step._inputs, (x, y))[0].data_ptr() == x.data_ptr()
    array = x.numpy()
    assert step._prepared(step._inputs, (array, y))[0] is array


def test_workers_of_a_loader():
    """Worker processes fork a process that has compiled code and its threads."""
    step, model, optimizer = compiled("SGD", threads=2)
    expected = [step(x, y).item() for x, y in loader(4)]
    step.load_state_dict(model.state_dict())
    step.load_optimizer_state_dict(optimizer.state_dict())
    assert [step(x, y).item() for x, y in loader(4, workers=2)] == expected


def test_wrong_inputs():
    step, _, _ = compiled("SGD")
    x, y = EXAMPLE
    with pytest.raises(ValueError, match=r"takes 2 inputs \(x, y\), not 1"):
        step(x)
    with pytest.raises(
        ValueError,
        match=r"input 'x' has shape \[3, 20\], the step was compiled for \[8, 20\]. Of a last"
        r" batch that is smaller: drop it \(drop_last=True in a DataLoader\)",
    ):
        step(x[:3], y[:3])
    with pytest.raises(ValueError, match=r"'x' has shape \[8, 19\].*\[8, 20\]$"):
        step(x[:, :19], y)
    with pytest.raises(TypeError, match="input 'x' is float64, the step was compiled for float32"):
        step(x.double(), y)
    with pytest.raises(TypeError, match="input 'y' is int32, the step was compiled for int64"):
        step(x, y.int())
    with pytest.raises(TypeError, match="input 'y' is list, not an array"):
        step(x, [0] * BATCH)
    with pytest.raises(ValueError, match="input 'x' is on meta: move it to the CPU"):
        step(x.to("meta"), y)
    # A label that is no class would read foreign memory.
    with pytest.raises(ValueError, match="'y': .*5.*used as an index"):
        step(x, y + 5)
    assert step.report()["steps"] == 0, "what is refused has not run"


def test_options_that_change_are_refused():
    step, _, optimizer = compiled("AdamW")
    x, y = next(iter(loader(1)))
    step(x, y)
    group = optimizer.param_groups[0]
    group["weight_decay"] = 0.2
    with pytest.raises(
        RuntimeError,
        match="has weight_decay = 0.2 in group 0, the step was compiled with 0.1. A compiled step"
        " has all options but the learning rate built in: compile it again",
    ):
        step(x, y)
    group["weight_decay"] = 0.1
    group["lr"] = torch.tensor(1e-3)
    step(x, y)
    group["betas"] = (0.5, 0.999)
    with pytest.raises(RuntimeError, match=r"has betas = \(0.5, 0.999\) in group 0"):
        step(x, y)
    group["betas"] = (0.9, 0.999)
    group["foreach"] = True
    step(x, y)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})
    with pytest.raises(RuntimeError, match="has 2 parameter groups, and had 1"):
        step(x, y)


def test_one_cycle_momentum_is_refused():
    step, _, optimizer = compiled("momentum")
    lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10)
    with pytest.raises(RuntimeError, match="has momentum = .* cycle_momentum=False"):
        step(*EXAMPLE)


def test_a_changed_model_is_a_warning():
    """An optimizer.step() left in the loop trains the model and not the step."""
    step, model, optimizer = compiled("SGD")
    x, y = next(iter(loader(1)))
    step(x, y)
    train(model, optimizer, [(x, y)])
    with pytest.warns(UserWarning, match="the model's parameters have changed"):
        step(x, y)
    step.load_state_dict(model.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(x, y)
        step.copy_to(model, optimizer)
        step(x, y)


def test_what_cannot_be_compiled():
    with pytest.raises(plait.CompileError, match="unknown schedule 'sideways'; expected auto"):
        compiled("SGD", schedule="sideways")
    with pytest.raises(plait.CompileError, match="unknown cpu 'abacus'"):
        compiled("SGD", cpu="abacus")
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="lr_input is not an option here"):
        plait.torch.compile(model, cross_entropy, optimizer, EXAMPLE, lr_input=False)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, scores, y):
            return cross_entropy(scores * self.scale, y)

    loss = Scaled()
    both = torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.1)
    with pytest.raises(plait.UnsupportedError, match="'loss_fn.scale' is trained, but belongs to"):
        plait.torch.compile(model, loss, both, EXAMPLE)


def test_repr_names_inputs_and_schedule():
    step, _, _ = compiled("SGD", schedule="forward")
    assert repr(step) == "<TorchStep (x float32[8, 20], y int64[8]), schedule forward>"
    assert isinstance(step, TorchStep) and isinstance(step, plait.CompiledStep)


def test_byte_images():
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.out = torch.nn.Linear(8, 5)

        def forward(self, x):
            return self.out(x.float() / 255) + (x > 200).sum()

    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (10, 7, 8), generator=generator).to(torch.uint8)
    y = torch.randint(0, 5, (10, 7), generator=generator)
    model, reference = Scaled(), Scaled()
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (model, reference)]
    step = plait.torch.compile(model, torch.nn.functional.cross_entropy, optimizers[0], (x[0], y[0]))
    losses = [float(step(*row)) for row in zip(x, y)]
    np.testing.assert_allclose(losses, train(reference, optimizers[1], zip(x, y)), rtol=1e-5)
    assert float(step(x[0].numpy(), y[0].numpy())) > 0
    with pytest.raises(TypeError, match="'x' is int8, the step was compiled for uint8"):
        step(x[0].to(torch.int8), y[0])


def test_changes_of_the_model_after_compiling():
    step, model, _ = compiled("SGD")
    x, y = EXAMPLE
    step(x, y)
    model.eval()
    with pytest.warns(UserWarning, match="between train"):
        step(x, y)
    model.fc1.requires_grad_(False)
    with pytest.raises(RuntimeError, match="requires_grad of a parameter has changed.*compile it again"):
        step(x, y)
    model.fc1.requires_grad_(True)
    step(x, y)


def test_wrong_options_and_inputs():
    for threads in ("2", 1.5, True):
        with pytest.raises(TypeError, match="threads must be an int or None"):
            compiled("SGD", threads=threads)
    for option, message in (({"schedule": "fastest"}, "unknown schedule 'fastest'"),
                            ({"cpu": "z80"}, "unknown cpu 'z80'")):  # fmt: skip
        with pytest.raises(plait.CompileError, match=message) as error:
            compiled("SGD", **option)
        assert "func.func" not in str(error.value)
    step, _, _ = compiled("SGD")
    x, y = EXAMPLE
    with pytest.raises(TypeError, match="'x' is of the other byte order"):
        step(x.numpy().astype(">f4"), y)
    with pytest.raises(TypeError, match="'x' is torch.sparse_coo: convert it with to_dense"):
        step(x.to_sparse(), y)
    with pytest.raises(TypeError, match="TorchStep cannot be copied or pickled"):
        deepcopy(step)
