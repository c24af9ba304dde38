# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Import a JAX training step: `plait.jax.export_step`."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from plait.exported import ExportedStep

INSTALL = 'pip install "jax==0.10.2" "jaxlib==0.10.2" "optax==0.2.8" "flax==0.12.8"'

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError(f"plait.jax needs JAX: {INSTALL}") from error

try:
    from plait.jax.lower import lower_to_linalg, lower_to_stablehlo, used_inputs
except (AttributeError, ImportError) as error:
    raise ImportError(
        f"plait.jax uses private parts of JAX, which {jax.__version__} has not: {INSTALL}"
    ) from error

from plait.jax.boundary import from_boundary, to_boundary
from plait.jax.carry import match_carried
from plait.jax.compile import JaxStep, compile  # noqa: A004
from plait.jax.objects import Objects
from plait.jax.origins import sources
from plait.jax.roles import assign_roles, find_parameters
from plait.jax.tree import Tree, Updated, arguments, leaf_name, results

__all__ = ["JaxStep", "compile", "export_step"]


def export_step(
    step: Callable[..., Any],
    example_args: Sequence[Any],
    *,
    carry: Mapping[int | str, Hashable] | None = None,
    params: int | str | Sequence[int | str] | None = None,
) -> ExportedStep:
    """Export one training step: forward, backward and update, with its state.

    `step` is a function as `jax.jit` takes it, jitted or not: it takes and
    returns pytrees of arrays, and computes everything in between, the
    optimizer included. An argument whose next value it returns is *carried*,
    and so is a flax.nnx object, which the step updates in place. All others
    are inputs. Nothing is executed.

    Names are the paths of pytrees, joined by dots, with the argument's name
    first: `opt_state.0.count`, `batch.image`. Those of parameters start inside
    of the tree of parameters (`Dense_0.kernel`). A tree that is laid out like
    the parameters, as optax's moments are, holds states of its parameters:
    `state.Dense_0.kernel.mu` is the name in `tensors`. The first scalar float
    that the step returns is called `loss`; in a dict that it returns, the keys
    are the names.

    Args:
        step: (params, opt_state, ..., *batch) -> (loss, params, opt_state, ...),
            in any order.
        example_args: the arguments of the first step. Their shapes are the
            step's, the values of carried ones the initial values.
        carry: for each carried argument, by index or name, the index (in a
            dict: the key) of the result that is its next value. Without it,
            the pairs whose structure, shapes and element types are equal.
        params: which carried argument holds the parameters, by index, name, or
            path (`"state.params"`), or several of these. Without it, all
            flax.nnx.Param; else `params` in the first carried argument; else
            all of that argument.

    Raises:
        UnsupportedError: something in the step has no import; the message
            names the op, and where in the code of the step it is.
        TypeError, ValueError: the arguments do not fit together.
    """
    return import_step(step, example_args, carry, params).exported


@dataclass(frozen=True)
class Imported:
    """An exported step with the trees that its tensors are the leaves of.

    Attributes:
        exported: the step.
        taken: its arguments.
        returned: its results, as shapes.
        carried: for each carried argument, by index, the key of its next value
            among the results.
        tensors: for each leaf of the arguments that is carried, its name in
            `exported.tensors`; None for an input.
    """

    exported: ExportedStep
    taken: list[Tree]
    returned: list[Tree]
    carried: dict[int, Hashable]
    tensors: list[str | None]


def import_step(
    step: Callable[..., Any],
    example_args: Sequence[Any],
    carry: Mapping[int | str, Hashable] | None,
    params: int | str | Sequence[int | str] | None,
) -> Imported:
    """What `export_step` does, and the trees."""
    objects = Objects(example_args)
    example_args = objects.split(example_args)
    taken = arguments(step, example_args)
    traced, returned = _trace(step, objects, example_args, taken)
    origins = _Origins(traced, taken, returned)
    carried = match_carried(taken, returned, carry, origins.depends, origins.derives)
    parameters = find_parameters(taken, carried, params)
    if carry is None:
        _check_updates(taken, returned, carried, parameters, origins)
    roles = assign_roles(taken, returned, carried, parameters)
    text = lower_to_linalg(lower_to_stablehlo(traced), roles.arguments, roles.results)

    values = [
        np.array(to_boundary(leaf_name(tree, leaf), leaf.value))
        for tree in taken
        for leaf in tree.leaves
    ]
    exported = ExportedStep(
        text,
        {name: value for name, value in zip(roles.tensors, values) if name},
        {name: value for name, value in zip(roles.inputs, values) if name},
    )
    return Imported(exported, taken, returned, carried, roles.tensors)


def _trace(
    step: Callable[..., Any], objects: Objects, values: Sequence[Any], taken: Sequence[Tree]
) -> tuple[Any, list[Tree]]:
    """The step as a traced function of the leaves at the boundary, and its
    results."""
    leaves = [(leaf_name(tree, leaf), leaf.value) for tree in taken for leaf in tree.leaves]
    structure = jax.tree.structure(tuple(values))
    returned: list[Tree] = []

    def flat(*crossing: jax.Array) -> list[jax.Array]:
        inside = [from_boundary(value, like) for value, (_, like) in zip(crossing, leaves)]
        outcome = objects.call(step, jax.tree.unflatten(structure, inside))
        outcome = jax.tree.map(jnp.asarray, outcome)
        # Shapes only: what is traced must not outlive the trace.
        returned[:] = results(*jax.tree.map(jax.typeof, outcome))
        names = [leaf_name(tree, leaf) for tree in returned for leaf in tree.leaves]
        return list(map(to_boundary, names, jax.tree.leaves(outcome)))

    crossing = [to_boundary(name, value) for name, value in leaves]
    return jax.jit(flat, keep_unused=True).trace(*crossing), returned


class _Origins:
    """What the results of a traced step are made of."""

    def __init__(self, traced: Any, taken: Sequence[Tree], returned: Sequence[Tree]) -> None:
        self._traced, self._returned = traced, returned
        self._owners = [tree.key for tree in taken for _ in tree.leaves]
        self._examples: list[Callable[[], Any]] = [
            partial(np.asarray, value) for value in traced.jaxpr.consts
        ]
        self._examples += [
            partial(to_boundary, leaf_name(tree, leaf), leaf.value)
            for tree in taken
            for leaf in tree.leaves
        ]
        self._first: dict[tuple[str, Hashable], int] = {}
        for side, trees in (("in", taken), ("out", returned)):
            at = 0
            for tree in trees:
                self._first[side, tree.key] = at
                at += len(tree.leaves)

    def depends(self, argument: Tree, result: Tree) -> bool:
        """Whether a result depends on anything of an argument."""
        wanted = [tree.key == result.key for tree in self._returned for _ in tree.leaves]
        used = used_inputs(self._traced, wanted)
        return any(own == argument.key and u for own, u in zip(self._owners, used))

    def derives(self, argument: Tree, result: Tree) -> bool:
        """Whether a leaf of a result is made of its own, element by element."""
        return any(self.leaf(argument, result, i, False) for i in range(len(argument.leaves)))

    def leaf(self, argument: Tree, result: Tree, leaf: int, terms_only: bool) -> bool:
        """The same of one leaf; as a term if `terms_only`."""
        out = self._first["out", result.key] + leaf
        found = sources(self._traced.jaxpr.jaxpr, out, terms_only, self._examples)
        return self._first["in", argument.key] + leaf in found


def _check_updates(
    taken: Sequence[Tree],
    returned: Sequence[Tree],
    carried: Mapping[int, Hashable],
    parameters: Mapping[tuple[int, int], Any],
    origins: _Origins,
) -> None:
    """Refuse a match in which no parameter is a term of its next value.

    Raises:
        ValueError: it looks as if the step returned gradients.
    """
    results = {tree.key: tree for tree in returned}
    for index in dict.fromkeys(argument for argument, _ in parameters):
        key = carried[index]
        if isinstance(key, Updated):
            continue
        leaves = [leaf for argument, leaf in parameters if argument == index]
        if not any(origins.leaf(taken[index], results[key], leaf, True) for leaf in leaves):
            raise ValueError(
                f"result {key!r} has the structure of the parameters in argument {index}"
                f" '{taken[index].name}', but none of them is the old parameter, or nearly that,"
                " plus something."
                " Does the step return gradients? It must return the parameters after the update"
                " (optax.apply_updates). If these are the next values, say"
                f" carry={{{index}: {key!r}}}"
            )
