# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`torch.nn.functional.one_hot` without a look at the values.

torch reads them back, to refuse what is no class. As a scatter it is an index like
any other, and checked before the step.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from plait.errors import UnsupportedError


class OneHot(TorchFunctionMode):
    """While active, one_hot traces to a scatter."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not functional.one_hot:
            return func(*args, **(kwargs or {}))
        return _one_hot(*args, **(kwargs or {}))


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 1:
        raise UnsupportedError(
            "one_hot takes the number of classes from the values: give it num_classes="
        )
    zeros = torch.zeros(*tensor.shape, num_classes, dtype=torch.int64)
    return zeros.scatter(-1, tensor.unsqueeze(-1), 1)
