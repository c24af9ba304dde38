# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""exp, log, tanh and erf are polynomials in a compiled step: how exact they are."""

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
