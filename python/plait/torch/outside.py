# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What Python code keeps outside of parameters and buffers: attributes, counters,
lists, the variables of a closure, generators of random numbers.

A forward pass may change these, and a traced one does not: so they are looked at
before and after it runs, and put back when the export ends.
"""

import random
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import getattr_static
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.errors import UnsupportedError
from plait.torch.modules import describe

#: These have no contents, or none that a step could depend on.
_OPAQUE = (
    type, ModuleType, BuiltinFunctionType, Tensor, torch.Generator,
    torch._ops.OpOverload, torch._ops.OpOverloadPacket,
)  # fmt: skip

#: How many values are looked at. Each takes some microseconds and 300 bytes, thrice.
LIMIT = 500_000

#: The generators that everyone shares, and what to draw from instead.
PYTHON_RANDOM = "the state of Python's random"
NUMPY_RANDOM = "the state of numpy.random"


@dataclass
class State:
    """Values by the place they are kept in, and how to put them back.

    Attributes:
        values: a leaf (number, string, tensor, ...) or the kind and the keys of a
            container, by place: Attention 'blocks.0': calls.
    """

    values: dict[str, Any] = field(default_factory=dict)
    _restore: list[Callable[[], Any]] = field(default_factory=list)
    _seen: dict[int, Any] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)
    _looked_at: int = 0

    def changed(self, after: "State") -> list[str]:
        """The places whose value is another, in order."""
        places = dict.fromkeys([*self.values, *after.values])
        missing = object()
        return [
            place for place in places
            if not _same(self.values.get(place, missing), after.values.get(place, missing))
        ]  # fmt: skip

    def restore(self) -> None:
        for put_back in self._restore:
            put_back()

    def add_modules(self, root: torch.nn.Module) -> None:
        """A module and all in it, each under its own name."""
        self._names |= {id(module): describe(name, module) for name, module in root.named_modules()}
        self.add("", root)
        for name, module in root.named_modules():
            forward = getattr_static(type(module), "forward", None)
            if isinstance(forward, FunctionType):
                self._add_globals(describe(name, module), forward)
        for name, parameter in root.named_parameters():
            for hook in (parameter._backward_hooks or {}).values():
                self.add(f"the hook of '{name}'", hook)

    def add(self, place: str, value: Any) -> None:
        """A value and all that is reached from it.

        Raises:
            UnsupportedError: that is more than `LIMIT` values.
        """
        self._looked_at += 1
        if self._looked_at > LIMIT:
            raise UnsupportedError(_too_much(self.values))
        place = self._names.get(id(value), place)
        if isinstance(value, weakref.ref):
            value = value()
        if isinstance(value, (random.Random, np.random.Generator, np.random.RandomState)):
            self._add_generator(place, value)
        elif isinstance(value, np.ndarray):
            self._add_array(place, value)
        elif isinstance(value, _OPAQUE) or not _has_contents(value):
            self.values[place] = value
        elif id(value) in self._seen:
            self.values[place] = self._seen[id(value)]
        else:
            self._seen[id(value)] = value
            self._add_container(place, value)

    def _add_container(self, place: str, value: Any) -> None:
        if isinstance(value, MethodType):
            self.add(place, value.__self__)
        elif isinstance(value, FunctionType):
            self.values[place] = value
            for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ()):
                self._add_cell(f"{place}: {name}", cell)
            self._add_globals(place, value)
            for i, default in enumerate(value.__defaults__ or ()):
                self.add(f"{place}: default {i}", default)
        elif isinstance(value, (list, tuple, deque)):
            self._add_items(place, value, enumerate(list(value)))
        elif isinstance(value, (set, frozenset)):
            self.values[place] = frozenset(map(id, value))
        elif isinstance(value, dict):
            self._add_items(place, value, list(value.items()))
        if hasattr(value, "__dict__") and not isinstance(value, (FunctionType, MethodType)):
            attributes = vars(value)
            if place not in self.values:
                self.values[place] = type(value)
            self._remember(attributes)
            for name, inner in list(attributes.items()):
                # What a module holds is named by the module alone.
                inside = isinstance(value, torch.nn.Module) and name in _HELD
                if not inside:
                    self.add(f"{place}: {name}", inner)
                    continue
                self._remember(inner)
                for key, owned in list(inner.items()):
                    self.add(f"{place}: {key}", owned)
        self._remember(value)

    def _add_items(self, place: str, value: Any, items: Any) -> None:
        items = list(items)
        self.values[place] = (type(value), [key if isinstance(key, _PLAIN) else id(key)
                                            for key, _ in items])  # fmt: skip
        for key, inner in items:
            self.add(f"{place}[{key!r}]" if isinstance(key, _PLAIN) else f"{place}[...]", inner)

    def _add_globals(self, place: str, function: FunctionType) -> None:
        """The numbers and strings among the global variables that it names."""
        held = function.__globals__
        for name in function.__code__.co_names:
            content = held.get(name)
            if isinstance(content, (int, float, str)):
                self._restore.append(partial(held.__setitem__, name, content))
                self.values[f"{place}: {name}"] = content

    def _add_cell(self, place: str, cell: CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:  # not assigned yet
            return
        self._restore.append(lambda: setattr(cell, "cell_contents", content))
        self.add(place, content)

    def _add_generator(self, place: str, value: Any) -> None:
        if isinstance(value, random.Random):
            state: Any = value.getstate()
            self._restore.append(lambda: value.setstate(state))
        elif isinstance(value, np.random.RandomState):
            state = value.get_state(legacy=False)
            self._restore.append(lambda: value.set_state(state))
        else:
            state = value.bit_generator.state
            self._restore.append(lambda: setattr(value.bit_generator, "state", state))
        self.values[place] = repr(state)

    def _add_array(self, place: str, value: np.ndarray) -> None:
        copy = value.copy()
        self.values[place] = copy
        if value.flags.writeable:
            self._restore.append(lambda: np.copyto(value, copy))

    def _remember(self, container: Any) -> None:
        """To put the contents of this container back, if they are others."""
        if isinstance(container, dict):
            self._restore.append(partial(_put_back_dict, container, list(container.items())))
        elif isinstance(container, list):
            self._restore.append(partial(_put_back_list, container, list(container)))
        elif isinstance(container, (deque, set)):
            self._restore.append(partial(_put_back_others, container, list(container)))


def _put_back_dict(container: dict[Any, Any], held: list[tuple[Any, Any]]) -> None:
    if not _identical(held, container.items()):
        container.clear()
        container.update(held)


def _put_back_list(container: list[Any], held: list[Any]) -> None:
    if len(held) != len(container) or any(a is not b for a, b in zip(held, container)):
        container[:] = held


def _put_back_others(container: deque[Any] | set[Any], held: list[Any]) -> None:
    container.clear()
    if isinstance(container, deque):
        container.extend(held)
    else:
        container.update(held)


#: Keys that a place is named by.
_PLAIN = (str, int, float, bool, bytes, type(None))

_HELD = frozenset(("_parameters", "_buffers", "_modules"))


def _identical(one: Any, two: Any) -> bool:
    return len(one) == len(two) and all(
        a[0] is b[0] and a[1] is b[1] for a, b in zip(one, two)
    )


def _has_contents(value: Any) -> bool:
    kinds = (list, tuple, dict, set, frozenset, deque, FunctionType, MethodType)
    return isinstance(value, kinds) or hasattr(value, "__dict__")


def _same(one: Any, two: Any) -> bool:
    if one is two:
        return True
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, (*_PLAIN, tuple, frozenset, list)):
        return one == two
    return False


def _too_much(places: Iterable[str]) -> str:
    ((place, _),) = Counter(map(_root, places)).most_common(1)
    return (
        f"more than {LIMIT} Python objects are reached from the model and the loss, most of them"
        f" from {place}. A forward pass must not change them, and so many are not"
        " looked at: make one array or tensor of them (register_buffer), or take them out of the"
        " model"
    )


def _root(place: str) -> str:
    """The attribute, or variable, that a place is reached from."""
    return ": ".join(public([place])[0].split("[")[0].split(": ")[:2])


def public(places: Iterable[str]) -> list[str]:
    """Places as the user knows them: without the module around model and loss."""
    return [
        p.removeprefix("LossModule: ").replace("'model.", "'").replace(" 'model':", ":")
        for p in places
    ]


def python_state(root: torch.nn.Module) -> State:
    """What is reached from a module.

    Raises:
        UnsupportedError: that is too much, or too deep.
    """
    state = State()
    try:
        state.add_modules(root)
    except RecursionError:
        place = _root(next(reversed(state.values)))
        raise UnsupportedError(
            f"{place} has Python objects that are nested too deeply to be looked at: keep them in"
            " a list, or take them out of the model"
        ) from None
    # The functions of these modules are methods of one hidden generator each.
    state.add(PYTHON_RANDOM, random.random.__self__)  # type: ignore[attr-defined]
    state.add(NUMPY_RANDOM, np.random.mtrand._rand)
    return state


@contextmanager
def put_back(root: torch.nn.Module) -> Iterator[State]:
    """The state now, which is the state again afterwards."""
    state = python_state(root)
    try:
        yield state
    finally:
        state.restore()
