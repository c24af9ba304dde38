# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Activations, and gradients of some, that torch and torch-mlir do not take apart, or
not as torch computes them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def shrink_backward(grad: Tensor, x: Tensor, width: float) -> Tensor:
    """aten.{hard,soft}shrink_backward: nothing from within [-width, width]."""
    return torch.where((x >= -width) & (x <= width), grad.new_zeros(()), grad)


def elu(x: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Tensor:
    """aten.elu, which SELU is as well: exp(x) - 1 would lose a small x."""
    return torch.where(x <= 0, torch.expm1(x * input_scale) * (alpha * scale), x * scale)


def power(x: Tensor, exponent: float) -> Any:
    """aten.pow by one half: torch takes roots, as of -inf and -0 the power is not."""
    if not x.is_floating_point() or exponent not in (0.5, -0.5):
        return NotImplemented
    return torch.sqrt(x) if exponent > 0 else torch.rsqrt(x)


def zeros(size: Sequence[int], **options: Any) -> Tensor:
    """aten._efficientzerotensor: the gradient of sgn."""
    return torch.zeros(size, **options)


DECOMPOSITIONS = {
    aten._efficientzerotensor.default: zeros,
    aten.pow.Tensor_Scalar: power,
    aten.elu.default: elu,
    aten.hardshrink_backward.default: shrink_backward,
    aten.softshrink_backward.default: shrink_backward,
}
