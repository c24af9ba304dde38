# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions that torch computes by looking at values, as others that do not.

`one_hot` reads them back to refuse what is no class; as a scatter it is an index
like any other, and checked before the step. `gaussian_nll_loss` refuses a negative
variance; here its loss is NaN. The gradient of `cumprod` looks for the first zero;
that of the products it is made of needs not.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from plait.errors import UnsupportedError
from plait.torch.decompositions.running import cumprod


class WithoutValues(TorchFunctionMode):
    """While active, these functions look at no values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _FORMS.get(func, func)(*args, **(kwargs or {}))


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 1:
        raise UnsupportedError(
            "one_hot takes the number of classes from the values: give it num_classes="
        )
    zeros = torch.zeros(*tensor.shape, num_classes, dtype=torch.int64)
    return zeros.scatter(-1, tensor.unsqueeze(-1), 1)


def _gaussian_nll_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    # The sizes have been looked at: the loss has run before it is traced.
    if not isinstance(var, Tensor):
        var = var * torch.ones_like(input)
    if var.shape != input.shape and var.shape == input.shape[:-1]:
        var = var.unsqueeze(-1)
    var = torch.where(var < 0, math.nan, var)
    with torch.no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (torch.log(var) + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return {"mean": loss.mean, "sum": loss.sum, "none": lambda: loss}[reduction]()


_FORMS: dict[Any, Callable[..., Any]] = {
    functional.one_hot: _one_hot,
    functional.gaussian_nll_loss: _gaussian_nll_loss,
    torch.cumprod: cumprod,
    torch.Tensor.cumprod: cumprod,
}
