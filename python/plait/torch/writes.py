# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which memory a forward pass reads and writes, seen at each op as it runs.

What a step does not carry must not be written to; what it does must be read
where it is carried. An op that breaks this is refused before it runs, so that
nothing of the model has changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from plait.errors import UnsupportedError
from plait.torch.modules import Running
from plait.torch.randomness import INSTEAD, undrawn

#: Ops that write to arguments, by position, without saying so; in training only,
#: which argument `_TRAINING` tells.
_HIDDEN = {"native_batch_norm": (3, 4), "cudnn_batch_norm": (3, 4)}
_TRAINING = 5


class Watch(TorchDispatchMode):
    """Refuses ops on memory that is not theirs to use.

    Args:
        fixed: tensors that may be read but not written: the parameters.
        free: those that may be written as well.
        originals: what these stand for, and what must not be read beside them.
        running: which module an op is in.
    """

    def __init__(
        self,
        fixed: Mapping[str, Tensor],
        free: Iterable[Tensor],
        originals: Mapping[str, Tensor],
        running: Running,
    ) -> None:
        super().__init__()
        self._fixed = {_memory(value): name for name, value in fixed.items()}
        self._originals = {
            _memory(value): name for name, value in originals.items() if value.numel()
        }
        self._running = running
        #: Memory that the pass owns, and whether what is in it depends on what
        #: differs from step to step.
        self._own = dict.fromkeys(map(_memory, free), True)
        self._is_backward = False

    @contextmanager
    def backward(self) -> Iterator[None]:
        """While open, gradients are computed. Then ops may do what they like with
        memory, but draw nothing: the forward pass's numbers are asked for, and not
        known as such."""
        self._is_backward = True
        try:
            yield
        finally:
            self._is_backward = False

    def is_fixed(self, value: Tensor) -> bool:
        return _memory(value) in self._fixed

    def depends_on_step(self, value: Tensor) -> bool:
        """Whether a tensor that this pass made is made of parameters, buffers,
        inputs or random numbers."""
        return self._own.get(_memory(value), False)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._is_backward:
            if torch.Tag.nondeterministic_seeded in func.tags:
                raise UnsupportedError(
                    f"{self._place(func)} draws random numbers for the gradients, which would be"
                    " others than the forward pass has: leave out torch.utils.checkpoint around it"
                )
            return func(*args, **kwargs)
        if isinstance(kwargs.get("generator"), torch.Generator):
            raise UnsupportedError(
                f"{self._place(func)} draws from a generator of its own: leave generator= away"
                " (a step has one generator, which seed= sets)"
            )
        if func.overloadpacket in INSTEAD:
            raise UnsupportedError(undrawn(self._place(func), INSTEAD[func.overloadpacket]))
        read = [v for v in pytree.tree_leaves((args, kwargs)) if isinstance(v, Tensor)]
        memories = [_memory(value) for value in read if value.layout == torch.strided]
        for memory in memories:
            if memory in self._originals:
                raise UnsupportedError(
                    f"{self._place(func)} uses '{self._originals[memory]}' as a tensor of its own,"
                    " so it would not change: use it as an attribute of its module in the forward"
                    " pass or the loss"
                )
        written = [_memory(value) for value in _written(func, args, kwargs)]
        for memory in written:
            self._check_write(func, memory)
        tainted = torch.Tag.nondeterministic_seeded in func.tags or any(
            memory in self._fixed or self._own.get(memory, False) for memory in memories
        )
        result = func(*args, **kwargs)
        for value in pytree.tree_leaves(result):
            if isinstance(value, Tensor) and value.layout == torch.strided:
                memory = _memory(value)
                if memory not in memories:
                    self._own[memory] = tainted
        for memory in written:
            self._own[memory] = self._own[memory] or tainted
        return result

    def _check_write(self, func: Any, memory: int) -> None:
        if memory in self._fixed:
            raise UnsupportedError(
                f"{self._place(func)} writes to the parameter '{self._fixed[memory]}', which only"
                " the optimizer may change in a step: use a changed copy of it"
                " (weight.clamp(...), not weight.clamp_(...))"
            )
        if memory not in self._own:
            raise UnsupportedError(
                f"{self._place(func)} writes to a tensor that is neither a parameter nor a buffer,"
                " so it would stay what it is: make it a buffer (register_buffer)"
            )

    def _place(self, func: Any) -> str:
        module = self._running.innermost()
        return f"{func} in {module}" if module else f"{func} in the loss"


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    given = dict(zip((a.name for a in func._schema.arguments), args)) | kwargs
    names = [a.name for a in func._schema.arguments if a.alias_info and a.alias_info.is_write]
    found = [given.get(name) for name in names]
    hidden = _HIDDEN.get(func.overloadpacket.__name__, ())
    if hidden and args[_TRAINING]:
        found += [args[i] for i in hidden]
    return [v for v in pytree.tree_leaves(found) if isinstance(v, Tensor)]


def _memory(value: Tensor) -> int:
    return value.untyped_storage()._cdata
