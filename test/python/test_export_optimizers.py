# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Export of PyTorch optimizers: ops, attributes, states, learning rates."""

import numpy as np
import pytest
from exported import attributes, batch, export, mlp, ops, states, torch
from torch import nn

OPTIMIZERS = [
    ("SGD", dict(lr=0.1), "train.sgd", [], dict(lr=0.1)),
    ("SGD", dict(lr=0.1, weight_decay=0.01, maximize=True), "train.sgd", [],
     dict(lr=0.1, weight_decay=0.01, maximize=True)),
    ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True), "train.sgd",
     ["momentum_buffer", "initialized"], dict(lr=0.1, momentum=0.9, nesterov=True)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.5), "train.sgd",
     ["momentum_buffer", "initialized"], dict(lr=0.1, momentum=0.9, dampening=0.5)),
    ("Adagrad", dict(lr_decay=0.1), "train.adagrad", ["sum", "step"],
     dict(lr=0.01, lr_decay=0.1, eps=1e-10)),
    ("RMSprop", dict(), "train.rmsprop", ["square_avg"], dict(lr=0.01, alpha=0.99, eps=1e-8)),
    ("RMSprop", dict(centered=True, momentum=0.9), "train.rmsprop",
     ["square_avg", "grad_avg", "momentum_buffer"],
     dict(lr=0.01, alpha=0.99, eps=1e-8, momentum=0.9, centered=True)),
    ("Adadelta", dict(weight_decay=0.1), "train.adadelta", ["square_avg", "acc_delta"],
     dict(lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.1)),
    ("Adam", dict(), "train.adam", ["exp_avg", "exp_avg_sq", "step"],
     dict(lr=1e-3, betas=[0.9, 0.999], eps=1e-8)),
    ("Adam", dict(amsgrad=True, lr=torch.tensor(0.5)), "train.adam",
     ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"],
     dict(lr=0.5, betas=[0.9, 0.999], eps=1e-8, amsgrad=True)),
    ("AdamW", dict(), "train.adam", ["exp_avg", "exp_avg_sq", "step"],
     dict(lr=1e-3, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.01,
          decoupled_weight_decay=True)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "op", "names", "attrs"), OPTIMIZERS)
def test_optimizer(name, options, op, names, attrs):
    model = mlp()
    step = export(model, getattr(torch.optim, name)(model.parameters(), **options))
    updates = ops(step)
    assert list(updates) == ["%fc1.weight", "%fc1.bias", "%fc2.weight", "%fc2.bias"]
    for parameter, update in updates.items():
        assert update["op"] == op
        assert states(update) == names
        assert attributes(update) == attrs
        for state in names:
            value = step.tensors[f"state.{parameter[1:]}.{state}"]
            assert value.dtype == np.float32 and not value.any()
            scalar = state in ("step", "initialized")
            assert value.shape == (() if scalar else step.tensors[parameter[1:]].shape)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adadelta", "Adam"])
def test_states_of_a_stepped_optimizer(name):
    model = mlp()
    options = {"SGD": dict(momentum=0.9), "RMSprop": dict(centered=True, momentum=0.9)}
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1, **options.get(name, {}))
    x, y = batch()
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    step = export(model, optimizer)
    for parameter, tensor in model.named_parameters():
        np.testing.assert_array_equal(step.tensors[parameter], tensor.detach().numpy())
        held = optimizer.state[tensor]
        for key in [k for k in step.tensors if k.startswith(f"state.{parameter}.")]:
            state = key.rsplit(".", 1)[1]
            expected = 1.0 if state == "initialized" else held[state].numpy()
            np.testing.assert_array_equal(step.tensors[key], expected)


def test_adagrad_starts_at_its_initial_accumulator():
    model = mlp()
    optimizer = torch.optim.Adagrad(model.parameters(), initial_accumulator_value=0.25)
    assert (export(model, optimizer).tensors["state.fc1.bias.sum"] == 0.25).all()


def test_parameter_groups_keep_their_own_options():
    model = mlp()
    weights, biases = [], []
    for name, parameter in model.named_parameters():
        (biases if name.endswith("bias") else weights).append(parameter)
    groups = [dict(params=weights), dict(params=biases, lr=0.5, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=0.25, weight_decay=0.125)
    for name, op in ops(export(model, optimizer)).items():
        attrs = attributes(op)
        assert attrs["lr"] == (0.5 if name.endswith("bias") else 0.25)
        assert attrs.get("weight_decay", 0) == (0 if name.endswith("bias") else 0.125)
    # Their learning rates differ, so as inputs they are two.
    step = export(model, optimizer, lr_input=True)
    assert list(step.inputs) == ["x", "y", "lr.0", "lr.1"]
    assert step.inputs["lr.1"] == np.float32(0.5)


def test_learning_rate_as_an_input():
    model = mlp()
    step = export(model, torch.optim.SGD(model.parameters(), lr=0.1), lr_input=True)
    assert '%lr: tensor<f32> {train.role = #train.input<"lr">}' in step.module_text
    assert "lr = " not in step.module_text
    assert len(ops(step)) == 4
    for op in ops(step).values():
        assert op["ins"].endswith(", %lr") and op["in_types"].endswith(", tensor<f32>")
    assert step.inputs["lr"] == np.float32(0.1)


def test_exporting_changes_nothing():
    model = nn.Sequential(mlp(), nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    export(model, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not optimizer.state and torch.equal(generator, torch.get_rng_state())
