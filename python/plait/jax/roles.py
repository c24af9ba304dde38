# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Who is who in a step: which leaves are parameters, whose state the others
are, and what they are called.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from plait.errors import UnsupportedError
from plait.jax.tree import Leaf, Tree, describe, leaf_name
from plait.step_text import string_literal

Path = tuple[str, ...]
#: An argument's index, and a leaf's in it.
Place = tuple[int, int]
#: What `params=` may be.
Parameters = int | str | Sequence[int | str] | None


@dataclass(frozen=True)
class Parameter:
    """A parameter's name, and its path in the tree of parameters."""

    name: str
    path: Path
    leaf: Leaf


@dataclass(frozen=True)
class Roles:
    """The roles of a step's leaves, in the order of arguments and results.

    Attributes:
        arguments: for each leaf, its role as MLIR text.
        results: the same for the results.
        tensors: for each argument leaf that is carried, its name in a tensor
            file; None for an input.
        inputs: for each argument leaf that is not carried, its name.
    """

    arguments: list[str]
    results: list[str]
    tensors: list[str | None]
    inputs: list[str | None]


def find_parameters(
    arguments: Sequence[Tree], carried: Mapping[int, Hashable], params: Parameters
) -> dict[Place, Parameter]:
    """The parameters: what `params` says, or else the flax.nnx.Param, or else
    `params` in the first carried argument, or else all of that.

    Raises:
        ValueError: `params` names no carried part.
        UnsupportedError: a parameter is not of float32.
    """
    by_type = params is None and any(
        leaf.is_param for a in arguments if a.key in carried for leaf in a.leaves
    )
    found: dict[Place, Parameter] = {}
    for argument, root in _roots(arguments, carried, params):
        for i, leaf in enumerate(argument.leaves):
            if leaf.path[: len(root)] == root and (leaf.is_param or not by_type):
                path = leaf.path[len(root) :]
                name = ".".join(path) or leaf_name(argument, leaf)
                found[argument.key, i] = Parameter(name, path, leaf)
    for (index, _), parameter in found.items():
        if parameter.leaf.value.dtype != np.float32:
            raise UnsupportedError(
                f"'{leaf_name(arguments[index], parameter.leaf)}' is {describe(parameter.leaf)}:"
                " parameters are float32. If it is no parameter, say where they are:"
                ' params=1 for argument 1, or params="state.params"'
            )
    if len({parameter.name for parameter in found.values()}) == len(found):
        return found
    # Several models: the argument's name tells them apart.
    return {
        place: Parameter(leaf_name(arguments[place[0]], p.leaf), p.path, p.leaf)
        for place, p in found.items()
    }


def assign_roles(
    arguments: Sequence[Tree],
    results: Sequence[Tree],
    carried: Mapping[int, Hashable],
    parameters: Mapping[Place, Parameter],
) -> Roles:
    """The role of each leaf. A parameter that would have the name of something
    else has its argument's name in front.

    Raises:
        ValueError: two leaves have one name.
    """
    nexts = {key: index for index, key in carried.items()}
    names = list(_output_names([result for result in results if result.key not in nexts]))
    parameters = _told_apart(arguments, parameters, names)
    roles = _with_short_states(_argument_roles(arguments, carried, parameters))
    tensors = [_tensor_name(*role) for role in roles.values()]
    inputs = [role[1] if role[0] == "input" else None for role in roles.values()]
    _check_unique("carried array", tensors)
    _check_unique("input", inputs)
    _check_unique("argument", [*tensors, *inputs])

    _check_unique("output", names)
    outputs = iter(names)
    result_roles = []
    for result in results:
        for i in range(len(result.leaves)):
            if result.key in nexts:
                _, *names = roles[nexts[result.key], i]
                result_roles.append(_role_text("next", *names))
            else:
                result_roles.append(_role_text("output", next(outputs)))
    return Roles([_role_text(*role) for role in roles.values()], result_roles, tensors, inputs)


# --- parameters ------------------------------------------------------------


def _roots(
    arguments: Sequence[Tree], carried: Mapping[int, Hashable], params: Parameters
) -> list[tuple[Tree, Path]]:
    """The subtrees that hold parameters: an argument, and a path in it."""
    held = [argument for argument in arguments if argument.key in carried]
    if params is None:
        return _default_roots(held)
    roots = []
    for said in [params] if isinstance(params, (int, str)) else params:
        matches = [(a, path) for a in held for path in _paths_called(a, said)]
        if not matches:
            names = ", ".join(f"{argument.key} '{argument.name}'" for argument in held)
            raise ValueError(
                f"params: {said!r} is no part of a carried argument; carried are {names}"
            )
        roots.append(matches[0])
    return roots


def _default_roots(held: Sequence[Tree]) -> list[tuple[Tree, Path]]:
    typed = [argument for argument in held if any(leaf.is_param for leaf in argument.leaves)]
    if typed:
        roots = [(argument, _position(argument)) for argument in typed]
        return [root for root in roots if not _is_inside_of_another(root[0], roots[0])]
    # A flax TrainState, or a dict of everything.
    inside = any(leaf.path[:1] == ("params",) for leaf in held[0].leaves)
    return [(held[0], ("params",) if inside else ())]


def _is_inside_of_another(argument: Tree, first: tuple[Tree, Path]) -> bool:
    """Whether the argument has trees laid out as the first one's parameters: an
    optax state of flax.nnx.Param has its moments as flax.nnx.Param."""
    tree, root = first
    known = {leaf.path[len(root) :] for leaf in tree.leaves if leaf.is_param}
    return argument is not tree and any(
        leaf.path[cut:] in known
        for leaf in argument.leaves
        for cut in range(1, len(leaf.path))
        if leaf.is_param
    )


def _position(argument: Tree) -> Path:
    """`0` where all flax.nnx.Param are in the first item of a tuple."""
    firsts = {leaf.path[:1] for leaf in argument.leaves if leaf.is_param}
    first = firsts.pop()
    return first if not firsts and first and first[0].isdigit() else ()


def _paths_called(argument: Tree, said: int | str) -> list[Path]:
    """The path in the argument that `said` stands for, if there is one."""
    if said in (argument.key, argument.name):
        return [()]
    return [
        leaf.path[:end]
        for leaf in argument.leaves
        for end in range(1, len(leaf.path) + 1)
        if ".".join((argument.name, *leaf.path[:end])) == said
    ][:1]


def _told_apart(
    arguments: Sequence[Tree], parameters: Mapping[Place, Parameter], outputs: Sequence[str]
) -> dict[Place, Parameter]:
    """Parameters that no input, no output and nothing else that is carried has
    the name of: a file may hold them all."""
    others = {
        leaf_name(argument, leaf)
        for argument in arguments
        for i, leaf in enumerate(argument.leaves)
        if (argument.key, i) not in parameters
    }
    others |= set(outputs)
    return {
        place: replace(p, name=leaf_name(arguments[place[0]], p.leaf)) if p.name in others else p
        for place, p in parameters.items()
    }


# --- states ----------------------------------------------------------------


def _argument_roles(
    arguments: Sequence[Tree],
    carried: Mapping[int, Hashable],
    parameters: Mapping[Place, Parameter],
) -> dict[Place, tuple[str, ...]]:
    count = Counter(parameter.path for parameter in parameters.values())
    # In two models of one layout it is not known whose state it is.
    known = {p.path: p for p in parameters.values() if count[p.path] == 1}
    roles: dict[Place, tuple[str, ...]] = {}
    for argument in arguments:
        mirrors = _mirrors(argument, known)
        for i, leaf in enumerate(argument.leaves):
            place = (argument.key, i)
            if place in parameters:
                roles[place] = ("param", parameters[place].name)
            elif argument.key not in carried:
                roles[place] = ("input", leaf_name(argument, leaf))
            else:
                owner, name = _owner(argument, leaf, mirrors, known)
                roles[place] = ("state", owner, name)
    return roles


def _mirrors(argument: Tree, known: Mapping[Path, Parameter]) -> set[Path]:
    """The subtrees that are laid out as the parameters are, by their paths.

    Some parameters may be missing in one: optax masks them out.
    """
    roots, others = set(), set()
    for leaf in argument.leaves:
        for cut in range(len(leaf.path) + 1):
            roots.add(leaf.path[:cut])
            if leaf.path[cut:] not in known:
                others.add(leaf.path[:cut])
    return roots - others


def _owner(
    argument: Tree, leaf: Leaf, mirrors: set[Path], known: Mapping[Path, Parameter]
) -> tuple[str, str]:
    """A leaf's parameter, if it is in a mirror, and the name of that:
    `opt_state.0.mu` for all of mu. Else no parameter, and its own name.

    Shapes may differ: an average of rows is a state of its matrix.
    """
    for cut in range(len(leaf.path) + 1):
        root, path = leaf.path[:cut], leaf.path[cut:]
        # The one parameter without a path is like any array.
        if root in mirrors and (path or leaf.type == known[path].leaf.type):
            return known[path].name, ".".join((argument.name, *root))
    return "", leaf_name(argument, leaf)


def _with_short_states(roles: dict[Place, tuple[str, ...]]) -> dict[Place, tuple[str, ...]]:
    """Owned states under the last word of their path (`mu`), if no other state
    of the parameter has it."""

    def short(role: tuple[str, ...]) -> tuple[str, ...]:
        return (*role[:2], role[2].rpartition(".")[2])

    is_owned = {place: role[0] == "state" and bool(role[1]) for place, role in roles.items()}
    count = Counter(short(role) for place, role in roles.items() if is_owned[place])
    return {
        place: short(role)
        if is_owned[place] and count[short(role)] == 1 and not short(role)[2].isdigit()
        else role
        for place, role in roles.items()
    }


# --- names -----------------------------------------------------------------


def _role_text(kind: str, *names: str) -> str:
    """A role as MLIR text: `#train.state<"fc.weight", "exp_avg">`."""
    return f"#train.{kind}<{', '.join(map(string_literal, names))}>"


def _tensor_name(kind: str, *names: str) -> str | None:
    if kind == "input":
        return None
    owner, *state = names
    if not state:
        return owner
    return f"state.{owner}.{state[0]}" if owner else state[0]


def _output_names(results: Sequence[Tree]) -> Iterator[str]:
    """`loss` is the first scalar without a name; the others are called by
    their key in the dict that the step returns, or `output2`."""
    scalar = ((), np.dtype(np.float32))
    lone = [r for r in results if not r.name and len(r.leaves) == 1 and not r.leaves[0].path]
    loss = next((result for result in lone if result.leaves[0].type == scalar), None)
    for result in results:
        for leaf in result.leaves:
            name = "loss" if result is loss else result.name or f"output{result.key}"
            yield ".".join((name, *leaf.path))


def _check_unique(kind: str, names: Sequence[str | None]) -> None:
    name, count = Counter(filter(None, names)).most_common(1)[0] if any(names) else ("", 0)
    if count > 1:
        raise ValueError(
            f"more than one {kind} is named '{name}' (the path of keys to it; the state s"
            " of a parameter p is state.p.s): rename a key or an argument"
        )
