# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Strided windows over the last dimensions of a tensor.

Convolutions and pooling share these: where the windows lie, what one element
of each window is, and the two adjoint moves (take every n-th element; put
elements n apart).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

aten = torch.ops.aten


def as_list(value: int | Sequence[int], rank: int) -> list[int]:
    """`rank` numbers: aten's lists may hold one number for all dimensions."""
    values = [value] if isinstance(value, int) else list(value)
    return values * rank if len(values) == 1 else values


def pad(x: Tensor, dim: int, left: int, right: int, value: float = 0.0) -> Tensor:
    """`x` with `left` and `right` elements more along `dim`, or fewer."""
    size = x.shape[dim]
    x = aten.slice.Tensor(x, dim, max(-left, 0), size - max(-right, 0))
    left, right = max(left, 0), max(right, 0)
    if left == right == 0:
        return x
    behind = x.dim() - 1 - dim % x.dim()
    return functional.pad(x, [0, 0] * behind + [left, right], value=value)


def constant_pad(x: Tensor, padding: Sequence[int], value: float = 0.0) -> Any:
    """aten.constant_pad_nd with nothing cut off by a negative padding: that is
    a slice, `tensor.pad` of MLIR does not lower with it."""
    if all(width >= 0 for width in padding):
        return NotImplemented
    for i in range(0, len(padding), 2):
        x = pad(x, -1 - i // 2, padding[i], padding[i + 1], value)
    return x


def spread(x: Tensor, dim: int, step: int, left: int, right: int) -> Tensor:
    """`x` with its elements `step` apart along `dim`, zeros between them, and
    `left` and `right` zeros around (or that much cut off)."""
    if step == 1:
        return pad(x, dim, left, right)
    before, behind = max(left, 0), max(right, 0)
    inner = (x.shape[dim] - 1) * step + 1
    shape = list(x.shape)
    shape[dim] = before + inner + behind
    end = before + inner
    spaced = aten.slice_scatter(x.new_zeros(shape), x, dim, before, end, step)
    return pad(spaced, dim, min(left, 0), min(right, 0))


def every(x: Tensor, dim: int, start: int, count: int, step: int) -> Tensor:
    """`count` elements of `x` along `dim`, `step` apart, from `start` on."""
    return aten.slice.Tensor(x, dim, start, start + (count - 1) * step + 1, step)


def add_every(x: Tensor, dim: int, start: int, step: int, what: Tensor) -> Tensor:
    """`x` with `what` added to every `step`-th element along `dim`."""
    end = start + (what.shape[dim] - 1) * step + 1
    old = aten.slice.Tensor(x, dim, start, end, step)
    return aten.slice_scatter(x, old + what, dim, start, end, step)


def window_count(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """How many windows torch lays over a dimension of `size`."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    # The last window must start inside the input or its left padding.
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def _slices(
    x: Tensor, size: Sequence[int], stride: Sequence[int], offset: int | None
) -> list[tuple[int, int, int]] | None:
    """For each dimension of `x`, (start, end, step) of the view that as_strided makes
    of it; None if that is not made of slices. A dimension that the view lacks, as
    of w[:, 0], has one element in it."""
    if not x.is_contiguous() or 0 in size or 0 in x.shape:
        return None
    offset = offset or 0
    starts = [offset // own % n for own, n in zip(x.stride(), x.shape)]
    if offset != sum(start * own for start, own in zip(starts, x.stride())):
        return None
    slices = [(start, start + 1, 1) for start in starts]
    dims = iter(range(x.dim()))
    for count, step in zip(size, stride):
        if count == 1:
            continue
        for dim in dims:
            end = starts[dim] + (count - 1) * step // x.stride(dim) + 1
            if step and step % x.stride(dim) == 0 and end <= x.shape[dim]:
                slices[dim] = (starts[dim], end, step // x.stride(dim))
                break
        else:
            return None
    return slices


def _range(
    x: Tensor, size: Sequence[int], stride: Sequence[int], offset: int | None
) -> tuple[int, int] | None:
    """The elements of `x` behind one another that the view has in the same order;
    None if it is not such a view."""
    count, begin = 1, offset or 0
    for n, step in zip(reversed(size), reversed(stride)):
        if n != 1 and step != count:
            return None
        count *= n
    fits = x.is_contiguous() and count and begin + count <= x.numel()
    return (begin, begin + count) if fits else None


def as_strided(
    x: Tensor, size: Sequence[int], stride: Sequence[int], offset: int | None = None
) -> Any:
    """aten.as_strided, as autograd uses it on what is written in place, and adaptive
    pooling on images with their channels last: a slice, or another shape."""
    slices = _slices(x, size, stride, offset)
    if slices is None:
        part = _range(x, size, stride, offset)
        if part is None:
            return NotImplemented
        return aten.slice.Tensor(x.reshape(-1), 0, *part).reshape(size)
    for dim, (start, end, step) in enumerate(slices):
        x = aten.slice.Tensor(x, dim, start, end, step)
    return x if list(x.shape) == list(size) else x.reshape(size)


def as_strided_scatter(
    x: Tensor, what: Tensor, size: Sequence[int], stride: Sequence[int], offset: int | None = None
) -> Any:
    """`x` with a slice of it replaced."""
    slices = _slices(x, size, stride, offset)
    if slices is None:
        part = _range(x, size, stride, offset)
        if part is None:
            return NotImplemented
        whole = aten.slice_scatter(x.reshape(-1), what.reshape(-1), 0, *part)
        return whole.reshape(x.shape)
    partial = [x]
    for dim, (start, end, step) in enumerate(slices):
        partial.append(aten.slice.Tensor(partial[-1], dim, start, end, step))
    if what.shape != partial[-1].shape:
        what = what.reshape(partial[-1].shape)
    for dim, (start, end, step) in reversed(list(enumerate(slices))):
        what = aten.slice_scatter(partial[dim], what, dim, start, end, step)
    return what


def replication_pad_backward(grad: Tensor, x: Tensor, padding: Sequence[int]) -> Any:
    """What was repeated beside an edge adds up at the edge."""
    if any(width < 0 for width in padding):
        return NotImplemented
    for i in range(0, len(padding), 2):
        dim = x.dim() - 1 - i // 2
        left, size = padding[i], x.shape[dim]
        pieces = list(grad.split([left, size, padding[i + 1]], dim))
        first = pieces[0].sum(dim, keepdim=True)
        last = pieces[2].sum(dim, keepdim=True)
        grad = pieces[1] + pad(first, dim, 0, size - 1) + pad(last, dim, size - 1, 0)
    return grad


def diagonal_scatter(
    x: Tensor, what: Tensor, offset: int = 0, first: int = 0, second: int = 1
) -> Tensor:
    """aten.diagonal_scatter: `x` with a diagonal replaced, which is the last dimension
    of `what`."""
    first, second = first % x.dim(), second % x.dim()
    rows, columns = x.shape[first], x.shape[second]
    # Under each other, then beside each other: the value of a row, in all its columns.
    above = max(-offset, 0)
    what = pad(what, -1, above, rows - what.shape[-1] - above).unsqueeze(-1)
    what = what.movedim((-2, -1), (first, second))
    on = torch.arange(rows).unsqueeze(1) + offset == torch.arange(columns)
    shape = [rows if i == first else columns if i == second else 1 for i in range(x.dim())]
    on = on.t() if first > second else on
    return torch.where(on.reshape(shape), what, x)


def diagonal_backward(
    grad: Tensor, sizes: Sequence[int], offset: int, first: int, second: int
) -> Tensor:
    """aten.diagonal_backward."""
    return diagonal_scatter(grad.new_zeros(sizes), grad, offset, first, second)


def unfold_backward(
    grad: Tensor, sizes: Sequence[int], dim: int, size: int, step: int
) -> Tensor:
    """aten.unfold_backward: of windows of `size` along `dim`, which overlap."""
    x = grad.new_zeros(sizes)
    if not sizes:
        return grad.reshape(())
    for i in range(size):
        x = add_every(x, dim, i, step, aten.select.int(grad, -1, i))
    return x


DECOMPOSITIONS = {
    aten.diagonal_backward.default: diagonal_backward,
    aten.diagonal_scatter.default: diagonal_scatter,
    aten.unfold_backward.default: unfold_backward,
    aten.constant_pad_nd.default: constant_pad,
    aten.as_strided.default: as_strided,
    aten.as_strided_scatter.default: as_strided_scatter,
    aten.replication_pad1d_backward.default: replication_pad_backward,
    aten.replication_pad2d_backward.default: replication_pad_backward,
    aten.replication_pad3d_backward.default: replication_pad_backward,
}
