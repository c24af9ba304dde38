# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradients of activations that neither torch nor torch-mlir takes apart."""

import torch
from torch import Tensor

aten = torch.ops.aten


def shrink_backward(grad: Tensor, x: Tensor, width: float) -> Tensor:
    """aten.{hard,soft}shrink_backward: nothing from within [-width, width]."""
    return torch.where((x >= -width) & (x <= width), grad.new_zeros(()), grad)


DECOMPOSITIONS = {
    aten.hardshrink_backward.default: shrink_backward,
    aten.softshrink_backward.default: shrink_backward,
}
