# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions with few channels in a group, forward and both gradients, by torch's.

One step of SGD with a rate of 1: the parameters move by their gradients. The
input of the convolution is a parameter, and each output weighs by its value, so
that all three forms show.
"""

import numpy as np
import plait
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from plait.torch import export_step  # noqa: E402
from torch import nn  # noqa: E402


class Layer(nn.Module):
    def __init__(self, shape, conv):
        super().__init__()
        self.x = nn.Parameter(torch.randn(shape))
        self.conv = conv

    def forward(self, weights):
        y = self.conv(self.x)
        return (y * y * weights).sum()


def depthwise(channels, kernel, out=None, **options):
    return nn.Conv2d(channels, out or channels, kernel, groups=channels, **options)


#: The shape of the input, and the layer. Those with fewer than 32768
#: multiply-adds are not divided among threads.
CASES = {
    "plain": ((3, 8, 20, 37), lambda: depthwise(8, 3, padding=1)),
    "small": ((2, 3, 5, 4), lambda: depthwise(3, 3, padding=1)),
    "no padding": ((3, 8, 21, 19), lambda: depthwise(8, 3)),
    "uneven padding": ((2, 8, 21, 35), lambda: depthwise(8, (3, 4), padding="same")),
    "5x5": ((3, 8, 14, 14), lambda: depthwise(8, 5, padding=2)),
    "7x7": ((3, 8, 15, 17), lambda: depthwise(8, 7, padding=3, bias=False)),
    "1x5": ((3, 8, 15, 17), lambda: depthwise(8, (1, 5), padding=(0, 2))),
    "stride": ((3, 8, 28, 30), lambda: depthwise(8, 3, stride=2, padding=1)),
    "stride of an odd width": ((3, 8, 29, 33), lambda: depthwise(8, 3, stride=2, padding=1)),
    "stride 3 by 4": ((3, 8, 29, 66), lambda: depthwise(8, 5, stride=(3, 4), padding=2)),
    "stride 5": ((3, 8, 29, 66), lambda: depthwise(8, 5, stride=5, padding=2)),
    "dilation": ((3, 8, 20, 23), lambda: depthwise(8, 3, dilation=(2, 3), padding=2)),
    "stride and dilation": ((2, 8, 31, 34), lambda: depthwise(8, 3, stride=2, dilation=2)),
    "multiplier": ((3, 6, 17, 19), lambda: depthwise(6, 3, out=12, padding=1)),
    "multiplier and stride": ((3, 6, 17, 19), lambda: depthwise(6, 3, out=18, stride=2)),
    "one image": ((1, 16, 17, 33), lambda: depthwise(16, 3, padding=1)),
    "one channel": ((4, 1, 33, 31), lambda: nn.Conv2d(1, 1, 3, padding=1)),
    "many small images": ((33, 32, 7, 7), lambda: depthwise(32, 3, padding=1)),
    "large image": ((2, 2, 230, 401), lambda: depthwise(2, 3, padding=1)),
    "larger image": ((1, 2, 370, 401), lambda: depthwise(2, 3, stride=2, padding=1)),
    "groups": ((3, 12, 14, 15), lambda: nn.Conv2d(12, 8, 3, padding=1, groups=4)),
    "groups of eight": ((2, 32, 14, 14), lambda: nn.Conv2d(32, 32, 3, padding=1, groups=4)),
    "groups and stride": ((2, 8, 19, 18), lambda: nn.Conv2d(8, 16, 3, stride=2, groups=4)),
    "transposed": (
        (2, 8, 13, 15),
        lambda: nn.ConvTranspose2d(8, 8, 3, stride=2, padding=1, groups=8),
    ),
}


def check_gradients(shape, conv):
    torch.manual_seed(0)
    model = Layer(shape, conv())
    weights = torch.randn_like(model.conv(model.x))
    exported = export_step(
        model, lambda y, _: y, torch.optim.SGD(model.parameters(), lr=1.0), [weights, torch.zeros(1)]
    )
    results = []
    for threads in (1, 2):
        step = plait.CompiledStep(exported, threads=threads)
        loss = step(weights.numpy(), np.zeros(1, np.float32))
        results.append({"loss": loss, **step.state_dict()})
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name], err_msg=name)

    wide = Layer(shape, conv()).double()
    wide.load_state_dict(model.state_dict())
    loss = wide(weights.double())
    loss.backward()
    np.testing.assert_allclose(results[0]["loss"], loss.item(), rtol=1e-4)
    for name, parameter in wide.named_parameters():
        moved = parameter.detach().numpy() - results[0][name]
        expected = parameter.grad.numpy()
        allowed = 1e-5 * np.abs(expected).max() + np.spacing(np.abs(results[0][name]).max())
        assert np.abs(moved - expected).max() <= allowed, name


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    check_gradients(*CASES[case])
