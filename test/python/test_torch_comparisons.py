# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""NaN, and numbers that f32 does not have, in comparisons and what is made of them:
equal to torch's results, element by element."""

import math

import pytest
import torch
from torch.nn import functional

pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")
pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

import plait.torch  # noqa: E402

X = torch.tensor([math.nan, 1, -1, 0, math.inf, -math.inf, 0.5, 0.1, -0.1, 2, -3, 0.7, 0.3])
Y = X.flip(0)
BOUND = torch.tensor([math.nan, 0.2]).repeat(7)[:13]

FUNCTIONS = {
    "clamp": lambda x: x.clamp(-0.1, 0.7),
    "clamp from below": lambda x: x.clamp(min=0.1),
    "clamp from above": lambda x: x.clamp(max=0.1),
    "clamp by tensors": lambda x: torch.clamp(x, BOUND, BOUND + 0.1),
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hardtanh": functional.hardtanh,
    "hardsigmoid": functional.hardsigmoid,
    "hardswish": functional.hardswish,
    "hardshrink": lambda x: functional.hardshrink(x, 0.1),
    "softshrink": lambda x: functional.softshrink(x, 0.1),
    "threshold": lambda x: functional.threshold(x, 0.1, 0.2),
    "maximum": lambda x: torch.maximum(x, Y),
    "maximum of two types": lambda x: torch.maximum(x, Y.double()),
    "clamp by NaN": lambda x: x.clamp(math.nan, 1.0),
    "minimum": lambda x: torch.minimum(x, Y),
    "equal to itself": lambda x: x == x,
    "equal to a copy": lambda x: x == x.clone(),
    "isfinite": torch.isfinite,
    "isnan": torch.isnan,
    "less or equal": lambda x: x <= 0.1,
    "greater or equal": lambda x: x >= 0.7,
    "equal": lambda x: x == 0.1,
    "different": lambda x: x != 0.3,
    "fmod": lambda x: torch.fmod(x, 0.3),
    "fmod of tensors": lambda x: torch.fmod(x, Y),
    "remainder": lambda x: x % -0.3,
    "remainder of a number": lambda x: 0.5 % x,
    "division that rounds down": lambda x: torch.div(x, 0.1, rounding_mode="floor"),
    "floor division": lambda x: x // Y,
}


class Kept(torch.nn.Module):
    """Keeps function(x) in a buffer."""

    def __init__(self, function):
        super().__init__()
        self.p = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("value", torch.zeros(len(X)))
        self.function = function

    def forward(self, x):
        self.value.copy_(self.function(x))
        return self.p * 2


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_torch_has_it(name):
    function = FUNCTIONS[name]
    model = Kept(function)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    step = plait.torch.compile(model, lambda p: p, optimizer, (X,), num_targets=0)
    step(X)
    expected = function(X).float()
    torch.testing.assert_close(
        step.state_dict()["value"], expected, rtol=1e-6, atol=1e-7, equal_nan=True
    )


#: Of these the sign of a zero is compared as well, and the gradient.
SPECIAL = torch.tensor([-math.inf, -200, -2.5, -0.5, -1e-40, -0.0, 0.0, 1e-40, 2, 1e30, math.inf, math.nan])

SIGNED = {
    "square root, as a power": lambda x: x**0.5,
    "its inverse": lambda x: x**-0.5,
    "the root of a cube": lambda x: x**1.5,
    "trunc": torch.trunc,
    "frac": torch.frac,
    "fmod by a power of two": lambda x: torch.fmod(x, 2.0),
    "remainder by a power of two": lambda x: x % -0.5,
    "elu": functional.elu,
    "sgn": torch.sgn,
}


@pytest.mark.parametrize("name", SIGNED)
def test_special_values(name):
    class Signed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.x = torch.nn.Parameter(SPECIAL.clone())
            self.register_buffer("value", torch.zeros(len(SPECIAL)))

        def forward(self, _):
            result = SIGNED[name](self.x)
            self.value.copy_(result.detach())
            return result

    model = Signed()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    step = plait.torch.compile(model, torch.sum, optimizer, (torch.zeros(1),), num_targets=0)
    step(torch.zeros(1))
    model(None).sum().backward()
    optimizer.step()
    for key, expected in model.state_dict().items():
        value = step.state_dict()[key]
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-44, equal_nan=True)
        known = ~expected.isnan()
        assert torch.equal(value.signbit()[known], expected.signbit()[known]), key


def test_a_rest_that_is_not_known_is_nan():
    """In f64 a quotient of 2**29 and more has no exact product with its divisor."""
    model = Kept(lambda x: torch.fmod(x * 0 + 1e30, 0.7))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    step = plait.torch.compile(model, lambda p: p, optimizer, (X,), num_targets=0)
    step(X)
    assert step.state_dict()["value"].isnan().all()


@pytest.mark.parametrize("how", [{"clip_grad_norm": 1.0}, {"clip_grad_value": 0.1}])
def test_clipping_keeps_a_gradient_that_is_nan(how):
    """clip_grad_norm_ makes all gradients NaN then, clip_grad_value_ that one."""
    torch.manual_seed(0)
    model, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    other.load_state_dict(model.state_dict())
    x, y = torch.tensor([[math.nan, 1.0, 2.0]]), torch.zeros(1, 2)

    def loss_fn(z, y):
        return functional.mse_loss(z[:, :1], y[:, :1])

    step = plait.torch.compile(model, loss_fn, torch.optim.SGD(model.parameters(), 0.1), (x, y), **how)
    step(x, y)
    loss_fn(other(x), y).backward()
    for option, number in how.items():
        getattr(torch.nn.utils, f"{option}_")(other.parameters(), number)
    torch.optim.SGD(other.parameters(), 0.1).step()
    for name, value in step.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], equal_nan=True)
