# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Linear and cubic interpolation: along each dimension a product with a matrix of
weights, which the two sizes make, and for the gradient with its transpose. The
gradient of taking the nearest.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

aten = torch.ops.aten

#: The parameter of torch's cubic: the slope of its weights at 1.
_A = -0.75


def _place(
    f: type, out: int, size: int, count: int, corners: bool, scale: float | None
) -> Any:
    """Where among `size` elements the output's element lies, computed in the type
    `f`; with `corners`, the outermost lie on each other."""
    if corners:
        return f(out) * (f(size - 1) / f(count - 1) if count > 1 else f(0))
    step = f(1 / scale) if scale else f(size) / f(count)
    return step * (f(out) + f(0.5)) - f(0.5)


def _linear(place: Any, size: int) -> list[tuple[int, float]]:
    place = max(place, type(place)(0))
    low = min(int(place), size - 1)
    part = min(place - low, type(place)(1))
    return [(low, 1 - part), (min(low + 1, size - 1), part)]


def _cubic(place: Any, size: int) -> list[tuple[int, float]]:
    low = math.floor(place)
    part = float(place) - low
    near = [((_A + 2) * t - (_A + 3)) * t * t + 1 for t in (part, 1 - part)]
    far = [((_A * t - 5 * _A) * t + 8 * _A) * t - 4 * _A for t in (part + 1, 2 - part)]
    weights = [far[0], near[0], near[1], far[1]]
    return [(min(max(low - 1 + i, 0), size - 1), w) for i, w in enumerate(weights)]


Taps = Callable[[Any, int], list[tuple[int, float]]]


def _weights(
    taps: Taps, size: int, count: int, corners: bool, scale: float | None, like: Tensor
) -> Tensor:
    """[count, size]: how much of each element is in each of the output."""
    kind = np.float64 if like.dtype == torch.float64 else np.float32
    table = np.zeros((count, size))
    for out in range(count):
        if size == count and taps is _linear:  # whatever the scale
            table[out, out] = 1
            continue
        for index, weight in taps(_place(kind, out, size, count, corners, scale), size):
            table[out, index] += weight
    return _constant(table, like)


def _constant(table: np.ndarray, like: Tensor) -> Tensor:
    # Not by torch.tensor, which would be traced.
    return torch.from_numpy(table.astype(str(like.dtype).removeprefix("torch.")))


def _applied(x: Tensor, tables: Sequence[Tensor]) -> Tensor:
    """The last dimensions of `x` multiplied by a matrix each."""
    first = x.dim() - len(tables)
    for i, table in enumerate(tables):
        x = (x.movedim(first + i, -1) @ table.t()).movedim(-1, first + i)
    return x


def upsample(taps: Taps) -> Callable[..., Tensor]:
    """aten.upsample_{linear1d, bilinear2d, trilinear3d, bicubic2d}."""

    def form(x: Tensor, size: Sequence[int], corners: bool, *scales: float | None) -> Tensor:
        tables = _tables(taps, x.shape[2:], size, corners, scales, x)
        return _applied(x, tables)

    return form


def upsample_backward(taps: Taps) -> Callable[..., Tensor]:
    """Their gradients: grad and the sizes of both to the gradient of the input."""

    def form(
        grad: Tensor, size: Sequence[int], before: Sequence[int], corners: bool,
        *scales: float | None,
    ) -> Tensor:  # fmt: skip
        tables = _tables(taps, before[2:], size, corners, scales, grad)
        return _applied(grad, [table.t() for table in tables])

    return form


def _tables(
    taps: Taps, before: Sequence[int], after: Sequence[int], corners: bool,
    scales: Sequence[float | None], like: Tensor,
) -> list[Tensor]:  # fmt: skip
    scales = [*scales, *[None] * len(after)]
    return [
        _weights(taps, old, new, corners, scale, like)
        for old, new, scale in zip(before, after, scales)
    ]


def _nearest(size: int, count: int, scale: float | None, exact: bool) -> list[int]:
    """Which element each of the output is a copy of, as torch computes it in f32."""
    f = np.float32
    if size == count:
        return list(range(size))
    if count == 2 * size and not exact:
        return [out // 2 for out in range(count)]
    step = f(1 / scale) if scale else f(size) / f(count)
    middle = f(0.5) if exact else f(0)
    return [min(int((f(out) + middle) * step), size - 1) for out in range(count)]


def upsample_nearest_backward(exact: bool) -> Callable[..., Tensor]:
    """aten.upsample_nearest{1d, 2d, 3d}_backward; torch-mlir's has other sums where
    the sizes are no multiples."""

    def form(
        grad: Tensor, size: Sequence[int], before: Sequence[int], *scales: float | None
    ) -> Tensor:
        for dim, scale in zip(range(2, grad.dim()), [*scales, *[None] * grad.dim()]):
            small, large = before[dim], grad.shape[dim]
            source = _nearest(small, large, scale, exact)
            if large % small == 0 and source == [i * small // large for i in range(large)]:
                grad = grad.unflatten(dim, (small, large // small)).sum(dim + 1)
                continue
            table = (np.array(source) == np.arange(small)[:, None]).astype(np.float64)
            grad = (grad.movedim(dim, -1) @ _constant(table, grad).t()).movedim(-1, dim)
        return grad

    return form


DECOMPOSITIONS: dict[Any, Any] = {
    **{
        getattr(aten, f"{name}{rank}d_backward").default: upsample_nearest_backward(exact)
        for name, exact in (("upsample_nearest", False), ("_upsample_nearest_exact", True))
        for rank in (1, 2, 3)
    },
    aten.upsample_linear1d.default: upsample(_linear),
    aten.upsample_linear1d_backward.default: upsample_backward(_linear),
    aten.upsample_bilinear2d.default: upsample(_linear),
    aten.upsample_bilinear2d_backward.default: upsample_backward(_linear),
    aten.upsample_trilinear3d.default: upsample(_linear),
    aten.upsample_trilinear3d_backward.default: upsample_backward(_linear),
    aten.upsample_bicubic2d.default: upsample(_cubic),
    aten.upsample_bicubic2d_backward.default: upsample_backward(_cubic),
}
