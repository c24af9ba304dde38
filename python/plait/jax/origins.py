# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where a result of a step comes from, element by element.

A next value looks like the argument it replaces, and so does a gradient, or a
dict of metrics that happens to be as large as the batch. The first is made of
the old value: a parameter's is the old one plus something, a state's is computed
element by element from the old one, or in a loop or branch that it is carried
through. A gradient comes out of products, and scaled.
"""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import Literal

#: Ops through which an operand, by position, is a term of the result.
_TERMS = {
    "add": (0, 1), "add_any": (0, 1), "sub": (0,), "max": (0, 1), "min": (0, 1), "clamp": (1,),
    "copy": (0,), "copy_p": (0,), "convert_element_type": (0,), "bitcast_convert_type": (0,),
    "reshape": (0,), "squeeze": (0,), "reduce_precision": (0,), "stop_gradient": (0,),
}  # fmt: skip

#: Ops whose result has the shape of an operand, but not its elements.
_MIXING = frozenset(
    "dot_general conv_general_dilated sort transpose rev cumsum cumprod cummax cummin gather"
    " dynamic_slice scatter scatter-add cholesky triangular_solve".split()
)


def sources(jaxpr: Any, result: int, terms_only: bool) -> set[int]:
    """The arguments of a jaxpr, by position, that a result is made of element by
    element: as a term of it if `terms_only`, by any such op otherwise."""
    makers = {out: eqn for eqn in jaxpr.eqns for out in eqn.outvars}
    places = {var: i for i, var in enumerate(jaxpr.invars)}
    found, seen, queue = set(), set(), [jaxpr.outvars[result]]
    while queue:
        var = queue.pop()
        if isinstance(var, Literal) or var in seen:
            continue
        seen.add(var)
        if var in places:
            found.add(places[var])
        elif var in makers:
            queue += _operands(makers[var], var, terms_only)
    return found


def _operands(eqn: Any, out: Any, terms_only: bool) -> Iterator[Any]:
    """What one result of an op is made of."""
    name, index = eqn.primitive.name, eqn.outvars.index(out)
    if name == "scan":
        carried = range(eqn.params["num_carry"])
        if index in carried:
            yield eqn.invars[eqn.params["num_consts"] + index]
    elif name == "while":
        yield eqn.invars[eqn.params["cond_nconsts"] + eqn.params["body_nconsts"] + index]
    elif name == "cond":
        for branch in eqn.params["branches"]:
            for i in sources(branch.jaxpr, index, terms_only):
                yield eqn.invars[1 + i]
    elif (inner := _called(eqn)) is not None:
        for i in sources(inner, index, terms_only):
            yield eqn.invars[i]
    elif name == "select_n":
        yield from eqn.invars[1:]
    elif name == "optimization_barrier":
        yield eqn.invars[index]
    elif name in _TERMS:
        yield from (eqn.invars[i] for i in _TERMS[name])
    elif not terms_only and name not in _MIXING:
        yield from (v for v in eqn.invars if v.aval.shape == out.aval.shape)


def _called(eqn: Any) -> Any:
    """The function that an op calls with its operands."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = eqn.params.get(key)
        inner = getattr(inner, "jaxpr", inner)
        if inner is not None and len(inner.invars) == len(eqn.invars):
            return inner
    return None
