# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Max, average and adaptive pooling, and their gradients.

A window is taken apart: for each offset in the kernel, a strided slice of the
input holds that element of every window. So a forward pass is elementwise over
slices, one dimension after the other, and a backward pass adds to slices;
windows may overlap. Windows that tile the input need no slices.

All work on the last dimensions, whatever comes before them.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from plait.torch.decompositions.geometry import (
    add_every,
    as_list,
    every,
    pad,
    window_count,
)

aten = torch.ops.aten


class Windows:
    """The windows of a pooling op over the last dimensions of a tensor.

    Attributes:
        lead: the other dimensions.
        sizes: the last dimensions.
        counts: how many windows there are in each of them.
    """

    def __init__(
        self, x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
        dilation: Sequence[int] = (1,), ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        rank = len(kernel)
        self.lead, self.sizes = list(x.shape[:-rank]), list(x.shape[-rank:])
        self.kernel = list(kernel)
        self.stride = as_list(stride, rank) if len(stride) else self.kernel
        self.padding = as_list(padding, rank)
        self.dilation = as_list(dilation, rank)
        shape = zip(self.sizes, self.kernel, self.stride, self.padding, self.dilation)
        self.counts = [window_count(*dim, ceil_mode) for dim in shape]
        self.dims = list(range(-rank, 0))
        self.device = x.device

    def reach(self, i: int) -> int:
        """How far the windows reach in dimension i, from the left padding on."""
        return (self.counts[i] - 1) * self.stride[i] + self.dilation[i] * (self.kernel[i] - 1) + 1

    def padded(self, x: Tensor, i: int, value: float) -> Tensor:
        """The input with the padding of dimension i, as far as the windows reach."""
        right = self.reach(i) - self.sizes[i] - self.padding[i]
        return pad(x, self.dims[i], self.padding[i], right, value)

    def unpadded(self, x: Tensor, i: int) -> Tensor:
        """The input's part of what `padded` gave; zeros where that cut."""
        right = self.sizes[i] + self.padding[i] - self.reach(i)
        return pad(x, self.dims[i], -self.padding[i], right)

    def elements(self, padded: Tensor, i: int, offset: int) -> Tensor:
        """What lies at `offset` of each window, along dimension i."""
        start = offset * self.dilation[i]
        return every(padded, self.dims[i], start, self.counts[i], self.stride[i])

    def places(self, i: int, offset: int) -> Tensor:
        """Where in the input that is, broadcast against windows."""
        start = offset * self.dilation[i] - self.padding[i]
        place = torch.arange(self.counts[i], device=self.device) * self.stride[i] + start
        return place.reshape(-1, *[1] * (len(self.dims) - 1 - i))

    def pitch(self, i: int) -> int:
        """How far apart neighbours in dimension i are in the flattened input."""
        pitch = 1
        for size in self.sizes[i + 1 :]:
            pitch *= size
        return pitch

    def tile(self) -> bool:
        """Windows that neither overlap, nor reach outside the input."""
        inside = all(self.reach(i) <= size for i, size in enumerate(self.sizes))
        plain = set(self.padding) == {0} and set(self.dilation) == {1}
        return plain and inside and self.kernel == self.stride

    def apart(self, x: Tensor) -> Tensor:
        """Windows that tile, [*lead, count, kernel, count, kernel, ...]."""
        for i in range(len(self.dims)):
            x = self.padded(x, i, 0.0)
        split = [n for pair in zip(self.counts, self.kernel) for n in pair]
        return x.reshape(*x.shape[: x.dim() - len(self.dims)], *split)

    def together(self, x: Tensor) -> Tensor:
        """The inverse of `apart`, with zeros where that cut."""
        x = x.reshape(*self.lead, *(n * k for n, k in zip(self.counts, self.kernel)))
        for i in range(len(self.dims)):
            x = self.unpadded(x, i)
        return x

    def alike(self, x: Tensor) -> Tensor:
        """A value for each window, to be broadcast against `apart`."""
        return x.reshape(*self.lead, *(n for count in self.counts for n in (count, 1)))


def _max_pool(x: Tensor, windows: Windows) -> tuple[Tensor, Tensor]:
    """The maximum of each window, and its index into the flattened input."""
    best, index = x, torch.zeros_like(x, dtype=torch.int64)
    # The last dimension first: of equal values, the first in row-major order
    # wins then, as in torch.
    for i in reversed(range(len(windows.dims))):
        values, indices = windows.padded(best, i, -torch.inf), windows.padded(index, i, 0)
        pitch = windows.pitch(i)
        best = None
        for offset in range(windows.kernel[i]):
            value = windows.elements(values, i, offset)
            place = windows.elements(indices, i, offset) + windows.places(i, offset) * pitch
            if best is None:
                best, index = value, place
                continue
            # A NaN wins over any number. Padding must lose against -inf.
            better = (value > best) | (value != value)
            if windows.padding[i]:
                better = better | (windows.places(i, offset - 1) < 0)
            best, index = torch.where(better, value, best), torch.where(better, place, index)
    return best, index


def _max_pool_backward(grad: Tensor, index: Tensor, windows: Windows) -> Tensor:
    zero = grad.new_zeros(())
    rank = len(windows.dims)
    if windows.tile():
        count = windows.sizes[0] * windows.pitch(0)
        where = torch.arange(count, device=grad.device).reshape(windows.sizes)
        chosen = windows.alike(index) == windows.apart(where)
        return windows.together(torch.where(chosen, windows.alike(grad), zero))
    result = grad.new_zeros([*windows.lead, *(windows.reach(i) for i in range(rank))])
    for offset in itertools.product(*map(range, windows.kernel)):
        place = sum(windows.places(i, offset[i]) * windows.pitch(i) for i in range(rank))
        chosen = torch.where(index == place, grad, zero)
        result = _add_at(result, windows, offset, 0, chosen)
    for i in range(rank):
        result = windows.unpadded(result, i)
    return result


def _add_at(x: Tensor, windows: Windows, offset: Sequence[int], i: int, what: Tensor) -> Tensor:
    """`x` with `what` added to the elements at `offset` of the windows, along
    dimension i and those behind it."""
    start = offset[i] * windows.dilation[i]
    dim, step = windows.dims[i], windows.stride[i]
    if i == len(offset) - 1:
        return add_every(x, dim, start, step, what)
    inner = _add_at(every(x, dim, start, windows.counts[i], step), windows, offset, i + 1, what)
    end = start + (windows.counts[i] - 1) * step + 1
    return aten.slice_scatter(x, inner, dim, start, end, step)


def max_pool_with_indices(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int] = (), padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,), ceil_mode: bool = False, *, rank: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """aten.max_pool{2,3}d_with_indices."""
    return _max_pool(x, Windows(x, as_list(kernel, rank), stride, padding, dilation, ceil_mode))


def max_pool_with_indices_backward(
    grad: Tensor, x: Tensor, kernel: Sequence[int], stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], ceil_mode: bool, index: Tensor, *, rank: int,
) -> Tensor:  # fmt: skip
    """aten.max_pool{2,3}d_with_indices_backward."""
    windows = Windows(x, as_list(kernel, rank), stride, padding, dilation, ceil_mode)
    return _max_pool_backward(grad, index, windows)


def _divisors(
    windows: Windows, x: Tensor, include_padding: bool, override: int | None
) -> Tensor | int:
    """How many elements the mean of each window is over; [*counts] or one number."""
    if override is not None:
        return override
    result: Any = 1
    for i, size in enumerate(windows.sizes):
        start = windows.places(i, 0)
        end = start + windows.kernel[i]
        # The padding of ceil mode never counts.
        end = end.clamp(max=size + (windows.padding[i] if include_padding else 0))
        if not include_padding:
            start = start.clamp(min=0)
        result = result * (end - start)
    return result.to(x.dtype)


def avg_pool(
    x: Tensor, kernel: Sequence[int], stride: Sequence[int] = (), padding: Sequence[int] = (0,),
    ceil_mode: bool = False, include_padding: bool = True, override: int | None = None, *,
    rank: int,
) -> Tensor:  # fmt: skip
    """aten.avg_pool{2,3}d."""
    windows = Windows(x, as_list(kernel, rank), stride, padding, (1,), ceil_mode)
    divisors = _divisors(windows, x, include_padding, override)
    if windows.tile():
        first = len(windows.lead)
        return windows.apart(x).sum([first + 2 * i + 1 for i in range(rank)]) / divisors
    for i in range(rank):
        padded = windows.padded(x, i, 0.0)
        x = windows.elements(padded, i, 0)
        for offset in range(1, windows.kernel[i]):
            x = x + windows.elements(padded, i, offset)
    return x / divisors


def avg_pool_backward(
    grad: Tensor, x: Tensor, kernel: Sequence[int], stride: Sequence[int],
    padding: Sequence[int], ceil_mode: bool, include_padding: bool, override: int | None, *,
    rank: int,
) -> Tensor:  # fmt: skip
    """aten.avg_pool{2,3}d_backward."""
    windows = Windows(x, as_list(kernel, rank), stride, padding, (1,), ceil_mode)
    grad = grad / _divisors(windows, x, include_padding, override)
    if windows.tile():
        covered = [n for pair in zip(windows.counts, windows.kernel) for n in pair]
        return windows.together(windows.alike(grad).expand(*windows.lead, *covered))
    for i, dim in enumerate(windows.dims):
        shape = list(grad.shape)
        shape[dim] = windows.reach(i)
        result = grad.new_zeros(shape)
        for offset in range(windows.kernel[i]):
            result = add_every(result, dim, offset, windows.stride[i], grad)
        grad = windows.unpadded(result, i)
    return grad


def _adaptive_kernel(sizes: Sequence[int], counts: Sequence[int]) -> list[int] | None:
    """The window of an adaptive pooling whose windows are all of one size."""
    if any(size % count for size, count in zip(sizes, counts)):
        return None
    return [size // count for size, count in zip(sizes, counts)]


def _bounds(size: int, count: int) -> list[tuple[int, int]]:
    """The windows of adaptive pooling along one dimension; they may overlap."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _averages(x: Tensor, size: int, count: int) -> Tensor:
    """The matrix [count, size] that takes the mean of each adaptive window."""
    window = torch.arange(count, device=x.device).unsqueeze(1)
    start, end = window * size // count, ((window + 1) * size + count - 1) // count
    place = torch.arange(size, device=x.device)
    inside = (place >= start) & (place < end)
    return inside.to(x.dtype) / (end - start).to(x.dtype)


def adaptive_avg_pool(x: Tensor, counts: Sequence[int]) -> Tensor:
    """aten._adaptive_avg_pool2d."""
    kernel = _adaptive_kernel(x.shape[-2:], counts)
    if kernel is not None:
        return avg_pool(x, kernel, rank=2)
    rows, cols = (_averages(x, size, count) for size, count in zip(x.shape[-2:], counts))
    return rows @ (x @ cols.t())


def adaptive_avg_pool_backward(grad: Tensor, x: Tensor) -> Tensor:
    """aten._adaptive_avg_pool2d_backward."""
    counts = grad.shape[-2:]
    kernel = _adaptive_kernel(x.shape[-2:], counts)
    if kernel is not None:
        return avg_pool_backward(grad, x, kernel, kernel, [0], False, True, None, rank=2)
    rows, cols = (_averages(x, size, count) for size, count in zip(x.shape[-2:], counts))
    return rows.t() @ (grad @ cols)


def adaptive_max_pool(x: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
    """aten.adaptive_max_pool2d."""
    kernel = _adaptive_kernel(x.shape[-2:], counts)
    if kernel is not None:
        return _max_pool(x, Windows(x, kernel, kernel, (0,)))
    height, width = x.shape[-2:]
    best, index = [], []
    for top, bottom in _bounds(height, counts[0]):
        for left, right in _bounds(width, counts[1]):
            window = x[..., top:bottom, left:right]
            value, place = _max_pool(window, Windows(window, window.shape[-2:], (), (0,)))
            row, col = place // (right - left), place % (right - left)
            best.append(value)
            index.append((row + top) * width + col + left)
    shape = [*x.shape[:-2], *counts]
    return torch.cat(best, -1).reshape(shape), torch.cat(index, -1).reshape(shape)


def adaptive_max_pool_backward(grad: Tensor, x: Tensor, index: Tensor) -> Tensor:
    """aten.adaptive_max_pool2d_backward."""
    counts, zero = grad.shape[-2:], grad.new_zeros(())
    kernel = _adaptive_kernel(x.shape[-2:], counts)
    if kernel is not None:
        return _max_pool_backward(grad, index, Windows(x, kernel, kernel, (0,)))
    height, width = x.shape[-2:]
    where = torch.arange(height * width, device=x.device).reshape(height, width)
    result = torch.zeros_like(x)
    for i, (top, bottom) in enumerate(_bounds(height, counts[0])):
        for j, (left, right) in enumerate(_bounds(width, counts[1])):
            one = (..., slice(i, i + 1), slice(j, j + 1))
            chosen = torch.where(index[one] == where[top:bottom, left:right], grad[one], zero)
            chosen = pad(pad(chosen, -1, left, width - right), -2, top, height - bottom)
            result = result + chosen
    return result


def _of_rank(function: Any, rank: int) -> Any:
    return lambda *arguments, **options: function(*arguments, **options, rank=rank)


DECOMPOSITIONS = {
    aten.max_pool2d_with_indices.default: _of_rank(max_pool_with_indices, 2),
    aten.max_pool2d_with_indices_backward.default: _of_rank(max_pool_with_indices_backward, 2),
    aten.max_pool3d_with_indices.default: _of_rank(max_pool_with_indices, 3),
    aten.max_pool3d_with_indices_backward.default: _of_rank(max_pool_with_indices_backward, 3),
    aten.avg_pool2d.default: _of_rank(avg_pool, 2),
    aten.avg_pool2d_backward.default: _of_rank(avg_pool_backward, 2),
    aten.avg_pool3d.default: _of_rank(avg_pool, 3),
    aten.avg_pool3d_backward.default: _of_rank(avg_pool_backward, 3),
    aten._adaptive_avg_pool2d.default: adaptive_avg_pool,
    aten._adaptive_avg_pool2d_backward.default: adaptive_avg_pool_backward,
    aten.adaptive_max_pool2d.default: adaptive_max_pool,
    aten.adaptive_max_pool2d_backward.default: adaptive_max_pool_backward,
}
