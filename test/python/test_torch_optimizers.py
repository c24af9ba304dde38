# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Optimizers, clipping and accumulation: ten steps of plait-run beside torch's.

A step from fresh states divides by small numbers where gradients are small, so
rounding shows: those may differ by 2 % of how far a parameter has moved.
"""

import numpy as np
import pytest
from plait_run import needs_plait_run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from training import STEPS, compare_tensors, compare_training, run, train  # noqa: E402

import plait  # noqa: E402
from plait.torch import export_step  # noqa: E402
from plait.torch.clipping import Clipping  # noqa: E402

BATCH = 4


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def data(rows=STEPS * BATCH, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 6, generator=generator)
    return x, torch.randint(0, 3, (rows,), generator=generator)


class Signed(torch.optim.Optimizer):
    """An optimizer of the user's own: a momentum, and a step that is a number."""

    def __init__(self, params, lr=0.01, beta=0.9):
        super().__init__(params, dict(lr=lr, beta=beta))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"], state["average"] = 0, torch.zeros_like(p)
                state["step"] += 1
                state["average"].lerp_(p.grad, 1 - group["beta"])
                scale = 1 - group["beta"] ** state["step"]
                p.sub_(torch.tanh(state["average"] / scale * 10) * group["lr"])


class Decayed(torch.optim.SGD):
    """A subclass that does something else first."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(0.99)
        return super().step(closure)


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adagrad": lambda p: torch.optim.Adagrad(p, 0.05, lr_decay=0.1),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 0.01, centered=True, momentum=0.5),
    "Adadelta": lambda p: torch.optim.Adadelta(p, 0.5),
    "Adam": lambda p: torch.optim.Adam(p, 0.01, amsgrad=True, weight_decay=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    "NAdam": lambda p: torch.optim.NAdam(p, 0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "RAdam": lambda p: torch.optim.RAdam(p, 0.01),
    "Adamax": lambda p: torch.optim.Adamax(p, 0.01, weight_decay=0.01),
    "ASGD": lambda p: torch.optim.ASGD(p, 0.1, t0=5),
    "Rprop": lambda p: torch.optim.Rprop(p, 0.01),
    "Adafactor": lambda p: torch.optim.Adafactor(p, 0.05, weight_decay=0.01),
    "own": Signed,
    "subclass": lambda p: Decayed(p, 0.1),
}
TRACED = ["NAdam", "RAdam", "Adamax", "ASGD", "Rprop", "Adafactor", "own", "subclass"]


SCHEDULES = [(name, "backward") for name in OPTIMIZERS] + [("NAdam", "forward"), ("own", "forward")]


@needs_plait_run
@pytest.mark.parametrize(("name", "schedule"), SCHEDULES)
def test_optimizer_that_has_stepped(tmp_path, name, schedule):
    model = mlp()
    optimizer = OPTIMIZERS[name](model.parameters())
    train(model, nn.CrossEntropyLoss(), optimizer, data(5 * BATCH, seed=2), (BATCH, BATCH), steps=5)
    step = compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data(), optimizer=optimizer, schedule=schedule
    )
    assert ("train.next" in step.module_text) and (" = train." in step.module_text) != (name in TRACED)


def muon(**options):
    """Matrices, which is what Muon is for, and losses whose gradients have full rank:
    it makes a gradient orthogonal, so that of a direction without one it is rounding
    that is blown up."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 5, bias=False), nn.Tanh(),
        nn.Linear(5, 3, bias=False),
    )  # fmt: skip
    x = torch.randn(STEPS * 32, 6, generator=torch.Generator().manual_seed(1))
    target = torch.randn(STEPS * 32, 3, generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.Muon(model.parameters(), lr=0.02, weight_decay=0.1, **options)
    train(model, nn.MSELoss(), optimizer, (x, target), (32, 32), steps=5)
    return model, optimizer, (x, target)


MUON = [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}]


@needs_plait_run
@pytest.mark.parametrize("schedule", ["backward", "forward"])
@pytest.mark.parametrize("options", MUON)
def test_muon(tmp_path, monkeypatch, options, schedule):
    """With its products in f32, on both sides."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    model, optimizer, numbers = muon(**options)
    compare_training(
        tmp_path, model, nn.MSELoss(), numbers, optimizer=optimizer, schedule=schedule
    )


@needs_plait_run
@pytest.mark.parametrize("schedule", ["backward", "forward"])
@pytest.mark.parametrize("options", MUON)
def test_muon_as_it_is(tmp_path, options, schedule):
    """Its products are in bfloat16, three digits that are rounded at other places:
    an update may be off by some percent of what a parameter has moved."""
    model, optimizer, numbers = muon(**options)
    before = {n: v.clone() for n, v in model.state_dict().items()}
    step = export_step(model, nn.MSELoss(), optimizer, [v[:32] for v in numbers])
    assert "bf16" in step.module_text
    results, losses = run(tmp_path, step, numbers, schedule)
    expected = train(model, nn.MSELoss(), optimizer, numbers, (32, 32))
    np.testing.assert_allclose(losses, expected, rtol=2e-3)
    compare_tensors(before, model, results, 0.02 * STEPS, tolerance=0.05)


@needs_plait_run
@pytest.mark.parametrize("name", [n for n in TRACED if n != "own"])
def test_fresh_traced_optimizer(tmp_path, name):
    model = mlp()
    optimizer = OPTIMIZERS[name](model.parameters())
    compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data(),
        optimizer=optimizer, schedule="baseline", tolerance=0.02,
    )  # fmt: skip


def groups(model, kind, **options):
    """Biases with another rate and no decay."""
    biases = [p for p in model.parameters() if p.dim() == 1]
    weights = [p for p in model.parameters() if p.dim() > 1]
    return kind([dict(params=weights), dict(params=biases, lr=0.03, weight_decay=0.0)], **options)


@needs_plait_run
@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.NAdam])
@pytest.mark.parametrize("lr_input", [False, True])
def test_groups(tmp_path, kind, lr_input):
    model = mlp()
    optimizer = groups(model, kind, lr=0.01, weight_decay=0.1)
    train(model, nn.CrossEntropyLoss(), optimizer, data(5 * BATCH, seed=2), (BATCH, BATCH), steps=5)
    step = compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data(),
        optimizer=optimizer, lr_input=lr_input, schedule="baseline",
    )  # fmt: skip
    assert [n for n in step.inputs if n.startswith("lr")] == (["lr.0", "lr.1"] if lr_input else [])


@needs_plait_run
def test_scheduled_rate_of_a_traced_optimizer(tmp_path):
    model = mlp()
    optimizer = torch.optim.Adamax(model.parameters(), lr=0.01)
    train(model, nn.CrossEntropyLoss(), optimizer, data(5 * BATCH, seed=2), (BATCH, BATCH), steps=5)
    rates = torch.linspace(0.02, 0.002, STEPS)

    def reference(model, loss_fn, optimizer, data, rows, steps):
        losses = []
        for i in range(steps):
            optimizer.param_groups[0]["lr"] = float(rates[i])
            batch = [d[i * BATCH : (i + 1) * BATCH] for d in data]
            losses += train(model, loss_fn, optimizer, batch, rows, steps=1)
        return losses

    compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data(), optimizer=optimizer,
        lr_input=True, schedule="baseline", reference=reference, values={"lr": rates.numpy()},
    )  # fmt: skip


@needs_plait_run
def test_scheduler_of_torch_is_not_stepped_by_the_export():
    model = mlp()
    optimizer = torch.optim.NAdam(model.parameters())
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    calls = []
    optimizer.step = lambda *_: calls.append(1)
    export_step(model, nn.CrossEntropyLoss(), optimizer, data(BATCH))
    assert not calls and not optimizer.state


# --- what is refused ---------------------------------------------------------


def refuse(message, optimizer_of, **options):
    model = mlp()
    with pytest.raises(plait.UnsupportedError, match=message):
        optimizer = optimizer_of(model.parameters())
        export_step(model, nn.CrossEntropyLoss(), optimizer, data(BATCH), **options)


def test_refuse_optimizer_that_needs_a_closure():
    refuse("cannot trace the step of LBFGS.*closure", lambda p: torch.optim.LBFGS(p))


def test_refuse_optimizer_for_sparse_gradients():
    refuse("cannot trace the step of SparseAdam.*dense gradients", lambda p: torch.optim.SparseAdam(list(p)))


def test_refuse_states_that_come_with_the_first_step():
    refuse("Decayed makes the state 'momentum_buffer' in its first step: take a step before",
           lambda p: Decayed(p, 0.1, momentum=0.9))  # fmt: skip
    refuse("Signed makes the state 'average' in its first step", Signed)


class Changing(torch.optim.SGD):
    """A rate that the optimizer itself lowers."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            group["lr"] *= 0.9


def test_refuse_optimizer_that_changes_its_options():
    refuse(r"Changing changes its param_groups\[0\]\['lr'\] in each step", lambda p: Changing(p, 0.1))


class Counting(torch.optim.SGD):
    count = 0

    def step(self, closure=None):
        super().step(closure)
        self.count += 1


def test_refuse_optimizer_that_changes_its_attributes():
    refuse("Counting changes its count in each step", lambda p: Counting(p, 0.1))


class Damped(torch.optim.Optimizer):
    """Of a number that is an attribute of its own, which torch does not copy."""

    def __init__(self, parameters, lr, damping):
        super().__init__(parameters, {"lr": lr})
        self.damping = damping

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(p.grad / (p.grad.abs() + self.damping), alpha=group["lr"])


@needs_plait_run
def test_optimizer_with_attributes_of_its_own(tmp_path):
    model = mlp()
    optimizer = Damped(model.parameters(), 0.05, 0.3)
    compare_training(tmp_path, model, nn.CrossEntropyLoss(), data(), optimizer=optimizer)


class Branching(torch.optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad.norm() > 1:
                    p.sub_(p.grad)


def test_refuse_optimizer_that_branches_on_values():
    refuse("cannot trace the step of Branching.*branch", lambda p: Branching(p, 0.1))


class Texted(torch.optim.SGD):
    def step(self, closure=None):
        super().step(closure)


def test_refuse_state_that_is_no_tensor():
    def optimizer_of(parameters):
        optimizer = Texted(parameters, 0.1)
        optimizer.state[optimizer.param_groups[0]["params"][0]]["note"] = "text"
        return optimizer

    refuse("Texted keeps str 'note' as a state", optimizer_of)


# --- clipping ----------------------------------------------------------------


def clipped(by):
    """torch's loop with clipping before the step."""

    def reference(model, loss_fn, optimizer, data, rows, steps):
        return train(model, loss_fn, optimizer, data, rows, lambda: by(model), steps)

    return reference


def both_clips(model, norm, value):
    nn.utils.clip_grad_norm_(model.parameters(), norm)
    nn.utils.clip_grad_value_(model.parameters(), value)


CLIPS = {
    # Some steps have a norm above 1.2, some below.
    "norm": (dict(clip_grad_norm=1.2), lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1.2)),
    "norm never reached": (
        dict(clip_grad_norm=1e3), lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1e3)),
    "norm inf": (
        dict(clip_grad_norm=0.3, clip_norm_type=float("inf")),
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), 0.3, float("inf"))),
    "norm 1": (
        dict(clip_grad_norm=2.0, clip_norm_type=1.0),
        lambda m: nn.utils.clip_grad_norm_(m.parameters(), 2.0, 1.0)),
    # The other order would give other gradients: most steps have values above the
    # bound before the norm is clipped, and after it.
    "norm, then value": (
        dict(clip_grad_value=0.05, clip_grad_norm=0.6), lambda m: both_clips(m, 0.6, 0.05)),
    "value": (
        dict(clip_grad_value=0.05), lambda m: nn.utils.clip_grad_value_(m.parameters(), 0.05)),
}  # fmt: skip


@needs_plait_run
@pytest.mark.parametrize("kind", CLIPS)
@pytest.mark.parametrize("schedule", ["backward", "forward"])
def test_clipping(tmp_path, kind, schedule):
    options, by = CLIPS[kind]
    x, y = data()
    compare_training(
        tmp_path, mlp(), nn.CrossEntropyLoss(), (x * 3, y),
        reference=clipped(by), schedule=schedule, **options,
    )  # fmt: skip


def test_the_norm_is_clipped_before_the_values():
    one, two = mlp(), mlp()
    for i, (p, q) in enumerate(zip(one.parameters(), two.parameters())):
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(i))
        q.grad = p.grad.clone()
    found = Clipping(norm=0.6, value=0.05).apply([p.grad for p in one.parameters()])
    both_clips(one, 0.6, 0.05)
    for grad, p in zip(found, one.parameters()):
        torch.testing.assert_close(grad, p.grad, rtol=1e-6, atol=0)
    nn.utils.clip_grad_value_(two.parameters(), 0.05)
    nn.utils.clip_grad_norm_(two.parameters(), 0.6)
    assert any((grad - p.grad).abs().max() > 0.01 for grad, p in zip(found, two.parameters()))


@needs_plait_run
def test_clipping_before_a_traced_optimizer(tmp_path):
    model = mlp()
    optimizer = torch.optim.Adamax(model.parameters(), lr=0.01)
    train(model, nn.CrossEntropyLoss(), optimizer, data(5 * BATCH, seed=2), (BATCH, BATCH), steps=5)
    options, by = CLIPS["norm inf"]
    compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data(), optimizer=optimizer,
        reference=clipped(by), schedule="baseline", **options,
    )  # fmt: skip


def test_wrong_options():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters())
    for options, message in [
        (dict(clip_grad_norm=-1.0), "clip_grad_norm must not be negative"),
        (dict(clip_grad_value=float("nan")), "clip_grad_value must not be negative"),
        (dict(clip_grad_norm=1.0, clip_norm_type=0.0), "clip_norm_type must be positive"),
        (dict(accumulation_steps=0), "accumulation_steps must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            export_step(model, nn.CrossEntropyLoss(), optimizer, data(BATCH), **options)


# --- accumulation ------------------------------------------------------------


def accumulated(count, by=lambda model: None):
    """torch's loop with `count` micro-batches to a step."""

    def reference(model, loss_fn, optimizer, data, rows, steps):
        losses = []
        for i in range(steps):
            optimizer.zero_grad()
            total = 0.0
            for k in range(i * count, (i + 1) * count):
                x, y = (d[k * BATCH : (k + 1) * BATCH] for d in data)
                loss = loss_fn(model(x), y) / count
                loss.backward()
                total += loss.item()
            by(model)
            optimizer.step()
            losses.append(total)
        return losses

    return reference


@needs_plait_run
@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
def test_accumulation(tmp_path, schedule):
    torch.manual_seed(0)
    # Batch-norm: the running statistics go through the micro-batches one by one.
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data(3 * STEPS * BATCH), still=["0.bias"],
        reference=accumulated(3), schedule=schedule, accumulation_steps=3,
    )  # fmt: skip
    assert model[1].num_batches_tracked == 3 * STEPS


@needs_plait_run
def test_accumulation_with_clipping_and_a_traced_optimizer(tmp_path):
    model = mlp()
    optimizer = torch.optim.Adamax(model.parameters(), lr=0.01)
    train(model, nn.CrossEntropyLoss(), optimizer, data(5 * BATCH, seed=2), (BATCH, BATCH), steps=5)
    options, by = CLIPS["norm inf"]
    step = compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data(2 * STEPS * BATCH), optimizer=optimizer,
        reference=accumulated(2, by), schedule="baseline", accumulation_steps=2, **options,
    )  # fmt: skip
    assert step.inputs["x"].shape == (2 * BATCH, 6)


def test_text_does_not_grow_with_the_number_of_micro_batches():
    def lines(count):
        model = mlp()
        optimizer = torch.optim.SGD(model.parameters())
        step = export_step(
            model, nn.CrossEntropyLoss(), optimizer, data(BATCH), accumulation_steps=count
        )
        return step.module_text.count("\n")

    assert lines(50) == lines(2)
