# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models drawn at random, of odd sizes, three steps of each beside torch: layers
in an order that no other test has."""

import random

import pytest
from compiled_models import SCHEDULES, torch
from test_torch_ops import compare
from torch import nn
from torch.nn import functional

LABELS = 4


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class First(nn.Module):
    """The first result of a layer that gives several."""

    def __init__(self, layer, **options):
        super().__init__()
        self.layer, self.options = layer, options

    def forward(self, x):
        several = (x,) * 3 if isinstance(self.layer, nn.MultiheadAttention) else (x,)
        return self.layer(*several, **self.options)[0]


def activation(pick):
    return pick([nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Mish, nn.LeakyReLU, nn.ELU, nn.Softplus])()


def image_layer(pick, channels):
    """A layer for [N, channels, H, W]."""
    return pick([
        lambda: nn.Conv2d(
            channels, pick([3, 5]), pick([1, 2, 3]), stride=pick([1, 1, 2]), padding=pick([0, 1, 2]),
            dilation=pick([1, 1, 2]), padding_mode=pick(["zeros", "zeros", "reflect", "circular"]),
        ),
        lambda: nn.Conv2d(channels, 2 * channels, 3, groups=channels, padding=1),
        lambda: nn.ConvTranspose2d(channels, pick([2, 5]), pick([2, 3]), stride=pick([1, 2])),
        lambda: nn.BatchNorm2d(channels),
        lambda: nn.GroupNorm(pick([1, channels]), channels),
        lambda: nn.InstanceNorm2d(channels, affine=True),
        lambda: pick([nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 2, 1)]),
        lambda: nn.Upsample(scale_factor=1.5, mode=pick(["nearest", "bilinear", "bicubic"])),
        lambda: Residual(nn.Conv2d(channels, channels, 3, padding=1, bias=False)),
        lambda: activation(pick),
    ])()  # fmt: skip


def sequence_layer(pick, width):
    """A layer for [N, T, width]."""
    heads = pick([n for n in (1, 2, 3) if width % n == 0])
    return pick([
        lambda: First(pick([nn.LSTM, nn.GRU, nn.RNN])(
            width, pick([3, 5]), pick([1, 2]), batch_first=True, bidirectional=pick([True, False])
        )),
        lambda: Residual(First(nn.MultiheadAttention(width, heads, batch_first=True), need_weights=False)),
        lambda: nn.TransformerEncoderLayer(
            width, heads, 2 * width, 0.0, pick(["relu", "gelu"]), batch_first=True,
            norm_first=pick([True, False]),
        ),
        lambda: pick([nn.LayerNorm, nn.RMSNorm])(width),
        lambda: nn.Sequential(nn.Linear(width, 2 * width), nn.GLU()),
        lambda: Residual(nn.Sequential(nn.Linear(width, 2 * width), activation(pick), nn.Linear(2 * width, width))),
    ])()  # fmt: skip


def drawn(seed):
    """A model, and what it is called with."""
    pick = random.Random(seed).choice
    torch.manual_seed(seed)
    images = seed % 2 == 1
    shape = [pick([1, 2, 3, 5]), pick([1, 3, 5]), pick([7, 11]), pick([7, 9, 13])]
    x = torch.randn(shape if images else [shape[0], pick([1, 5, 7]), pick([4, 6, 12])])
    layers, now = [], x
    while len(layers) < 4:
        layer = image_layer(pick, now.shape[1]) if images else sequence_layer(pick, now.shape[2])
        try:
            after = layer(now).detach()
        except (RuntimeError, ValueError):  # too small, or nothing to normalize over
            continue
        if after.shape[-1] < 25:
            layers.append(layer)
            now = after
    layers += [nn.AdaptiveAvgPool2d(pick([1, (2, 3)]))] if images else []
    features = nn.Sequential(*layers, nn.Flatten())
    model = nn.Sequential(features, nn.Linear(features(x).shape[1], LABELS))
    if pick([True, False]):
        x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    return model, x, pick


@pytest.mark.parametrize("seed", range(24))
def test_model(seed):
    model, x, pick = drawn(seed)
    loss_fn, y = pick([
        (functional.cross_entropy, torch.randint(0, LABELS, (len(x),))),
        (functional.mse_loss, torch.randn(len(x), LABELS)),
        (functional.binary_cross_entropy_with_logits, torch.rand(len(x), LABELS)),
    ])  # fmt: skip
    compare(model, loss_fn, x, y, schedule=SCHEDULES[seed % 3])
