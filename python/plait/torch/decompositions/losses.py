# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Negative log likelihood: the class of a row by comparison.

torch-mlir lowers the choice of a class to a gather, and its gradient to a
scatter. A comparison with all classes costs what the gradient of the scores
costs anyway. Labels outside the classes choose none: see indices.py.
"""

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



def _rows(x: Tensor) -> Tensor:
    """[N, C, *sizes] -> [N * sizes, C]."""
    return x.movedim(1, -1).reshape(-1, x.shape[1])


def nll_loss2d_forward(
    scores: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """aten.nll_loss2d_forward: scores [N, C, H, W], target [N, H, W]."""
    loss, total = nll_loss_forward(
        _rows(scores), target.reshape(-1), weight, reduction, ignore_index
    )
    return loss if loss.dim() == 0 else loss.reshape(target.shape), total


def nll_loss2d_backward(
    grad: Tensor,
    scores: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignore_index: int,
    total: Tensor,
) -> Tensor:
    """aten.nll_loss2d_backward: the gradient of scores."""
    rows = _rows(scores)
    flat = grad if grad.dim() == 0 else grad.reshape(-1)
    slope = nll_loss_backward(
        flat, rows, target.reshape(-1), weight, reduction, ignore_index, total
    )
    batch, classes, *sizes = scores.shape
    return slope.reshape(batch, *sizes, classes).movedim(-1, 1)


DECOMPOSITIONS: dict[Any, Any] = {
    aten.nll_loss_forward.default: nll_loss_forward,
    aten.nll_loss_backward.default: nll_loss_backward,
    aten.nll_loss2d_forward.default: nll_loss2d_forward,
    aten.nll_loss2d_backward.default: nll_loss2d_backward,
}
