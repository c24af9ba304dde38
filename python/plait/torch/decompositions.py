# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decompositions that keep a traced step within upstream MLIR.

torch-mlir lowers gathers and scatters by index to its own `tm_tensor` dialect,
and a variance to tensors of f64. These forms give plain linalg instead. An
index becomes a comparison with all classes, so their cost grows with the
number of classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

# The encoding of `reduction` in aten's loss functions.
_MEAN, _SUM = 1, 2


def _is_class(target: Tensor, classes: int) -> Tensor:
    """[...] of i64 -> [..., classes] of bool: which class each target is."""
    return target.unsqueeze(-1) == torch.arange(classes, device=target.device)


def _counted(scores: Tensor, target: Tensor, ignored: int) -> Tensor:
    """The shape of scores, of bool: each row's class, unless it is ignored."""
    return _is_class(target, scores.shape[-1]) & (target != ignored).unsqueeze(-1)


def nll_loss_forward(
    scores: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """aten.nll_loss_forward: scores [N, C] or [C], target [N] or [], weight [C]."""
    counted, zero = _counted(scores, target, ignore_index), torch.zeros_like(scores)
    weights = torch.ones_like(scores) if weight is None else weight.expand_as(scores)
    # Selects and not products: 0 * -inf would be NaN.
    losses = -torch.where(counted, scores * weights, zero).sum(-1)
    total = torch.where(counted, weights, zero).sum()
    if reduction == _MEAN:
        return losses.sum() / total, total
    if reduction == _SUM:
        return losses.sum(), total
    return losses, total


def nll_loss_backward(
    grad: Tensor,
    scores: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignore_index: int,
    total: Tensor,
) -> Tensor:
    """aten.nll_loss_backward: the gradient of scores, [N, C] or [C]."""
    if reduction == _MEAN:
        grad = grad / total
    elif reduction != _SUM:
        grad = grad.unsqueeze(-1)
    slope = -grad if weight is None else -grad * weight
    counted = _counted(scores, target, ignore_index)
    return torch.where(counted, slope.expand_as(scores), torch.zeros_like(scores))


def embedding_dense_backward(
    grad: Tensor, indices: Tensor, count: int, padding: int, scale_by_frequency: bool
) -> Any:
    """aten.embedding_dense_backward: the gradient of the table, [count, D]."""
    if scale_by_frequency:
        return NotImplemented
    rows = indices.reshape(-1)
    chosen = _is_class(rows, count) & (rows != padding).unsqueeze(-1)
    return chosen.to(grad.dtype).t() @ grad.reshape(-1, grad.shape[-1])


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


def step_decompositions() -> dict[Any, Callable[..., Any]]:
    """For each op that needs one, the op in terms of others."""
    return {
        aten.nll_loss_forward.default: nll_loss_forward,
        aten.nll_loss_backward.default: nll_loss_backward,
        aten.embedding_dense_backward.default: embedding_dense_backward,
        aten.var_mean.correction: var_mean,
        aten.var.correction: var,
    }
