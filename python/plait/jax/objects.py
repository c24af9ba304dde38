# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flax.nnx objects among a step's arguments.

A step updates them in place, as `nnx.jit` allows. Here they are split into
their arrays, and what is in them after the step is further results of it.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax

from plait.errors import UnsupportedError


class Objects:
    """The nnx objects (models, optimizers, random streams) of example arguments.

    Attributes:
        states: for each argument that is one, by index, its arrays.
    """

    def __init__(self, values: Sequence[Any]):
        nnx: Any = sys.modules.get("flax.nnx")
        self._nnx = nnx
        self._objects = {
            i: value for i, value in enumerate(values) if nnx and isinstance(value, nnx.Pytree)
        }
        self.states: dict[int, Any] = {}
        if self._objects:
            self._graph, state = nnx.split(tuple(self._objects.values()))
            self._structure = jax.tree.structure(state)
            self.states = self._by_argument(state)

    def split(self, values: Sequence[Any]) -> list[Any]:
        """The arguments with arrays instead of objects."""
        return [self.states.get(i, value) for i, value in enumerate(values)]

    def call(
        self, step: Callable[..., Any], values: Sequence[Any]
    ) -> tuple[Any, dict[int, Any]]:
        """What `step` returns for split arguments, and the objects' arrays after it.

        Raises:
            UnsupportedError: the step adds to an object, or takes away from it.
        """
        if not self._objects:
            return step(*values), {}
        nnx = self._nnx
        state = nnx.State({i: values[index] for i, index in enumerate(self._objects)})
        objects = nnx.merge(self._graph, state)
        values = list(values)
        for index, value in zip(self._objects, objects):
            values[index] = value
        result = step(*values)
        graph, state = nnx.split(objects)
        if graph != self._graph or jax.tree.structure(state) != self._structure:
            raise UnsupportedError(
                "the step changes what a flax.nnx object consists of (a new variable, another"
                " mode?): only the values of its variables may change"
            )
        return result, self._by_argument(state)

    def _by_argument(self, state: Any) -> dict[int, Any]:
        return {
            index: state[i] if i in state else self._nnx.State({})
            for i, index in enumerate(self._objects)
        }
