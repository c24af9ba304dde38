# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which result of a step is the next value of which argument.

Found by structure where there is one choice and it is no chance; everything
else is for the user to say.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from plait.jax.tree import Tree, Updated, describe, leaf_name

Pair = tuple[Tree, Tree]


def match_carried(
    arguments: Sequence[Tree],
    results: Sequence[Tree],
    carry: Mapping[int | str, Hashable] | None,
    depends: Callable[[Tree, Tree], bool],
    derives: Callable[[Tree, Tree], bool],
) -> dict[int, Hashable]:
    """For each carried argument, by index, the key of the result that is its
    next value. An object that the step updates is always one.

    Args:
        carry: what the user says; None to find it by structure.
        depends: whether a result depends on an argument, asked about lone
            arrays only: a state may be replaced by what does not depend on it.
        derives: whether anything of a result is computed element by element
            from what it would replace; asked about dicts, lists and tuples, which
            a batch or metrics may be as well.

    Raises:
        ValueError: `carry` names what there is not, or two things that differ
            in structure; without it, more than one choice, or a match that may
            be chance.
    """
    in_place = {r.key.argument: r.key for r in results if isinstance(r.key, Updated)}
    arguments = [argument for argument in arguments if argument.key not in in_place]
    results = [result for result in results if not isinstance(result.key, Updated)]
    if carry is not None:
        if not carry and not in_place:
            raise ValueError("carry is empty: a training step carries its parameters")
        found = _checked(arguments, results, carry)
        return in_place | found | _empty(arguments, results, found)
    pairs = [
        (argument, result)
        for argument in arguments
        for result in results
        if argument.leaves
        and argument.looks_like(result)
        and (_is_tree(argument) or depends(argument, result))
    ]
    for argument, result in pairs:
        rivals = [pair for pair in pairs if pair[0] is argument or pair[1] is result]
        if len(rivals) > 1 or not _surely_carried(argument):
            raise ValueError(_ambiguous(rivals, pairs))
    if not pairs and not in_place:
        raise ValueError(
            "no result of the step is the next value of an argument: none has an argument's"
            " structure, shapes and element types. Say which with carry={argument: result}"
        )
    for argument, result in pairs:
        if _is_tree(argument) and _is_plain(argument.structure) and not derives(argument, result):
            raise ValueError(
                f"argument {argument.key} '{argument.name}' and result {result.key!r} have one"
                " structure, but nothing of the result is computed element by element from the"
                " argument, as the next value of a parameter or state is. Are they gradients, or"
                " is it chance? If it is the next value, say"
                f" carry={{{argument.key}: {result.key!r}}};"
                " if not, say what is carried"
            )
    found = {argument.key: result.key for argument, result in pairs}
    return in_place | found | _empty(arguments, results, found)


def _empty(
    arguments: Sequence[Tree], results: Sequence[Tree], found: Mapping[int, Hashable]
) -> dict[int, Hashable]:
    """The arguments without any array (the state of optax.sgd), which are carried
    into results like them, in order: there is nothing to mistake."""
    left = [r for r in results if not r.leaves and r.key not in found.values()]
    carried: dict[int, Hashable] = {}
    for argument in arguments:
        same = [r for r in left if r.structure == argument.structure]
        if not argument.leaves and argument.key not in found and same:
            carried[argument.key] = same[0].key
            left.remove(same[0])
    return carried


def _checked(
    arguments: Sequence[Tree], results: Sequence[Tree], carry: Mapping[int | str, Hashable]
) -> dict[int, Hashable]:
    by_key = {result.key: result for result in results}
    by_name: dict[int | str, Tree] = {argument.name: argument for argument in arguments}
    by_name |= {argument.key: argument for argument in arguments}
    found: dict[int, Hashable] = {}
    for said, key in carry.items():
        argument, result = by_name.get(said), by_key.get(key)
        if argument is None:
            names = ", ".join(f"{a.key} '{a.name}'" for a in arguments)
            raise ValueError(f"carry: there is no argument {said!r}, only {names}")
        if result is None:
            raise ValueError(f"carry: there is no result {key!r}, only {[*by_key]}")
        if argument.key in found or key in found.values():
            raise ValueError(f"carry: argument {said!r} or result {key!r} is there twice")
        _check_fit(argument, result)
        found[argument.key] = key
    return found


def _check_fit(argument: Tree, result: Tree) -> None:
    if argument.structure != result.structure:
        raise ValueError(
            f"carry: result {result.key!r} has not the structure of argument"
            f" '{argument.name}': {result.structure}, not {argument.structure}"
        )
    for mine, theirs in zip(argument.leaves, result.leaves):
        if mine.type != theirs.type:
            raise ValueError(
                f"carry: '{leaf_name(argument, mine)}' is {describe(mine)}, but its next"
                f" value in result {result.key!r} is {describe(theirs)}"
            )


def _surely_carried(argument: Tree) -> bool:
    """A lone array that looks like a result may be by chance: a rate beside a
    loss, an image beside its reconstruction. The first argument is not."""
    leaf = argument.leaves[0]
    if _is_tree(argument) or argument.key == 0:
        return True
    raw_key = leaf.type == ((2,), np.dtype(np.uint32))
    return raw_key or jax.dtypes.issubdtype(leaf.value.dtype, jax.dtypes.prng_key)


def _is_tree(argument: Tree) -> bool:
    return len(argument.leaves) > 1 or bool(argument.leaves[0].path)


def _is_plain(structure: Any) -> bool:
    """Whether a tree is of dicts, lists and tuples only: no state of optax, say."""
    node = structure.node_data()
    plain = node is None or node[0] in (dict, list, tuple)
    return plain and all(map(_is_plain, structure.children()))


def _ambiguous(rivals: Sequence[Pair], pairs: Sequence[Pair]) -> str:
    """The message about arguments and results that look alike."""
    told = " and ".join(
        f"argument {argument.key} '{argument.name}' and result {result.key!r}"
        for argument, result in rivals
    )
    sure = {a.key: r.key for a, r in pairs if (a, r) not in rivals and _surely_carried(a)}
    choices = [str(sure | {argument.key: result.key}) for argument, result in rivals]
    if sure and not all(_surely_carried(argument) for argument, _ in rivals):
        choices.append(str(sure))
    return (
        f"{told} look alike ({describe(rivals[0][0].leaves[0])}"
        f"{', ...' if len(rivals[0][0].leaves) > 1 else ''}), so it is not clear what is"
        f" carried into what: say carry={' or carry='.join(choices)}"
    )
