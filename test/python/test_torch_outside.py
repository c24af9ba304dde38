# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a forward pass keeps or changes outside of parameters: carried in buffers,
refused elsewhere; and the model is afterwards what it was."""

import random
from collections import deque

import numpy as np
import pytest
from exported import torch
from plait_run import needs_plait_run
from torch import nn
from torch.nn import functional
from training import STEPS, compare_training

import plait
from plait.torch import export_step


class Net(nn.Module):
    """A linear layer, and a forward pass that is a function of it and x [7, 8]."""

    def __init__(self, function, **attributes):
        super().__init__()
        torch.manual_seed(0)
        self.out, self.function = nn.Linear(8, 5), function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.function(self, x)


def buffered(function, **buffers):
    model = Net(function)
    for name, value in buffers.items():
        model.register_buffer(name, value)
    return model


def batch(rows=7):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(rows, 8, generator=generator),
        torch.randint(0, 5, (rows,), generator=generator),
    )


def export(model, loss_fn=functional.cross_entropy):
    return export_step(model, loss_fn, torch.optim.SGD(model.parameters(), lr=0.1), batch())


def average(model, x):
    model.m = 0.9 * model.m + 0.1 * x.mean(0).detach()
    return model.out(x - model.m)


def count(model, x):
    model.n = model.n + 1
    return model.out(x) / model.n


def both(model, x):
    model.m += 1
    model.m = model.m * 2
    return model.out(x / model.m)


@needs_plait_run
@pytest.mark.parametrize("schedule", ["backward", "forward"])
@pytest.mark.parametrize(
    ("function", "buffer"),
    [(average, {"m": torch.zeros(8)}), (count, {"n": torch.tensor(0)}), (both, {"m": torch.ones(8)})],
)
def test_buffer_that_is_assigned_anew(tmp_path, function, buffer, schedule):
    model = buffered(function, **buffer)
    compare_training(
        tmp_path, model, functional.cross_entropy, batch(STEPS * 7), schedule=schedule,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
    )  # fmt: skip


def hidden(model, x):
    y = model.out(x + model.h)
    model.h = (0.5 * model.h + x.mean(0)).detach()
    return y


def hidden_from_nothing(model, x):
    y = model.out(x if model.h is None else x + model.h)
    model.h = x.mean(0)
    return y


def counted(model, x):
    model.k += 1
    return model.out(x) / model.k


def not_yet_effective(model, x):
    model.k += 1
    return model.out(x) if model.k < 100 else model.out(-x)


def appended(model, x):
    model.log.append(len(model.log))
    return model.out(x)


def cached_data(model, x):
    if model.h is None:
        model.h = x.mean(0)
    return model.out(x - model.h)


GLOBAL = [0, np.random.default_rng(0)]


def global_counter(model, x):
    GLOBAL[0] += 1
    return model.out(x) * GLOBAL[0]


@pytest.mark.parametrize(
    ("function", "attributes", "message"),
    [
        (hidden, {"h": torch.zeros(8)}, "changes Net: h, which a step does not carry.*make it a buffer"),
        (hidden_from_nothing, {"h": None}, "changes Net: h,"),
        (counted, {"k": 0}, "changes Net: k,"),
        (not_yet_effective, {"k": 0}, "changes Net: k,"),
        (appended, {"log": []}, "changes Net: log,"),
        (appended, {"log": deque()}, "changes Net: log,"),
        (cached_data, {"h": None}, r"aten\.sub\.Tensor in Net reads what .* keeps in Net: h"),
        (lambda m, x: m.out(x) * m.g.random(), {"g": np.random.default_rng(0)}, "changes Net: g,"),
        (lambda m, x: m.out(x) * random.random(), {}, "changes the state of Python's random"),
        (lambda m, x: m.out(x) * np.random.rand(), {}, "changes the state of numpy.random"),
        (lambda m, x: m.out(x) * GLOBAL[1].random(), {}, "run twice .* is not the same"),
        (global_counter, {}, "run twice on the same values, is not the same"),
    ],
)
def test_refuse_what_a_step_does_not_carry(function, attributes, message):
    model = Net(function, **attributes)
    before = dict(vars(model)), repr(attributes), random.getstate(), repr(np.random.get_state())
    with pytest.raises(plait.UnsupportedError, match=message):
        export(model)
    after = dict(vars(model)), repr(attributes), random.getstate(), repr(np.random.get_state())
    assert after == before


def test_refuse_counter_in_a_closure():
    def counting():
        calls = 0

        def loss_fn(z, y):
            nonlocal calls
            calls += 1
            return functional.cross_entropy(z, y)

        return loss_fn

    with pytest.raises(plait.UnsupportedError, match="changes loss_fn: calls,"):
        export(Net(lambda m, x: m.out(x)), counting())


def test_tensor_that_nobody_reads_is_no_state():
    def keeping(model, x):
        model.seen = model.out(x)
        return model.seen

    def masked(model, x):
        if model.seen is None:
            model.seen = torch.triu(torch.ones(8, 8))
        return model.out(x @ model.seen)

    for function in (keeping, masked):
        model = Net(function, seen=None)
        assert set(export(model).tensors) == {"out.weight", "out.bias"}
        assert model.seen is None
        model(batch()[0]).sum().item()  # No tensor of a trace is left in it.


def test_model_of_a_refused_export_still_runs():
    def failing(model, x):
        model.seen = model.out(x)
        return model.seen.sort(0).values

    model = Net(failing, seen=torch.zeros(1))
    seen = model.seen
    with pytest.raises(plait.UnsupportedError, match="aten.sort"):
        export(model)
    assert model.seen is seen


def clamp(model, x):
    with torch.no_grad():
        model.out.weight.clamp_(-0.1, 0.1)
    return model.out(x)


def clamp_data(model, x):
    model.out.weight.data.clamp_(-0.1, 0.1)
    return model.out(x)


def replace_data(model, x):
    model.out.weight.data = model.out.weight.data.clamp(-0.1, 0.1)
    return model.out(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (clamp, r"aten\.clamp_\.default in Net writes to the parameter 'out.weight'"),
        (clamp_data, "writes to the parameter 'out.weight'.*use a changed copy"),
        (replace_data, "replaces the parameter 'out.weight'"),
        (lambda m, x: functional.embedding(x.argmax(1) % 5, m.out.weight, max_norm=1.0) @ torch.ones(8, 5),
         r"aten\.embedding_renorm_\.default in Net writes to the parameter"),
        (lambda m, x: m.out(functional.batch_norm(x, *HELD, training=True)),
         r"aten\.native_batch_norm\.default in Net writes to a tensor that is neither"),
        (lambda m, x: m.out(x) * torch.rand(5, generator=torch.Generator()), "in Net draws from a generator of its own"),
    ],
)  # fmt: skip
def test_refuse_writes_in_the_forward_pass(function, message):
    model = Net(function)
    weight = model.out.weight.clone()
    with pytest.raises(plait.UnsupportedError, match=message):
        export(model)
    assert torch.equal(model.out.weight, weight) and not HELD[0].any()


HELD = (torch.zeros(8), torch.ones(8))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: setattr(m, "h", torch.cat([m.h, m.h])) or m.out(x),
         r"makes the buffer 'h' \[16\] of torch.float32; it is \[8\]"),
        (lambda m, x: setattr(m, "h", m.h + m.out(x).sum()) or m.out(x + m.h),
         r"the buffer 'h' needs a gradient .* detach\(\)"),
    ],
)  # fmt: skip
def test_refuse_buffer_that_cannot_be_carried(function, message):
    with pytest.raises(plait.UnsupportedError, match=message):
        export(buffered(function, h=torch.zeros(8)))


def test_refuse_data_of_a_captured_parameter():
    model = Net(None)
    weight = model.out.weight
    model.function = lambda m, x: m.out(x) + weight.data.sum()
    with pytest.raises(plait.UnsupportedError, match="uses 'out.weight' as a tensor of its own"):
        export(model)


def test_refuse_lazy_module():
    model = nn.LazyLinear(5)
    with pytest.raises(plait.UnsupportedError, match="'weight' has no shape yet"):
        export(model)


def overlapping(one, two):
    model = Net(lambda m, x: x @ m.a.t() + torch.tanh(x @ m.b.t()))
    model.a, model.b = nn.Parameter(one), nn.Parameter(two)
    return model


def test_refuse_parameters_with_common_bytes():
    rows, columns = torch.randn(9, 8), torch.randn(5, 16)
    with pytest.raises(plait.UnsupportedError, match="'b' shares memory with 'a'"):
        export(overlapping(rows[:5], rows[2:7]))
    array = rows.numpy()
    with pytest.raises(plait.UnsupportedError, match="'b' shares memory with 'a'"):
        export(overlapping(torch.from_numpy(array[:5]), torch.from_numpy(array[4:])))
    with pytest.raises(plait.UnsupportedError, match="'a' has elements that share memory"):
        export(overlapping(torch.randn(1, 8).expand(5, 8), rows[:5]))
    # Between each other's elements, but none in common.
    assert set(export(overlapping(columns[:, ::2], columns[:, 1::2])).tensors) > {"a", "b"}


# --- how much is looked at ---------------------------------------------------


def linear(model, x):
    return model.out(x)


@pytest.mark.parametrize(
    "words",
    [
        list(range(10_000)),
        {i: str(i) for i in range(10_000)},
        {(i, i): i for i in range(10_000)},
        [[i, [i]] for i in range(4_000)],
    ],
)
def test_refuse_more_objects_than_are_looked_at(monkeypatch, words):
    model = Net(linear, words=words)
    monkeypatch.setattr("plait.torch.outside.LIMIT", 10_000)
    message = "more than 10000 Python objects are reached from the model and the loss, most of them"
    message += r" from Net: words\. .*\(register_buffer\), or take them out of the model"
    with pytest.raises(plait.UnsupportedError, match=message):
        export(model)
    assert model.words is words
    monkeypatch.setattr("plait.torch.outside.LIMIT", 20_000)
    export(model)


def test_one_array_is_one_object(monkeypatch):
    monkeypatch.setattr("plait.torch.outside.LIMIT", 1_000)
    export(Net(linear, words=np.arange(100_000), table=torch.arange(100_000)))


def test_refuse_objects_that_are_nested_too_deeply():
    chain = None
    for i in range(20_000):
        chain = {"next": chain, "value": i}
    with pytest.raises(plait.UnsupportedError, match="chain has Python objects that are nested too"):
        export(Net(linear, chain=chain))
    while chain:  # freed one by one, not in a recursion
        chain = chain["next"]
