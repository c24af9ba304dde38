# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions and their gradients as plain forward convolutions.

torch-mlir's own gradients fail for groups, and depthwise convolutions. Here the
gradient of the input is a convolution of the spread output gradient with the
flipped weight; that of the weight is one in which batch and channels change
places, and stride and dilation too. A transposed convolution is the first of
the two. One-dimensional convolutions are two-dimensional ones of height 1.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from plait.torch.decompositions.geometry import as_list, spread

aten = torch.ops.aten


def _convolve(
    x: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    none = [0] * len(stride)
    return aten.convolution(
        x, weight, None, list(stride), list(padding), list(dilation), False, none, groups
    )


def _input_gradient(
    grad: Tensor, weight: Tensor, sizes: Sequence[int], stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    """The gradient of an input with spatial `sizes`: grad [N, O, *out], weight
    [O, C / groups, *kernel] -> [N, C, *sizes]."""
    rank = len(sizes)
    kernel = weight.shape[2:]
    for i in range(rank):
        reach = dilation[i] * (kernel[i] - 1)
        left = reach - padding[i]
        # What is left makes the result exactly as long as the input.
        inner = (grad.shape[2 + i] - 1) * stride[i] + 1
        right = sizes[i] + reach - inner - left
        grad = spread(grad, 2 + i, stride[i], left, right)
    flipped = weight.flip(list(range(2, 2 + rank)))
    out, per_group = weight.shape[0], weight.shape[1]
    if groups > 1:
        flipped = flipped.reshape(groups, out // groups, per_group, *kernel).transpose(1, 2)
        flipped = flipped.reshape(groups * per_group, out // groups, *kernel)
    else:
        flipped = flipped.transpose(0, 1)
    return _convolve(grad, flipped, [1] * rank, [0] * rank, dilation, groups)


def _weight_gradient(
    grad: Tensor, x: Tensor, kernel: Sequence[int], stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    """grad [N, O, *out], x [N, C, *sizes] -> [O, C / groups, *kernel]."""
    batch = x.shape[0]
    if groups > 1:
        per_group = x.shape[1] // groups
        x = x.reshape(batch, groups, per_group, *x.shape[2:]).transpose(0, 2)
        x = x.reshape(per_group, groups * batch, *x.shape[3:])
    else:
        x = x.transpose(0, 1)
    result = _convolve(x, grad.transpose(0, 1), dilation, padding, stride, groups)
    # Input behind the last window gives entries behind the kernel.
    return _first(result, kernel).transpose(0, 1)


def _first(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """[N, C, *larger] -> [N, C, *sizes]."""
    for i, size in enumerate(sizes):
        x = aten.slice.Tensor(x, 2 + i, 0, size)
    return x


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int],
    padding: Sequence[int], dilation: Sequence[int], transposed: bool,
    output_padding: Sequence[int], groups: int,
) -> Any:  # fmt: skip
    """aten.convolution: x [N, C, *sizes]; weight [O, C / groups, *kernel], or
    [C, O / groups, *kernel] if transposed."""
    if len(padding) < x.dim() - 2:  # padding="valid" is one number
        padding = as_list(padding, x.dim() - 2)
        return aten.convolution(
            x, weight, bias, stride, padding, dilation, transposed, output_padding, groups
        )
    if x.dim() == 3:
        result = aten.convolution(
            x.unsqueeze(2), weight.unsqueeze(2), bias, [1, *stride], [0, *padding],
            [1, *dilation], transposed, [0, *output_padding], groups,
        )  # fmt: skip
        return result.squeeze(2)
    if not transposed:
        return NotImplemented
    sizes = [
        (x.shape[2 + i] - 1) * stride[i]
        - 2 * padding[i]
        + dilation[i] * (weight.shape[2 + i] - 1)
        + output_padding[i]
        + 1
        for i in range(len(stride))
    ]
    result = _input_gradient(x, weight, sizes, stride, padding, dilation, groups)
    return result if bias is None else result + bias.reshape(1, -1, *[1] * len(sizes))


def convolution_backward(
    grad: Tensor, x: Tensor, weight: Tensor, bias_sizes: Sequence[int] | None,
    stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], transposed: bool,
    output_padding: Sequence[int], groups: int, mask: Sequence[bool],
) -> Any:  # fmt: skip
    """aten.convolution_backward: the gradients of x, weight and bias."""
    dx = dw = db = None
    if mask[2]:
        db = grad.sum([0, *range(2, grad.dim())])
    padding = as_list(padding, x.dim() - 2)
    lift = x.dim() == 3
    if lift:
        grad, x, weight = grad.unsqueeze(2), x.unsqueeze(2), weight.unsqueeze(2)
        stride, padding, dilation = [1, *stride], [0, *padding], [1, *dilation]
    sizes, kernel = x.shape[2:], weight.shape[2:]
    window = stride, padding, dilation, groups
    if mask[0]:
        if transposed:
            # Output padding can be as long as a window.
            dx = _first(_convolve(grad, weight, *window), sizes)
        else:
            dx = _input_gradient(grad, weight, sizes, *window)
    if mask[1]:
        small, large = (x, grad) if transposed else (grad, x)
        dw = _weight_gradient(small, large, kernel, *window)
    if lift:
        dx, dw = (None if d is None else d.squeeze(2) for d in (dx, dw))
    return dx, dw, db


DECOMPOSITIONS = {
    aten.convolution.default: convolution,
    aten.convolution_backward.default: convolution_backward,
}
