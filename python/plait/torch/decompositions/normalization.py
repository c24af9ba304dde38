# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Variances in the element type of their input, which torch-mlir computes in f64; the
gradient of weight norm."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def var_mean(
    x: Tensor,
    dim: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Tensor, Tensor]:
    """aten.var_mean.correction in the element type of `x`."""
    dims = [d % x.dim() for d in dim] if dim else list(range(x.dim()))
    count = 1
    for d in dims:
        count *= x.shape[d]
    mean = x.sum(dims, keepdim=True) / count
    centered = x - mean
    divisor = max(count - (1 if correction is None else correction), 0)
    var = (centered * centered).sum(dims, keepdim=True) / divisor
    return (var, mean) if keepdim else (var.squeeze(dims), mean.squeeze(dims))


def var(x: Tensor, dim: Sequence[int] | None = None, **options: Any) -> Tensor:
    """aten.var.correction in the element type of `x`."""
    return var_mean(x, dim, **options)[0]


def weight_norm_backward(
    grad: Tensor, direction: Tensor, length: Tensor, norms: Tensor, dim: int
) -> tuple[Tensor, Tensor]:
    """aten._weight_norm_interface_backward: of direction * (length / norms), with
    norms over all dimensions but `dim`."""
    dims = [d for d in range(direction.dim()) if d != dim % direction.dim()]
    sums = (grad * direction).sum(dims, keepdim=True)
    along = direction * (sums / (norms * norms))
    return (length / norms) * (grad - along), sums / norms


DECOMPOSITIONS = {
    aten._weight_norm_interface_backward.default: weight_norm_backward,
    aten.var_mean.correction: var_mean,
    aten.var.correction: var,
}
