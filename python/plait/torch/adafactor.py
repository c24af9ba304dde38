# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Adafactor's arithmetic on tensors.

torch 2.13 reads the step, norms and step sizes back as Python numbers. This is
torch.optim._adafactor._single_tensor_adafactor, line for line, with tensors of
one element in their place.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import _adafactor


def _adafactor_on_tensors(
    params: list[Tensor],
    grads: list[Tensor],
    row_vars: list[Any],
    col_vars: list[Any],
    variances: list[Any],
    state_steps: list[Tensor],
    grad_scale: Tensor | None,
    found_inf: Tensor | None,
    *,
    d: float,
    lr: Tensor | float,
    beta2_decay: float,
    weight_decay: float,
    eps1: float | None,
    eps2: float,
    maximize: bool,
    **_: Any,
) -> None:
    assert grad_scale is None and found_inf is None
    for i, param in enumerate(params):
        grad = grads[i] if not maximize else -grads[i]
        step, row_var, col_var = state_steps[i], row_vars[i], col_vars[i]
        if eps1 is None:
            eps1 = torch.finfo(param.dtype).eps
        step += 1
        one_minus_beta2 = step**beta2_decay
        rate = torch.as_tensor(lr, dtype=torch.float32)
        rho = torch.minimum(rate, step**-0.5)
        alpha = (param.norm(2) / param.numel() ** 0.5).clamp(min=eps2) * rho
        if weight_decay != 0:
            param.mul_(1 - rate * weight_decay)
        if grad.dim() > 1:
            row_var.lerp_((grad * grad).mean(-1, keepdim=True), one_minus_beta2)
            col_var.lerp_((grad * grad).mean(-2, keepdim=True), one_minus_beta2)
            estimate = row_var @ col_var
            estimate = estimate / row_var.mean(-2, keepdim=True).clamp(min=eps1)
        else:
            variances[i].lerp_(grad * grad, one_minus_beta2)
            estimate = variances[i]
        change = estimate.clamp(min=eps1 * eps1).rsqrt() * grad
        denominator = (change.norm(2) / (change.numel() ** 0.5 * d)).clamp(min=1.0)
        param.sub_(change * (alpha / denominator))


#: What to put in the place of torch's while a step is traced.
REPLACED = [(_adafactor, "_single_tensor_adafactor", _adafactor_on_tensors)]
