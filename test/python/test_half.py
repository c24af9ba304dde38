# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Half precision inside of a step: every op rounds as torch's does."""

import pytest
import torch
from test_math import compute
from torch.nn import functional as F

ROWS = 60
COUNT = torch.arange(1, ROWS * ROWS + 1).reshape(ROWS, ROWS)
DTYPES = [torch.bfloat16, torch.float16]

#: Of a and b, in half precision.
EXACT = {
    "add": lambda a, b: a + b,
    "chain": lambda a, b: (a + b) * b / (a - 0.3),
    "scalars": lambda a, b: a * 0.1 + 1.7 - 0.3 / b,
    "scalar tensors": lambda a, b: a * torch.tensor(0.1) + torch.tensor(1.7),
    "numbers as they are": lambda a, b: a * 0.1 / 0.7,
    "scalars first": lambda a, b: 0.3 / a - 1.7 * (0.3 - b),
    "integer tensors": lambda a, b: a * COUNT + b / COUNT - COUNT,
    "half of a number": lambda a, b: (b * 0 + 0.3 <= 0.3) * a,
    "pow": lambda a, b: a**2 - a**3 + (a.abs() + 1) ** -2,
    "pow of a scalar": lambda a, b: a.abs() ** 0.5,
    "compare": lambda a, b: torch.where(a * b < b, a, b).clamp(min=-0.3),
    "maximum": lambda a, b: torch.maximum(a + b, b).neg(),
    "square root": lambda a, b: (a.abs() + 1).sqrt().reciprocal(),
    "mse": lambda a, b: F.mse_loss(a, b, reduction="none"),
    "mse, its gradient": lambda a, b: torch.ops.aten.mse_loss_backward(a, a, b, 1),
    "integers": lambda a, b: (a * 100).to(torch.int64).to(a.dtype) + b,
    "views": lambda a, b: torch.cat([a.T, b.T]).T[:, ::2].repeat(1, 2) * b[:, :1],
    "largest": lambda a, b: a.amax(-1, keepdim=True) * b,
}

#: The order of a sum is not torch's, and functions are within some units in the
#: last place of float32: a number at the middle of two may go to the other one.
NEAR = {
    "scaled add": lambda a, b: torch.add(a, b, alpha=0.7),
    "sum": lambda a, b: a.sum(0) * b,
    "mean": lambda a, b: a.mean(-1, keepdim=True) * b,
    "norm": lambda a, b: b / (20 * a).norm(),
    "power": lambda a, b: a.abs() ** 0.7,
    "exp": lambda a, b: torch.exp(a + b),
    "sigmoid": lambda a, b: torch.sigmoid(a) * b,
    "gelu": lambda a, b: F.gelu(a),
    "softmax": lambda a, b: torch.softmax(a, -1) - b,
    "product": lambda a, b: (a @ b.T) @ a,
    "scaled product": lambda a, b: torch.addmm(a, a, b, beta=0.4, alpha=0.3),
    "layer norm": lambda a, b: F.layer_norm(a, a.shape[-1:]) * b,
}


def both(function, dtype, scale=1.0):
    """The function's results in a compiled step and in torch, as half precision."""

    def whole(x):
        a, b = (scale * x).reshape(2, ROWS, ROWS).to(dtype)
        return function(a, b).float().reshape(-1)

    x = torch.randn(2 * ROWS * ROWS, generator=torch.Generator().manual_seed(0))
    expected = whole(x)
    # compute() wants as many results as there are numbers.
    repeated = lambda x: F.pad(whole(x), (0, len(x) - len(expected)))  # noqa: E731
    return compute(repeated, x)[: len(expected)].to(dtype), expected.to(dtype)


def ordered(value):
    """Integers whose difference is how many numbers lie between."""
    bits = value.view(torch.int16).int()
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_bits(name, dtype):
    got, expected = both(EXACT[name], dtype)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NEAR)
def test_nearest_or_its_neighbour(name, dtype):
    got, expected = both(NEAR[name], dtype)
    apart = (ordered(got) - ordered(expected)).abs()
    assert apart.float().mean() < 0.02
    assert apart.max() <= 1 or (got - expected).abs().max() <= 2e-2 * expected.abs().max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_without_end(dtype):
    """Infinities, NaN, and what overflows and underflows in between."""
    got, expected = both(lambda a, b: a * b * b / a, dtype, scale=1e20)
    torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)
    got, expected = both(lambda a, b: a * b * b, dtype, scale=1e-13)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_float64_by_way_of_float32(dtype):
    """As torch converts: a number next to the middle of two is rounded twice."""
    middle = 1 + torch.finfo(dtype).eps / 2

    def near(x):
        return (middle + (x.double() - 0.5) * 1e-12).to(dtype).float()

    x = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    assert (near(x) == 1).all()
    assert torch.equal(compute(near, x), near(x))
