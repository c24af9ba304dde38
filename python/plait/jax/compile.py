# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compile a JAX training step: `plait.jax.compile`.

What a JAX step takes and gives back changed, parameters and optimizer states,
the compiled step keeps; a call takes the rest. `carried` gives it back.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import plait.jax
from plait.compiled import CompiledStep, Slot, check_input
from plait.jax.boundary import KNOWN, from_boundary, to_boundary
from plait.jax.tree import Leaf, Tree


def compile(  # noqa: A001
    step: Callable[..., Any],
    example_args: Sequence[Any],
    *,
    carry: Mapping[int | str, Hashable] | None = None,
    params: int | str | Sequence[int | str] | None = None,
    schedule: str = "auto",
    cpu: str | None = None,
    threads: int | None = None,
) -> "JaxStep":
    """Compile a training step into a call that keeps its state.

    In a training loop, the state disappears from the call::

        step = plait.jax.compile(train_step, (params, opt_state, x, y))
        for x, y in batches:
            loss = step(x, y)    # instead of loss, params, opt_state =
                                 #     train_step(params, opt_state, x, y)
        params, opt_state = step.carried()

    Args:
        step, example_args, carry, params: as `export_step` takes them.
        schedule: where updates run: `baseline` (after all gradients),
            `backward` (as soon as the gradient exists), `forward` (in the next
            step, before the first reader), or `auto`, which chooses one.
        cpu: the processor to make code for, as in `-mcpu`; this one if None.
        threads: how many threads a call uses; all processors (or
            OMP_NUM_THREADS) if None.

    Raises:
        UnsupportedError: something in the step has no import.
        CompileError: the compiler refuses the step, the schedule or the cpu.
        ImportError: the compiler's extension is missing.
        TypeError, ValueError: the arguments do not fit together.
    """
    imported = plait.jax.import_step(step, example_args, carry, params)
    return JaxStep(imported, schedule=schedule, cpu=cpu, threads=threads)


class JaxStep(CompiledStep):
    """A compiled step that takes and gives pytrees of JAX arrays."""

    def __init__(self, imported: "plait.jax.Imported", **options: Any):
        """Compile what `import_step` gave; `options` as of `CompiledStep`."""
        super().__init__(imported.exported, **options)
        kept = imported.carried
        rest = iter(imported.tensors)
        named = [(tree, [next(rest) for _ in tree.leaves]) for tree in imported.taken]
        #: Each carried argument with the names of its leaves.
        self._held = [(t, [n for n in names if n]) for t, names in named if t.key in kept]
        self._fresh = [tree for tree in imported.taken if tree.key not in kept]
        self._given = [tree for tree in imported.returned if tree.key not in kept.values()]

    def __call__(self, *inputs: Any) -> Any:
        """Run one step.

        Args:
            inputs: the arguments that are not carried, in order: pytrees of the
                structure, shapes and element types of the example arguments.
                Arrays of JAX and numpy that are contiguous are read where they
                are. As in a jitted function, numpy's wider types are narrowed
                unless JAX has 64 bits enabled.

        Returns:
            The results that are not carried, as JAX arrays: one alone as it is,
            several as a tuple, in order; of a step that returns a dict, a dict.

        Raises:
            TypeError: an argument is of another structure or element type.
            ValueError: the number of arguments or a shape is another.
        """
        if len(inputs) != len(self._fresh):
            names = ", ".join(tree.name for tree in self._fresh)
            raise ValueError(
                f"the step takes {len(self._fresh)} arguments ({names}), not {len(inputs)}"
            )
        leaves = [
            pair for tree, value in zip(self._fresh, inputs) for pair in _leaves(tree, value)
        ]
        arrays = [_input(slot, leaf, v) for slot, (leaf, v) in zip(self._inputs, leaves)]
        values = iter(self._run(arrays).values())
        results = {tree.key: _tree(tree, values) for tree in self._given}
        if len(results) == 1:
            return next(iter(results.values()))
        if all(isinstance(key, int) for key in results):
            return tuple(results.values())
        return results

    def carried(self) -> tuple[Any, ...]:
        """Copies of the arguments that are carried, after pending updates, in
        their order: of step(params, opt_state, x, y), (params, opt_state)."""
        values = self._read("param", "state", "buffer")
        return tuple(_tree(tree, iter([values[n] for n in names])) for tree, names in self._held)

    def load_carried(self, *values: Any) -> None:
        """Copy the arguments that are carried in, all of them, in their order.

        Raises:
            TypeError: one is of another structure.
            ValueError: their number, a shape or an element type is another.
        """
        if len(values) != len(self._held):
            told = ", ".join(tree.name for tree, _ in self._held)
            raise ValueError(f"the step carries {len(self._held)} arguments ({told})")
        arrays = {}
        for (tree, names), value in zip(self._held, values):
            for own, (leaf, array) in zip(names, _leaves(tree, value)):
                arrays[own] = _crossing(own, leaf, array)
        self._write(arrays)


def _leaves(tree: Tree, value: Any) -> Iterator[tuple[Leaf, Any]]:
    """The leaves of an argument beside those of the example.

    Raises:
        TypeError: the structure is another.
    """
    structure = jax.tree.structure(value)
    if structure != tree.structure:
        raise TypeError(
            f"argument '{tree.name}' is {structure}, the step was compiled for {tree.structure}"
        )
    return zip(tree.leaves, jax.tree.leaves(value))


def _input(slot: Slot, leaf: Leaf, value: Any) -> np.ndarray:
    array = _crossing(slot.name, leaf, value)
    check_input(slot, array.dtype.name, array.shape)
    return np.require(array, requirements="C")


#: Numbers have no type of their own: they take that of the example, if it is
#: of one of these kinds.
_TAKEN_FROM = {bool: "b", int: "if", float: "f"}


def _crossing(name: str, leaf: Leaf, value: Any) -> np.ndarray:
    """A value as it crosses the step's boundary; not a copy, if it can."""
    dtype = leaf.value.dtype
    if dtype in KNOWN and dtype.kind in _TAKEN_FROM.get(type(value), ""):
        return np.array(value, dtype)
    if dtype in KNOWN and getattr(value, "dtype", None) == dtype:
        return np.asarray(value)
    return np.asarray(to_boundary(name, jnp.asarray(value)))


def _tree(tree: Tree, values: Iterator[np.ndarray]) -> Any:
    """A result or argument of these leaves, which are the caller's to keep."""
    leaves = [from_boundary(jnp.asarray(next(values)), leaf.value) for leaf in tree.leaves]
    return jax.tree.unflatten(tree.structure, leaves)
