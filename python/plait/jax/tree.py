# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pytrees of a step: the leaves of its arguments and results, and their names.

A name is the path of keys, attributes and positions, joined by dots:
`params.Dense_0.kernel`, `opt_state.0.count`. It starts with the argument's
name in the step's signature. Where that would be the name of two, a key with a
dot in it is in quotes: {"a.b": ..., "a": {"b": ...}} has 'a.b' and a.b.
"""

import inspect
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import tree_flatten_with_path


@dataclass(frozen=True)
class Leaf:
    """One array of an argument or result.

    Attributes:
        path: the keys from the argument or result to the array, as text;
            empty where the argument is the array itself.
        value: an array, or a jax.ShapeDtypeStruct of the traced result.
        is_param: it is the value of a flax.nnx.Param.
    """

    path: tuple[str, ...]
    value: Any
    is_param: bool = False

    @property
    def type(self) -> tuple[tuple[int, ...], Any]:
        """Shape and element type."""
        return tuple(self.value.shape), self.value.dtype


@dataclass(frozen=True)
class Updated:
    """The key of the result that is an argument, after the step updated it."""

    argument: int


@dataclass(frozen=True)
class Tree:
    """An argument or a result.

    Attributes:
        key: an argument's index, or the result's index or key.
        name: the argument's name; for a result, its key if that is a word.
        structure: the treedef.
        leaves: in the order of `jax.tree.leaves`.
    """

    key: Any
    name: str
    structure: Any
    leaves: tuple[Leaf, ...]

    def looks_like(self, other: "Tree") -> bool:
        """Whether structure, shapes and element types are equal."""
        return self.structure == other.structure and all(
            mine.type == theirs.type for mine, theirs in zip(self.leaves, other.leaves)
        )


def arguments(step: Callable[..., Any], values: Sequence[Any]) -> list[Tree]:
    """The arguments of `step`, with arrays for leaves.

    Raises:
        TypeError: a leaf is not an array or number, or the step does not take
            as many arguments.
    """
    trees = []
    for index, name in enumerate(_argument_names(step, len(values))):
        tree = _tree(index, name, values[index])
        arrays = [_as_array(leaf_name(tree, leaf), leaf) for leaf in tree.leaves]
        trees.append(replace(tree, leaves=tuple(arrays)))
    return trees


def results(value: Any, updated: Mapping[int, Any]) -> list[Tree]:
    """The results of a step: the items of a tuple, list or dict, or else the
    one that it returns; then each object that it updated, by argument."""
    if type(value) in (tuple, list):
        returned = [_tree(index, "", item) for index, item in enumerate(value)]
    elif type(value) is dict:
        returned = [_tree(key, str(key), value[key]) for key in sorted(value)]
    else:
        returned = [_tree(0, "", value)]
    return returned + [_tree(Updated(i), "", state) for i, state in updated.items()]


def leaf_name(tree: Tree, leaf: Leaf) -> str:
    """The leaf's name with its argument's: `opt_state.0.count`."""
    return ".".join((tree.name, *leaf.path))


def describe(leaf: Leaf) -> str:
    """The type as jax writes it: `float32[8,3]`."""
    shape, dtype = leaf.type
    return f"{dtype}[{','.join(map(str, shape))}]"


def _tree(key: Hashable, name: str, value: Any) -> Tree:
    variable = _nnx_variable_type()
    # Paths end at a flax.nnx variable: what is inside is called `value`.
    paths = tree_flatten_with_path(value, is_leaf=lambda node: isinstance(node, variable))[0]
    leaves = []
    for path, (_, node) in zip(_told_apart([tuple(map(_key_text, keys)) for keys, _ in paths]), paths):
        inner = jax.tree.leaves(node)
        for i, array in enumerate(inner):
            own = path if len(inner) == 1 else (*path, str(i))
            leaves.append(Leaf(own, array, bool(variable) and isinstance(node, _nnx().Param)))
    return Tree(key, name, jax.tree.structure(value), tuple(leaves))


def _told_apart(paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Paths with a key in quotes if it begins as another one beside it does, up to
    a dot: joined by dots, no two of them are equal."""
    known = {path[:end] for path in paths for end in range(1, len(path) + 1)}

    def told(path: tuple[str, ...], at: int) -> str:
        key = path[at]
        dots = [i for i, letter in enumerate(key) if letter == "."]
        return f"'{key}'" if any((*path[:at], key[:i]) in known for i in dots) else key

    return [tuple(told(path, at) for at in range(len(path))) for path in paths]


def _nnx() -> Any:
    """flax.nnx, if the step can have anything of it."""
    return sys.modules.get("flax.nnx")


def _nnx_variable_type() -> Any:
    return _nnx().Variable if _nnx() else ()


def _key_text(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _argument_names(step: Callable[..., Any], count: int) -> list[str]:
    try:
        bound = inspect.signature(step).bind(*range(count))
    except ValueError:  # A builtin without a signature.
        return [f"arg{i}" for i in range(count)]
    names: dict[int, str] = {}
    for name, value in bound.arguments.items():
        if isinstance(value, tuple):
            names |= {index: f"{name}.{i}" for i, index in enumerate(value)}
        else:
            names[value] = name
    return [names[i] for i in range(count)]


def _as_array(name: str, leaf: Leaf) -> Leaf:
    value = leaf.value
    if isinstance(value, jax.ShapeDtypeStruct):
        raise TypeError(f"'{name}' is a jax.ShapeDtypeStruct: example arguments must have values")
    if not isinstance(value, (jax.Array, np.ndarray, np.generic, bool, int, float, complex)):
        raise TypeError(
            f"'{name}' is a {type(value).__name__}, not an array: bind what is static with"
            " functools.partial, and leave it out of the example arguments"
        )
    # A Python number stays a weak type: it takes on that of its neighbours.
    return replace(leaf, value=jnp.asarray(value))
