# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""exp, log, tanh, erf, log1p and expm1 are arithmetic in a compiled step: how exact
they are."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

import plait.torch

SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-30, -1e-30, 1e30, -1e30]

# Units in the last place of the exact value, measured and rounded up.
CASES = {
    "exp": (torch.exp, -80, 80, 2),
    "log": (torch.log, 1e-6, 1e6, 2),
    "tanh": (torch.tanh, -12, 12, 8),
    "erf": (torch.erf, -5, 5, 8),
    "log1p": (torch.log1p, -0.99, 20, 8),
    "expm1": (torch.expm1, -20, 20, 8),
}


class Probe(torch.nn.Module):
    """Its parameter's gradient is function(x)."""

    def __init__(self, function, count):
        super().__init__()
        self.p = torch.nn.Parameter(torch.zeros(count))
        self.function = function

    def forward(self, x):
        return self.p * self.function(x)


def compute(function, x):
    """`function` of x, shape [n], in a compiled step: zero less the gradient."""
    model = Probe(function, len(x))
    step = plait.torch.compile(
        model,
        lambda output, _: output.sum(),
        torch.optim.SGD(model.parameters(), lr=1.0),
        (x, torch.zeros(1)),
    )
    step(x, torch.zeros(1))
    return -step.state_dict()["p"]


@pytest.mark.parametrize("name", CASES)
def test_error_in_units_of_the_last_place(name):
    function, low, high, limit = CASES[name]
    x = torch.linspace(low, high, 100_003)
    got = compute(function, x).double()
    exact = function(x.double())
    ulp = torch.from_numpy(np.spacing(np.abs(exact.float().numpy()))).double()
    assert ((got - exact).abs() / ulp).max().item() <= limit


@pytest.mark.parametrize("name", CASES)
def test_special_values(name):
    function = CASES[name][0]
    x = torch.tensor(SPECIAL)
    torch.testing.assert_close(
        compute(function, x), function(x), rtol=1e-6, atol=1e-37, equal_nan=True
    )


@pytest.mark.parametrize("name", ["log1p", "expm1"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_numbers_keep_their_digits(name, dtype):
    """log(1 + x) and exp(x) - 1 as they are written lose x, all of it below 1e-7."""
    function = CASES[name][0]
    x = torch.logspace(-35, 1, 2000, dtype=torch.float64).to(dtype)
    x = torch.cat([x, -x * 0.09])
    exact = function(x.double()).float()
    torch.testing.assert_close(compute(function, x).float(), exact, rtol=2e-6, atol=0)


@pytest.mark.parametrize("name", ["elu", "selu", "celu"])
def test_small_numbers_keep_their_digits_in_activations(name):
    function = getattr(torch.nn.functional, name)
    x = -torch.logspace(-35, 2, 2000)
    torch.testing.assert_close(compute(function, x), function(x), rtol=2e-6, atol=0)


@pytest.mark.parametrize("name", ["asinh", "cosh", "tan", "atanh"])
def test_calls_of_the_c_library_in_a_vector_loop(name):
    """Reductions have lanes; what has no vector form is called for each of them."""
    function = getattr(torch, name)
    x = torch.linspace(-0.9, 0.9, 64)

    def total(x):
        return function(x).sum()

    torch.testing.assert_close(compute(total, x), total(x).expand(64), rtol=1e-5, atol=1e-5)
