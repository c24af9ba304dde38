# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The gradient of an embedding: rows added up, in the order of the indices.

It becomes a loop over the rows that were looked up (see scatter.py), so it
costs nothing for the rows of the table that were not, apart from their zeros.
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


DECOMPOSITIONS = {aten.embedding_dense_backward.default: embedding_dense_backward}
