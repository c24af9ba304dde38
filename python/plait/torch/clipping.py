# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Gradient clipping as torch.nn.utils does it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import GraphModule

from plait.torch.tracing import decompositions, trace


@dataclass(frozen=True)
class Clipping:
    """What to do to the gradients before the optimizer sees them; of both, the
    norm is clipped first, then each value.

    Attributes:
        norm: clip_grad_norm_'s max_norm, over all trained parameters.
        norm_type: the p of the norm; may be infinite.
        value: clip_grad_value_'s clip_value.
    """

    norm: float | None = None
    norm_type: float = 2.0
    value: float | None = None

    def __post_init__(self) -> None:
        for name, number in (("norm", self.norm), ("value", self.value)):
            if number is not None and not number >= 0:
                raise ValueError(f"clip_grad_{name} must not be negative, got {number}")
        if not self.norm_type > 0:
            raise ValueError(f"clip_norm_type must be positive, got {self.norm_type}")

    def __bool__(self) -> bool:
        return self.norm is not None or self.value is not None

    def apply(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """The clipped gradients."""
        if self.norm is not None:
            grads = self._to_norm(grads, self.norm)
        if self.value is not None:
            grads = [grad.clamp(-self.value, self.value) for grad in grads]
        return list(grads)

    def _to_norm(self, grads: Sequence[Tensor], bound: float) -> list[Tensor]:
        norms = torch.stack([torch.linalg.vector_norm(grad, self.norm_type) for grad in grads])
        total = torch.linalg.vector_norm(norms, self.norm_type)
        # 1e-6 as in torch: the clipped norm stays below the bound.
        factor = (bound / (total + 1e-6)).clamp(max=1.0)
        return [grad * factor for grad in grads]

    def trace(self, trained: Sequence[Tensor]) -> GraphModule:
        """The graph of (gradients...) -> (clipped gradients...)."""
        examples = [torch.zeros_like(value) for value in trained]
        return trace(lambda *grads: self.apply(grads), examples, decompositions())
