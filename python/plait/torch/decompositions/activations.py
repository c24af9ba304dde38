# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Activations, and gradients of some, that torch and torch-mlir do not take apart, or
not as torch computes them."""

import torch
from torch import Tensor

aten = torch.ops.aten


def shrink_backward(grad: Tensor, x: Tensor, width: float) -> Tensor:
    """aten.{hard,soft}shrink_backward: nothing from within [-width, width]."""
    return torch.where((x >= -width) & (x <= width), grad.new_zeros(()), grad)


def elu(x: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Tensor:
    """aten.elu, which SELU is as well: exp(x) - 1 would lose a small x."""
    return torch.where(x <= 0, torch.expm1(x * input_scale) * (alpha * scale), x * scale)


DECOMPOSITIONS = {
    aten.elu.default: elu,
    aten.hardshrink_backward.default: shrink_backward,
    aten.softshrink_backward.default: shrink_backward,
}
