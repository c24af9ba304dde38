# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ops on bfloat16 and float16, as torch computes them on a CPU.

A kernel widens to float32, computes a whole op there (a sum, a product), and
rounds the result. torch-mlir would round between the elements of a sum, and the
decompositions of an op between its parts. Where a kernel of torch's does round
in between, so does the form here. Wider operands of arithmetic are rounded first,
by way of float32, but a scalar second factor or divisor is not.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import Interpreter, Node
from torch.utils import _pytree as pytree

HALF = frozenset((torch.bfloat16, torch.float16))

#: Ops of two operands, which torch brings to one type.
_ARITHMETIC = frozenset(
    "add sub rsub mul div pow fmod remainder maximum minimum eq ne lt le gt ge atan2".split()
)
#: aten's encoding of `reduction`.
_NONE, _MEAN = 0, 1


class Widening(Interpreter):
    """Runs a graph with ops on half precision in float32."""

    def run_node(self, node: Node) -> Any:
        if not _computes_in_half(node):
            return super().run_node(node)
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        with self._set_current_node(node):
            name = node.target.overloadpacket.__name__
            if name in _ROUNDED_BETWEEN:
                form = _ROUNDED_BETWEEN[name](*args, **kwargs)
                if form is not None:
                    return form
            if name in _ARITHMETIC:
                args, kwargs = _common(name, args, kwargs)
            args, kwargs = pytree.tree_map(_widened, (args, kwargs))
            result = node.target(*args, **kwargs)
            return pytree.tree_map(_like, result, node.meta["val"])


def _computes_in_half(node: Node) -> bool:
    """Whether an op other than a view reads or gives tensors in half precision."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.is_view:
        return False
    values = [read.meta.get("val") for read in node.all_input_nodes] + [node.meta.get("val")]
    return any(isinstance(v, Tensor) and v.dtype in HALF for v in pytree.tree_leaves(values))


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype in HALF else value
    return torch.float32 if isinstance(value, torch.dtype) and value in HALF else value


def _like(value: Any, expected: Any) -> Any:
    return value.to(expected.dtype) if isinstance(value, Tensor) else value


def _common(name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The operands in the type that torch computes in, where that is a half."""
    first, second, *rest = args
    dtype = torch.result_type(first, second)
    if dtype not in HALF:
        return args, kwargs
    first = _rounded(first, dtype)
    if name not in ("mul", "div") or (isinstance(second, Tensor) and second.dim()):
        second = _rounded(second, dtype)
    if "alpha" in kwargs:
        kwargs = {**kwargs, "alpha": _rounded(kwargs["alpha"], dtype)}
    return (first, second, *rest), kwargs


def _rounded(value: Any, dtype: torch.dtype) -> Any:
    """A tensor or Python's number, in half precision."""
    if isinstance(value, Tensor):
        return value if value.dtype == dtype else value.float().to(dtype)
    number = np.float32(value)
    if dtype == torch.float16:
        return float(number.astype(np.float16))
    bits = int(number.view(np.uint32))
    if np.isfinite(number):
        bits += 0x7FFF + (bits >> 16 & 1)
    return float(np.uint32(bits & 0xFFFF0000).view(np.float32))


def _times(one: Tensor, two: Tensor | float) -> Tensor:
    """A product in half precision, without widening where it is traced."""
    return (one.float() * (two.float() if isinstance(two, Tensor) else two)).to(one.dtype)


def _minus(one: Tensor, two: Tensor) -> Tensor:
    return (one.float() - two.float()).to(one.dtype)


def _mse_loss(x: Tensor, target: Tensor, reduction: int = _MEAN) -> Tensor | None:
    if x.dtype != target.dtype:
        return None
    difference = _minus(x, target)
    squares = _times(difference, difference)
    if reduction == _NONE:
        return squares
    whole = squares.float()
    return (whole.mean() if reduction == _MEAN else whole.sum()).to(x.dtype)


def _mse_loss_backward(grad: Tensor, x: Tensor, target: Tensor, reduction: int) -> Tensor | None:
    if not grad.dtype == x.dtype == target.dtype:
        return None
    slope = _rounded(2 / x.numel() if reduction == _MEAN else 2.0, x.dtype)
    return _times(_times(_minus(x, target), slope), grad)


def _pow(base: Any, exponent: Any) -> Tensor | None:
    if not isinstance(base, Tensor) or base.dtype != torch.bfloat16 or isinstance(exponent, Tensor):
        return None
    if exponent == 3:
        return _times(_times(base, base), base)
    if exponent == -2:
        return _times(base, base).float().reciprocal().to(base.dtype)
    return None


#: None where torch rounds once.
_ROUNDED_BETWEEN: dict[str, Callable[..., Tensor | None]] = {
    "mse_loss": _mse_loss,
    "mse_loss_backward": _mse_loss_backward,
    "pow": _pow,
}
