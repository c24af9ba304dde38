# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Variances in the element type of their input: torch-mlir computes in f64."""

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


DECOMPOSITIONS = {
    aten.var_mean.correction: var_mean,
    aten.var.correction: var,
}
