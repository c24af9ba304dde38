# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writing by index: the gradients of embeddings and of other choices.

All become aten.index_put, and that a loop over what is written (see
scatter.py), in the order of the indices. So the gradient of an embedding costs
nothing for the rows that were not looked up, apart from their zeros.
"""

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def embedding_dense_backward(
    grad: Tensor, indices: Tensor, count: int, padding: int, scale_by_frequency: bool
) -> Any:
    """aten.embedding_dense_backward: grad [*, D], indices [*] -> [count, D]."""
    rows = indices.reshape(-1)
    grad = grad.reshape(rows.shape[0], -1)
    if padding >= 0:
        grad = torch.where((rows == padding).unsqueeze(-1), grad.new_zeros(()), grad)
    if scale_by_frequency:
        uses = aten.index_put(grad.new_zeros(count), [rows], grad.new_ones(rows.shape), True)
        grad = grad / aten.index.Tensor(uses, [rows]).unsqueeze(-1)
    return aten.index_put(grad.new_zeros(count, grad.shape[1]), [rows], grad, True)


def _places(index: Tensor, dim: int) -> list[Tensor]:
    """Where scatter writes: for each dimension the indices, broadcastable."""
    places = []
    for i, size in enumerate(index.shape):
        place = torch.arange(size, device=index.device)
        places.append(place.reshape(-1, *[1] * (index.dim() - 1 - i)))
    places[dim % index.dim()] = index
    return places


def _written(index: Tensor, src: Tensor) -> Tensor:
    """The part of `src` that scatter uses."""
    for i, size in enumerate(index.shape):
        src = aten.slice.Tensor(src, i, 0, size)
    return src


def scatter(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    """aten.scatter.src; torch-mlir's own lowering aborts on some shapes."""
    if x.dim() == 0:
        return NotImplemented
    return aten.index_put(x, _places(index, dim), _written(index, src))


def scatter_value(x: Tensor, dim: int, index: Tensor, value: float) -> Any:
    """aten.scatter.value."""
    return scatter(x, dim, index, x.new_full(index.shape, value))


def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Any:
    """aten.scatter_add."""
    if x.dim() == 0:
        return NotImplemented
    return aten.index_put(x, _places(index, dim), _written(index, src), True)


def index_fill(x: Tensor, dim: int, index: Tensor, value: Any) -> Any:
    """aten.index_fill: what the gradient of a trace is made by."""
    if x.dim() == 0:
        return NotImplemented
    value = value if isinstance(value, Tensor) else x.new_full((), value)
    return aten.index_put(x, [*[None] * (dim % x.dim()), index], value)


#: What is taken apart before indices are followed.
INDEXED = {
    aten.index_fill.int_Scalar: index_fill,
    aten.index_fill.int_Tensor: index_fill,
}

DECOMPOSITIONS = {
    aten.embedding_dense_backward.default: embedding_dense_backward,
    aten.scatter.src: scatter,
    aten.scatter.value: scatter_value,
    aten.scatter_add.default: scatter_add,
}
