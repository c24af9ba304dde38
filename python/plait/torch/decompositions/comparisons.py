# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Comparisons, and what chooses by them, as torch has it of NaN and of numbers.

torch-mlir bounds a NaN to a number, takes a tensor for equal to itself, and
compares an f32 with a number in f64, where 0.1 is another number than the 0.1 of
the tensor. torch keeps the NaN, and rounds the number first.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

aten = torch.ops.aten


_ROUND: dict[torch.dtype, Callable[[float], Any]] = {
    torch.float32: np.float32,
    torch.float64: np.float64,
}


def rounded(number: float, like: Tensor) -> float:
    """A number as an element of `like` has it."""
    # Not by torch.tensor, which would be traced.
    return float(_ROUND[like.dtype](number))


def compared(compare: Callable[[Any, Any], Tensor]) -> Callable[..., Tensor]:
    """aten.{lt, le, gt, ge, eq, ne}.Scalar."""

    def form(x: Tensor, number: float) -> Tensor:
        if x.dtype not in _ROUND:
            return NotImplemented
        # As a tensor, which is not decomposed again.
        return compare(x, x.new_full((), rounded(number, x)))

    return form


def equal(x: Tensor, y: Tensor) -> Tensor:
    """aten.eq.Tensor: a NaN differs from itself."""
    if not (x.is_floating_point() and y.is_floating_point()):
        return NotImplemented
    return torch.logical_not(x != y)


def isfinite(x: Tensor) -> Tensor:
    """aten.isfinite."""
    if not x.is_floating_point():
        return torch.ones_like(x, dtype=torch.bool)
    return torch.logical_not((x != x) | (x.abs() == x.new_full((), torch.inf)))


def bounded(
    x: Tensor, low: float | Tensor | None = None, high: float | Tensor | None = None
) -> Tensor:
    """aten.clamp, clamp_min, clamp_max and hardtanh; the upper bound has the last word."""
    bounds = [bound for bound in (low, high) if bound is not None]
    if x.dtype not in _ROUND or any(isinstance(b, Tensor) and b.dtype != x.dtype for b in bounds):
        return NotImplemented
    if any(not isinstance(b, Tensor) and math.isnan(b) for b in bounds):
        return torch.full_like(x, math.nan)
    for bound, passes in ((low, operator.lt), (high, operator.gt)):
        if bound is None:
            continue
        if isinstance(bound, Tensor):
            # A bound that is NaN makes the result one.
            x = torch.where(passes(x, bound) | (bound != bound), bound, x)
        else:
            value = x.new_full((), rounded(bound, x))
            x = torch.where(passes(x, value), value, x)
    return x


def bounded_above(x: Tensor, high: float | Tensor) -> Tensor:
    return bounded(x, None, high)


def hardtanh(x: Tensor, low: float = -1.0, high: float = 1.0) -> Tensor:
    return bounded(x, low, high)


def hardsigmoid(x: Tensor) -> Tensor:
    return bounded(x + 3, 0.0, 6.0) / 6


def extreme(passes: Callable[[Any, Any], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """aten.maximum and minimum: of a NaN and a number, the NaN."""

    def form(x: Tensor, y: Tensor) -> Tensor:
        dtype = torch.promote_types(x.dtype, y.dtype)
        if dtype not in _ROUND:
            return NotImplemented
        x, y = x.to(dtype), y.to(dtype)
        return torch.where(passes(x, y) | (x != x), x, y)

    return form


def threshold(x: Tensor, bound: float, value: float) -> Tensor:
    """aten.threshold."""
    return torch.where(x <= bound, x.new_full((), value), x)


def hardshrink(x: Tensor, width: float = 0.5) -> Tensor:
    """aten.hardshrink: zero within [-width, width]."""
    return torch.where((x >= -width) & (x <= width), x.new_zeros(()), x)


def softshrink(x: Tensor, width: float = 0.5) -> Tensor:
    """aten.softshrink."""
    inner = torch.where(x < -width, x + width, x * 0)
    return torch.where(x > width, x - width, inner)


def fmod(x: Tensor, y: float | Tensor) -> Tensor:
    """aten.fmod of f32, exact where the quotient is below 2**29: in f64 its product
    with y is. (x / y in f32 may round up to the next integer, and the rest is 0.)
    Elsewhere NaN, not a wrong number."""
    if x.dtype != torch.float32 or (isinstance(y, Tensor) and y.dtype != torch.float32):
        return NotImplemented
    numerator = x.to(torch.float64)
    if isinstance(y, Tensor):
        divisor = y.to(torch.float64)
    else:
        divisor = numerator.new_full((), rounded(y, x))
    # A quotient of infinities is none, but a finite x is its own rest.
    quotient = numerator / divisor
    rest = numerator - torch.trunc(quotient) * divisor
    # By a power of two it is exact as well, of whatever size.
    if isinstance(y, Tensor) or math.frexp(rounded(y, x))[0] not in (0.5, -0.5):
        rest = torch.where(quotient.abs() < 2.0**29, rest, math.nan)
    rest = torch.where(rest == 0, numerator * 0, rest)  # of the sign of x
    finite = (numerator.abs() != torch.inf) & (divisor.abs() == torch.inf)
    return torch.where(finite, numerator, rest).to(torch.float32)


def trunc(x: Tensor) -> Tensor:
    """aten.trunc, with the sign of zero."""
    return torch.where(x < 0, torch.ceil(x), torch.floor(x))


def remainder(x: Tensor, y: float | Tensor) -> Tensor:
    """aten.remainder of f32: the rest has the sign of y."""
    rest = fmod(x, y)
    if rest is NotImplemented:
        return NotImplemented
    divisor = y if isinstance(y, Tensor) else x.new_full((), rounded(y, x))
    return torch.where((rest != 0) & ((divisor < 0) != (rest < 0)), rest + divisor, rest)


def remainder_of_number(number: float, y: Tensor) -> Tensor:
    """aten.remainder of a number by a tensor of f32."""
    if y.dtype != torch.float32:
        return NotImplemented
    return remainder(torch.full_like(y, rounded(number, y)), y)


def divide(x: Tensor, y: float | Tensor, *, rounding_mode: str | None = None) -> Tensor:
    """aten.div with rounding_mode="floor" of f32, as Python has it: 1 // 0.1 is 9."""
    rest = fmod(x, y) if rounding_mode == "floor" else NotImplemented
    if rest is NotImplemented:
        return NotImplemented
    divisor = y if isinstance(y, Tensor) else x.new_full((), rounded(y, x))
    quotient = (x - rest) / divisor
    quotient = torch.where((rest != 0) & ((divisor < 0) != (rest < 0)), quotient - 1, quotient)
    whole = torch.floor(quotient)
    whole = torch.where(quotient - whole > 0.5, whole + 1, whole)
    return torch.where(divisor == 0, x / divisor, whole)


def floor_divide(x: Tensor, y: float | Tensor) -> Tensor:
    return divide(x, y, rounding_mode="floor")


DECOMPOSITIONS = {
    aten.div.Scalar_mode: divide,
    aten.div.Tensor_mode: divide,
    aten.floor_divide.default: floor_divide,
    aten.floor_divide.Scalar: floor_divide,
    aten.fmod.Scalar: fmod,
    aten.fmod.Tensor: fmod,
    aten.remainder.Scalar: remainder,
    aten.remainder.Scalar_Tensor: remainder_of_number,
    aten.remainder.Tensor: remainder,
    **{
        getattr(aten, name).Scalar: compared(getattr(operator, name))
        for name in ("lt", "le", "gt", "ge", "eq", "ne")
    },
    aten.eq.Tensor: equal,
    aten.isfinite.default: isfinite,
    aten.clamp.default: bounded,
    aten.clamp.Tensor: bounded,
    aten.clamp_min.default: bounded,
    aten.clamp_min.Tensor: bounded,
    aten.clamp_max.default: bounded_above,
    aten.clamp_max.Tensor: bounded_above,
    aten.hardtanh.default: hardtanh,
    aten.hardsigmoid.default: hardsigmoid,
    aten.maximum.default: extreme(operator.gt),
    aten.minimum.default: extreme(operator.lt),
    aten.trunc.default: trunc,
    aten.threshold.default: threshold,
    aten.hardshrink.default: hardshrink,
    aten.softshrink.default: softshrink,
}
