# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole imported steps, optimizer traced, roles as strings: numbers of torch.

samples/torch_mlp_*.mlir are steps of a 784-128-10 MLP that torch-mlir printed
with the optimizer's arithmetic traced into the graph (no `train` op) and roles
as plain strings; the .json beside each lists them in the order of @main's
arguments and results. The reference is the same step in eager torch.

Tolerances: a parameter by 1e-5 of lr plus 4 ulps of the largest one, a state by
1e-5 of its largest value (the gradients of 8 rows are sums in another order).
The states are not zero, and the squares not near zero: g / sqrt(exp_avg_sq)
would magnify rounding noise.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")

pytestmark = needs_plait_run

SAMPLES = Path(__file__).parent / "samples"
OPTIMIZERS = {
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=1e-4)),
    "adam": (torch.optim.Adam, dict(lr=1e-3)),
}
SHAPES = {"fc1.weight": (128, 784), "fc1.bias": (128,), "fc2.weight": (10, 128), "fc2.bias": (10,)}


def tensor_name(role: str, name: str) -> str:
    """The key in tensor files of an argument or result of these roles."""
    kind, _, state = role.removeprefix("new_").partition(":")
    return {"state": f"state.{name}.{state}", "loss": "loss"}.get(kind, name)


def draw(arguments: list[list[str]]) -> dict[str, np.ndarray]:
    """A value for each argument."""
    generator = np.random.default_rng(0)
    values = {}
    for role, name in arguments:
        shape = SHAPES.get(name.removeprefix("m."))
        if name == "x":
            value = generator.standard_normal((8, 784))
        elif name == "y":
            values[name] = generator.integers(0, 10, 8)
            continue
        elif role == "param":
            bound = 784**-0.5 if "fc1" in name else 128**-0.5
            value = generator.uniform(-bound, bound, shape)
        elif role == "state:step":
            value = np.array(3.0)
        elif role == "state:exp_avg_sq":
            value = generator.uniform(1e-4, 1e-3, shape)
        else:
            value = generator.standard_normal(shape) * 1e-2
        values[tensor_name(role, name)] = value.astype(np.float32)
    return values


def eager_step(kind: str, values: dict[str, np.ndarray], steps: int = 1) -> dict[str, np.ndarray]:
    """The loss of the last step, and parameters and states after it."""
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in values.items()}
    names = [name for name in tensors if name.startswith("m.")]
    parameters = {name: tensors[name].clone().requires_grad_() for name in names}
    optimizer_type, options = OPTIMIZERS[kind]
    optimizer = optimizer_type(parameters.values(), **options)
    for name, parameter in parameters.items():
        prefix = f"state.{name}."
        held = {n.removeprefix(prefix): t.clone() for n, t in tensors.items() if n.startswith(prefix)}
        optimizer.state[parameter].update(held)
    for _ in range(steps):
        optimizer.zero_grad()
        hidden = (tensors["x"] @ parameters["m.fc1.weight"].T + parameters["m.fc1.bias"]).relu()
        logits = hidden @ parameters["m.fc2.weight"].T + parameters["m.fc2.bias"]
        loss = torch.nn.functional.cross_entropy(logits, tensors["y"])
        loss.backward()
        optimizer.step()
    results = {name: p.detach().numpy() for name, p in parameters.items()}
    for name, parameter in parameters.items():
        for state, value in optimizer.state[parameter].items():
            results[f"state.{name}.{state}"] = value.numpy()
    return {"loss": loss.detach().numpy(), **results}


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_sample(tmp_path, kind, schedule):
    roles = json.loads((SAMPLES / f"torch_mlp_{kind}.json").read_text())
    text = (SAMPLES / f"torch_mlp_{kind}.mlir").read_text()
    values = draw(roles["args"])
    results = run_step(tmp_path, text, values, 1, f"--schedule={schedule}")
    expected = eager_step(kind, values)
    assert {tensor_name(*r) for r in roles["results"]} == set(expected)
    lr = OPTIMIZERS[kind][1]["lr"]
    for name, value in expected.items():
        tolerance = 1e-5 * np.abs(value).max()
        if name.startswith("m."):
            tolerance = 1e-5 * lr + 4 * np.spacing(np.abs(value).max())
            assert np.abs(value - values[name]).max() > 100 * tolerance, f"{name} has not moved"
        assert np.abs(results[name] - value).max() <= tolerance, name
