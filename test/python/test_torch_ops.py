# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops beside layers, compiled: three steps beside torch's own, on all weights."""

from copy import deepcopy

import pytest
from compiled_models import torch
from torch import nn
from torch.nn import functional

import plait.torch

ROWS, WIDTH = 4, 5


class Model(nn.Module):
    """A function between two layers."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, WIDTH), nn.Linear(WIDTH, 3)
        self.function = function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def resized(**options):
    return lambda x: functional.interpolate(x[None, None], **options)[0, 0, :ROWS, :WIDTH]


def written(x):
    x = x.clone()
    x.diagonal(1).mul_(2)
    return x


FUNCTIONS = {
    "diagonal": lambda x: x * x.diagonal(1).exp().sum(),
    "diagonal of a batch": lambda x: x * x[:, :4].reshape(2, 2, 4).diagonal(1, 2, 1).exp().sum(),
    "diag": lambda x: x * torch.diag(x[:, :4]).sum() + x @ torch.diag(x[0]),
    "diagonal, written": written,
    "trace": lambda x: x * x[:, :4].trace(),
    "prod of rows": lambda x: x + x.prod(1, keepdim=True),
    "prod of rows with a zero": lambda x: x + (x * torch.tensor([1.0, 1, 0, 1, 1])).prod(1, keepdim=True),
    "prod": lambda x: x + x.prod(),
    "cumsum": lambda x: x.cumsum(1) + x.cumsum(0),
    "cumsum of integers": lambda x: x * (x > 0).cumsum(1),
    "cumprod": lambda x: x.cumprod(1) + torch.cumprod(x, 0),
    "cumprod with a zero": lambda x: (x * torch.tensor([1.0, 1, 0, 1, 1])).cumprod(1),
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "unfold": lambda x: x + x.unfold(1, 3, 2).exp().sum((1, 2))[:, None],
    "nearest": resized(size=(7, 11), mode="nearest"),
    "nearest, by a factor": resized(scale_factor=1.7, mode="nearest"),
    "nearest, exact": resized(size=(9, 8), mode="nearest-exact"),
    "bilinear": resized(size=(7, 11), mode="bilinear"),
    "bilinear, corners": resized(size=(7, 11), mode="bilinear", align_corners=True),
    "bilinear, by a factor": resized(scale_factor=1.7, mode="bilinear"),
    "bicubic": resized(scale_factor=(2.3, 1.2), mode="bicubic"),
    "linear": lambda x: functional.interpolate(x[None], size=11, mode="linear")[0, :, :WIDTH],
}  # fmt: skip


def compare(model, loss_fn, x, y, **options):
    """Parameters may differ by 1e-3 of how far they move, and by rounding."""
    reference = deepcopy(model)
    start = deepcopy(model.state_dict())
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9) for m in (model, reference)]
    step = plait.torch.compile(model, loss_fn, optimizers[0], (x, y), **options)
    for _ in range(3):
        optimizers[1].zero_grad()
        loss = loss_fn(reference(x), y)
        loss.backward()
        optimizers[1].step()
        torch.testing.assert_close(step(x, y), loss.detach(), rtol=1e-5, atol=1e-6)
    result = step.state_dict()
    for name, value in reference.state_dict().items():
        moved = (value - start[name]).abs().max()
        allowed = 1e-3 * moved + 1e-6 * value.abs().max() + 1e-7
        assert (result[name] - value).abs().max() <= allowed, name


def data(seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(ROWS, 6, generator=generator)
    return x, torch.randint(0, 3, (ROWS,), generator=generator)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_op(name):
    compare(Model(FUNCTIONS[name]), functional.cross_entropy, *data())


def images(seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 5, 13, 7, generator=generator)
    return x, torch.randint(0, 3, (2,), generator=generator)


def test_adaptive_pool_of_images_with_their_channels_last():
    """torch writes the strides of its result."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(5, 4, 2), nn.Mish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    x, y = images()
    compare(model, functional.cross_entropy, x.contiguous(memory_format=torch.channels_last), y)


def test_view_of_the_gradient_of_a_padded_pool():
    """Which is a slice, before the gradient of a norm."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.GroupNorm(1, 5), nn.AvgPool2d(3, 2, 1), nn.Flatten(), nn.Linear(5 * 7 * 4, 3)
    )
    compare(model, functional.cross_entropy, *images())


@pytest.mark.parametrize(
    "loss_fn",
    [
        lambda z, y: functional.gaussian_nll_loss(z, y, torch.ones_like(z)),
        lambda z, y: functional.gaussian_nll_loss(z, y, z.exp().mean(1), full=True, reduction="sum"),
        # Some variances are bounded: of these the gradient passes.
        lambda z, y: functional.gaussian_nll_loss(z, y, z.relu() / 10, eps=1e-2),
    ],
)
def test_gaussian_nll_loss(loss_fn):
    x, _ = data()
    y = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(2))
    compare(Model(torch.tanh), loss_fn, x, y)


def test_gaussian_nll_loss_of_a_negative_variance_is_nan():
    x, y = data()[0], torch.zeros(ROWS, 3)
    model = Model(torch.tanh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = plait.torch.compile(
        model, lambda z, v: functional.gaussian_nll_loss(z, torch.zeros_like(z), v),
        optimizer, (x, y + 1),
    )  # fmt: skip
    assert torch.isfinite(step(x, y + 1))
    assert torch.isnan(step(x, y - 1))
