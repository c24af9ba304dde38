# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running sums and products along a dimension, by doubling; the gradient of a
product is made of these as well.

After k rounds an element has the 2**k elements up to it: log2(n) passes over the
tensor, where one loop would be n dependent steps.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def running(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Any]:
    """aten.cumsum, cumprod and logcumsumexp."""

    def form(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Any:
        if dtype is None and not x.is_floating_point():
            dtype = torch.int64
        x = x.to(dtype or x.dtype)
        if x.dim() == 0:
            return x.clone()
        size, reach = x.shape[dim], 1
        while reach < size:
            head = aten.slice.Tensor(x, dim, 0, reach)
            before = aten.slice.Tensor(x, dim, 0, size - reach)
            x = torch.cat([head, combine(before, aten.slice.Tensor(x, dim, reach, size))], dim)
            reach *= 2
        return x.clone()

    return form


def log_add_exp(x: Tensor, y: Tensor) -> Tensor:
    """log(exp(x) + exp(y)); of equal infinities, these."""
    larger, smaller = torch.maximum(x, y), torch.minimum(x, y)
    same = (larger == smaller) & (larger.abs() == torch.inf)
    return torch.where(same, larger, larger + torch.log1p(torch.exp(smaller - larger)))


cumprod = running(operator.mul)

DECOMPOSITIONS = {
    aten.cumsum.default: running(operator.add),
    aten.cumprod.default: cumprod,
    aten.logcumsumexp.default: running(log_add_exp),
}
