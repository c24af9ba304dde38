# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which module of the model an op of the trace comes from, for error messages.

The forward pass of each module marks the ops it makes; torch's tracer keeps the
mark through retracing. An op of the backward pass has none and goes by what it
reads.
"""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.fx import Node, traceback
from torch.nn.utils.rnn import PackedSequence

from plait.errors import UnsupportedError

_MARK = "plait_module"


def describe(name: str, module: torch.nn.Module) -> str:
    """A module as messages name it: Conv2d 'features.0'."""
    return f"{type(module).__name__} '{name}'" if name else type(module).__name__


class Running:
    """The modules whose forward pass is running, outermost first."""

    def __init__(self) -> None:
        #: The last exception that left a forward pass, and the module of it.
        self._failure: tuple[BaseException, str] | None = None
        self._marks: list[str] = []
        self._contexts: list = []

    def enter(self, mark: str, arguments: tuple[Any, ...]) -> None:
        context = traceback.annotate({_MARK: mark})
        context.__enter__()
        self._marks.append(mark)
        self._contexts.append(context)
        if any(isinstance(value, PackedSequence) for value in arguments):
            raise UnsupportedError("packed sequences have no import: pad, and mask the loss")

    def leave(self, mark: str) -> None:
        if not self._marks or self._marks[-1] != mark:
            return  # a hook before `enter` failed
        error = sys.exc_info()[1]
        if error is not None and (self._failure is None or self._failure[0] is not error):
            self._failure = error, mark
        self._marks.pop()
        # What the tracer set up may be gone already, and the mark with it.
        with suppress(KeyError):
            self._contexts.pop().__exit__(None, None, None)

    def place_of(self, error: BaseException) -> str | None:
        """The innermost module whose forward pass an exception has left."""
        if self._failure and self._failure[0] in (error, error.__context__, error.__cause__):
            return self._failure[1]
        return None

    def innermost(self) -> str | None:
        return self._marks[-1] if self._marks else None


@contextmanager
def marked(model: torch.nn.Module) -> Iterator[Running]:
    """While open, the ops of a trace carry the module they come from.

    After an exception in a forward pass, `place_of` says where it was raised; a
    refusal that does not say so gets to.
    """
    running, hooks = Running(), []
    try:
        for name, module in model.named_modules():
            hooks += _hooks(running, describe(name, module), module)
        with traceback.preserve_node_meta():
            try:
                yield running
            except UnsupportedError as error:
                place = running.place_of(error)
                if place is None or f" {place}" in str(error):
                    raise
                raise UnsupportedError(f"{place}: {error}") from error
    finally:
        for hook in hooks:
            hook.remove()


def _hooks(running: Running, mark: str, module: torch.nn.Module) -> list[Any]:
    try:
        return [
            module.register_forward_pre_hook(lambda _, args: running.enter(mark, args)),
            # After an exception as well: a checkpoint ends what it runs again by one.
            module.register_forward_hook(lambda *_: running.leave(mark), always_call=True),
        ]
    except RuntimeError as error:
        raise UnsupportedError(
            f"{mark} is made by torch.jit.script, which cannot be looked into: give the module that"
            " it was made from"
        ) from error


def origin(node: Node) -> str | None:
    """The module an op comes from, or whose gradient it belongs to."""
    if mark := _mark(node):
        return f"in {mark}"
    seen, queue = {node}, deque([node])
    while queue:
        for read in queue.popleft().all_input_nodes:
            if mark := _mark(read):
                return f"in the gradient of {mark}"
            if read not in seen:
                seen.add(read)
                queue.append(read)
    return None


def where(node: Node) -> str:
    """An op with its module: aten.sort.default in Attention 'blocks.0'."""
    place = origin(node)
    return f"{node.target} {place}" if place else str(node.target)


def _mark(node: Node) -> str | None:
    return (node.meta.get("custom") or {}).get(_MARK)
