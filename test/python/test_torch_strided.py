# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions that become products, forward and both gradients, by torch's.

Above all strided ones: the gradient of their input is a convolution for each phase
of the stride, and some phases have no tap, or no pixel.
"""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from test_torch_depthwise import check_gradients  # noqa: E402
from torch import nn  # noqa: E402

CASES = {
    "no stride": ((3, 8, 12, 13), lambda: nn.Conv2d(8, 16, 3, padding=1)),
    "large filter": ((2, 64, 5, 6), lambda: nn.Conv2d(64, 80, 3, padding=1)),
    "stride": ((3, 8, 14, 16), lambda: nn.Conv2d(8, 16, 3, stride=2, padding=1)),
    "stride without padding": ((3, 8, 14, 17), lambda: nn.Conv2d(8, 16, 3, stride=2)),
    "stride and much padding": ((2, 4, 9, 11), lambda: nn.Conv2d(4, 6, 3, stride=2, padding=3)),
    "even taps": ((2, 4, 12, 15), lambda: nn.Conv2d(4, 6, (2, 4), stride=2, padding=(0, 1))),
    "one tap": ((3, 8, 14, 15), lambda: nn.Conv2d(8, 16, 1, stride=2, bias=False)),
    "fewer taps than stride": ((2, 4, 17, 20), lambda: nn.Conv2d(4, 6, (2, 1), stride=(3, 4))),
    "patches": ((2, 3, 16, 16), lambda: nn.Conv2d(3, 32, 4, stride=4)),
    "7x7": ((2, 3, 30, 33), lambda: nn.Conv2d(3, 16, 7, stride=2, padding=3)),
    "rows only": ((2, 4, 15, 12), lambda: nn.Conv2d(4, 6, 3, stride=(2, 1), padding=1)),
    "pixels left over": ((2, 4, 13, 16), lambda: nn.Conv2d(4, 6, 3, stride=4)),
    "stride and dilation": ((2, 4, 17, 18), lambda: nn.Conv2d(4, 6, 3, stride=2, dilation=2)),
    "large filter and stride": (
        (2, 64, 8, 9),
        lambda: nn.Conv2d(64, 96, 3, stride=2, padding=1, bias=False),
    ),
    "groups and stride": (
        (2, 24, 11, 12),
        lambda: nn.Conv2d(24, 32, 3, stride=2, padding=1, groups=2),
    ),
    "few channels": ((4, 1, 16, 17), lambda: nn.Conv2d(1, 2, 3, stride=2, padding=1)),
    "one channel left": ((3, 6, 14, 14), lambda: nn.Conv2d(6, 1, 3, stride=2, padding=1)),
    "transposed": ((2, 8, 7, 9), lambda: nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1)),
    "transposed, more output": (
        (2, 8, 7, 9),
        lambda: nn.ConvTranspose2d(8, 6, 3, stride=3, padding=1, output_padding=2),
    ),
    "sequence": ((3, 8, 31), lambda: nn.Conv1d(8, 16, 4, stride=2, padding=1)),
    "volume": ((2, 3, 7, 8, 6), lambda: nn.Conv3d(3, 5, 3, stride=2, padding=1)),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    check_gradients(*CASES[case])
