# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""State in and out of a compiled step: torch, then Plait, then torch again.

Each time beside a torch run that was not interrupted.
"""

from copy import deepcopy

import pytest
from compiled_models import (
    OPTIMIZERS,
    SCHEDULES,
    compare,
    compare_states,
    compiled,
    compiled_fresh,
    loader,
    mlp,
    snapshot,
    torch,
    train,
    warm,
)
from torch import nn

from plait.torch import TorchStep, export_step


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_round_trip(name, schedule):
    """3 steps of torch, 9 of Plait, 8 of torch: forward has updates pending when
    the state is taken."""
    reference, optimizer = warm(name)
    before, lr = snapshot(mlp()), optimizer.param_groups[0]["lr"]
    # Gradients move less than Adam's steps, and are less sensitive.
    precision = 1e-4 if name == "SGD" else 1e-3
    train(reference, optimizer, loader(9, seed=2))

    step, model, mine = compiled(name, schedule=schedule)
    for x, y in loader(9, seed=2):
        step(x, y)
    # What depends on all gradients, or is not raised, waits for nothing.
    assert step._native.info()["pending"] == (schedule == "forward")
    compare_states(step.optimizer_state_dict(), optimizer.state_dict())
    step.copy_to(model, mine)
    compare(model.state_dict(), reference.state_dict(), before, lr, 9, precision)
    compare_states(mine.state_dict(), optimizer.state_dict())

    expected = train(reference, optimizer, loader(8, seed=3))
    assert train(model, mine, loader(8, seed=3)) == pytest.approx(expected, rel=1e-4)
    compare(model.state_dict(), reference.state_dict(), before, lr, 20, precision)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_of_a_fresh_optimizer(name):
    """A step that has not run loads into torch, and torch's into the step."""
    step, _, _ = compiled_fresh(name)
    other = mlp()
    second = OPTIMIZERS[name](other.parameters())
    second.load_state_dict(step.optimizer_state_dict())
    reference = mlp()
    third = OPTIMIZERS[name](reference.parameters())
    train(reference, third, loader(2))
    train(other, second, loader(2))
    for key, value in reference.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
    compare_states(second.state_dict(), third.state_dict())

    # And back: after some steps, to the beginning.
    first = [step(x, y).item() for x, y in loader(3)]
    step.load_state_dict(mlp().state_dict())
    step.load_optimizer_state_dict(OPTIMIZERS[name](mlp().parameters()).state_dict())
    assert [step(x, y).item() for x, y in loader(3)] == first


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_another_step_goes_on(name):
    """What one step gives another takes, bit for bit, with pending updates."""
    one, _, optimizer = compiled_fresh(name, schedule="forward")
    for x, y in loader(3):
        one(x, y)
    two, _, other = compiled(name, schedule="backward")
    optimizer.param_groups[0]["lr"] /= 2
    two.load_state_dict(one.state_dict())
    two.load_optimizer_state_dict(one.optimizer_state_dict())
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    assert [two(x, y) for x, y in loader(3, seed=4)] == [one(x, y) for x, y in loader(3, seed=4)]
    for key, value in one.state_dict().items():
        assert torch.equal(two.state_dict()[key], value)
    compare_states(two.optimizer_state_dict(), one.optimizer_state_dict())


def test_reading_disturbs_nothing():
    """Under forward, reading applies what is pending; the run stays the same."""
    losses = []
    for reads in (False, True):
        step, _, _ = compiled("AdamW", schedule="forward")
        losses.append([])
        for x, y in loader(6):
            losses[-1].append(step(x, y).item())
            if reads:
                step.state_dict()
                step.flush()
    assert losses[0] == losses[1]


class Tied(nn.Module):
    """Encodes and decodes with one matrix."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(20, 20, bias=False)
        self.middle = nn.Linear(20, 20)
        self.decode = nn.Linear(20, 20, bias=False)
        self.decode.weight = self.encode.weight
        self.register_buffer("scale", torch.tensor(0.5), persistent=False)

    def forward(self, x):
        return self.decode(torch.tanh(self.middle(self.encode(x)))) * self.scale


def tied(seed=0):
    torch.manual_seed(seed)
    return Tied()


def pairs(count, seed=1):
    return [(x, x.roll(1, dims=1)) for x, _ in loader(count, seed)]


def test_tied_weights():
    reference, mse = tied(), nn.functional.mse_loss
    before = snapshot(reference)
    optimizer = torch.optim.AdamW(reference.parameters(), lr=1e-3)
    train(reference, optimizer, pairs(3), loss_fn=mse)
    starts = [deepcopy((reference, optimizer)) for _ in SCHEDULES]
    exported = export_step(*starts[0][:1], mse, starts[0][1], pairs(1)[0], lr_input=True)
    train(reference, optimizer, pairs(12, seed=2), loss_fn=mse)
    for schedule, (model, mine) in zip(SCHEDULES, starts):
        assert model.decode.weight is model.encode.weight
        step = TorchStep(exported, model, mine, schedule=schedule)
        for x, y in pairs(12, seed=2):
            step(x, y)
        state = step.state_dict()
        assert state["decode.weight"] is state["encode.weight"]
        compare(state, reference.state_dict(), before, 1e-3, 12)
        compare_states(step.optimizer_state_dict(), optimizer.state_dict())
        step.copy_to(model, mine)
        assert model.decode.weight is model.encode.weight
        compare(model.state_dict(), reference.state_dict(), before, 1e-3, 12)
    # A model whose two are not tied gets both.
    loose = tied(seed=1)
    loose.decode.weight = nn.Parameter(torch.zeros(20, 20))
    step.copy_to(loose)
    assert torch.equal(loose.decode.weight, loose.encode.weight)
    state["decode.weight"] = state["decode.weight"] + 1
    with pytest.raises(RuntimeError, match="decode.weight is tied to encode.weight, but has other"):
        step.load_state_dict(state)


def test_load_state_dict_is_strict():
    step, _, _ = compiled("SGD")
    good = step.state_dict()
    bad = {**good, "fc3.weight": torch.zeros(2)}
    del bad["fc1.bias"]
    bad["fc2.bias"] = torch.ones(6)
    bad["fc1.weight"] = torch.zeros(33, 20)
    with pytest.raises(RuntimeError) as error:
        step.load_state_dict(bad)
    assert str(error.value) == (
        "Error(s) in loading state_dict:\n"
        '\tUnexpected key(s) in state_dict: "fc3.weight".\n'
        '\tMissing key(s) in state_dict: "fc1.bias".\n'
        "\tsize mismatch for fc2.bias: [6] in state_dict, [5] in the step."
    )
    for key, value in good.items():
        assert torch.equal(step.state_dict()[key], value), "nothing was loaded"
    step.load_state_dict({key: value.double() + 1 for key, value in good.items()})
    for key, value in good.items():
        assert torch.equal(step.state_dict()[key], (value.double() + 1).float())
    mlp().load_state_dict(good, strict=True)


def test_load_optimizer_state_dict_refuses():
    step, _, _ = compiled("AdamW")
    good = step.optimizer_state_dict()

    def refused(change, match):
        bad = deepcopy(good)
        change(bad)
        with pytest.raises(ValueError, match=match):
            step.load_optimizer_state_dict(bad)

    refused(lambda d: d.pop("state"), "has no 'state': is it an optimizer's")
    refused(lambda d: d["param_groups"].append({"params": []}), "has 2 parameter groups, and had 1")
    refused(lambda d: d["param_groups"][0]["params"].pop(), "has other parameters in group 0")
    refused(
        lambda d: d["param_groups"][0].update(weight_decay=0.3),
        "has weight_decay = 0.3 in group 0, the step was compiled with 0.1",
    )
    refused(lambda d: d["state"][1].pop("exp_avg"), "has no 'exp_avg' of 'fc1.bias', but other")
    refused(
        lambda d: d["state"][1].update(exp_avg=torch.zeros(4)),
        r"'state.fc1.bias.exp_avg' has shape \[4\], the step's is \[33\]",
    )
    compare_states(step.optimizer_state_dict(), good)
    # Numbers of another process are as good as ours.
    shifted = deepcopy(good)
    shifted["state"] = {i + 10: s for i, s in good["state"].items()}
    shifted["param_groups"][0]["params"] = [i + 10 for i in good["param_groups"][0]["params"]]
    step.load_optimizer_state_dict(shifted)
    compare_states(step.optimizer_state_dict(), good)


def test_a_beginning_that_is_not_known_is_refused():
    """NAdam's first mu_product is 1, which a stepped optimizer does not show."""
    step, _, _ = compiled("NAdam")
    fresh = OPTIMIZERS["NAdam"](mlp().parameters()).state_dict()
    with pytest.raises(ValueError, match="no state of 'fc1.weight', and how NAdam begins"):
        step.load_optimizer_state_dict(fresh)


def test_copy_to_another_model_is_refused():
    step, _, _ = compiled("SGD")
    other = nn.Sequential(nn.Linear(20, 33), nn.Linear(33, 5))
    before = snapshot(other)
    with pytest.raises(RuntimeError, match="which has .*no 'fc1.weight'; .*'0.weight' besides"):
        step.copy_to(other)
    wider = mlp()
    wider.fc2 = nn.Linear(33, 6)
    with pytest.raises(RuntimeError, match=r"'fc2.weight' of shape \[6, 33\], not \[5, 33\]"):
        step.copy_to(wider)
    for key, value in before.items():
        assert torch.equal(other.state_dict()[key], value)


def test_scheduler_survives_copy_to():
    """copy_to replaces the optimizer's groups; a scheduler must still reach them."""
    step, model, optimizer = compiled("momentum")
    lr = optimizer.param_groups[0]["lr"]
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for i, (x, y) in enumerate(loader(4)):
        step(x, y)
        scheduler.step()
        step.copy_to(model, optimizer)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr * 0.5 ** (i + 1))


def test_state_is_the_steps_own():
    step, model, _ = compiled("SGD")
    before, taken = snapshot(model), step.state_dict()
    for x, y in loader(2):
        step(x, y)
    for key, value in before.items():
        assert torch.equal(model.state_dict()[key], value)
        assert torch.equal(taken[key], value)
    for value in model.parameters():
        value.data.zero_()
    assert not torch.equal(step.state_dict()["fc1.weight"], model.fc1.weight)
