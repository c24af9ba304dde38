# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where a result of a step comes from, element by element.

A next value looks like the argument it replaces, and so does a gradient, or a
dict of metrics that happens to be as large as the batch. The first is made of
the old value: a parameter's is the old one plus something, or nearly the old one
(times 1 - lr * decay); a state's is computed element by element from the old one, or
in a loop or branch that it is carried through. A gradient comes out of products, and
scaled by more.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jax.extend.core import Literal

from plait.jax.scalars import Scalars

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


#: How much is left of a parameter in its next value. A step of optax that returns
#: what is added to parameters has -lr * decay of them in it, a gradient the double
#: of the weight of a penalty.
_KEPT = (0.5, 2.0)


def sources(
    jaxpr: Any,
    result: int,
    terms_only: bool,
    examples: Sequence[Callable[[], Any]] = (),
) -> dict[int, float]:
    """The arguments of a jaxpr, by position, that a result is made of element by
    element: as a term of it if `terms_only`, and with which factor; by any such op
    otherwise.

    Args:
        examples: give the value of each constant and argument that is a scalar, or
            None; what terms are scaled by is computed with these.
    """
    scalars = Scalars(jaxpr, examples)
    makers = {out: eqn for eqn in jaxpr.eqns for out in eqn.outvars}
    places = {var: i for i, var in enumerate(jaxpr.invars)}
    found: dict[int, float] = {}
    seen, queue = set(), [(jaxpr.outvars[result], 1.0)]
    while queue:
        var, factor = queue.pop()
        if isinstance(var, Literal) or var in seen or not _KEPT[0] < factor < _KEPT[1]:
            continue
        seen.add(var)
        if var in places:
            found[places[var]] = factor
        elif var in makers:
            made = _operands(makers[var], var, terms_only, scalars)
            queue += [(operand, factor * by) for operand, by in made]
    return found


def _operands(
    eqn: Any, out: Any, terms_only: bool, scalars: Scalars
) -> Iterator[tuple[Any, float]]:
    """What one result of an op is made of, and by what it is scaled."""
    name, index = eqn.primitive.name, eqn.outvars.index(out)
    if name == "scan":
        carried = range(eqn.params["num_carry"])
        if index in carried:
            yield eqn.invars[eqn.params["num_consts"] + index], 1.0
    elif name == "while":
        yield eqn.invars[eqn.params["cond_nconsts"] + eqn.params["body_nconsts"] + index], 1.0
    elif name == "cond":
        operands = eqn.invars[1:]
        for branch in eqn.params["branches"]:
            inner = sources(branch.jaxpr, index, terms_only, scalars.of(operands))
            yield from ((operands[i], factor) for i, factor in inner.items())
    elif (called := _called(eqn)) is not None:
        inner = sources(called, index, terms_only, scalars.of(eqn.invars))
        yield from ((eqn.invars[i], factor) for i, factor in inner.items())
    elif name == "select_n":
        yield from ((operand, 1.0) for operand in eqn.invars[1:])
    elif name == "optimization_barrier":
        yield eqn.invars[index], 1.0
    elif name in _TERMS:
        yield from ((eqn.invars[i], 1.0) for i in _TERMS[name])
    elif not terms_only and name not in _MIXING:
        yield from ((v, 1.0) for v in eqn.invars if v.aval.shape == out.aval.shape)
    elif name == "mul" and not _is_derivative(eqn):
        one, two = eqn.invars
        for operand, by in ((one, two), (two, one)):
            if (factor := scalars.value(by)) is not None:
                yield operand, factor


def _is_derivative(eqn: Any) -> bool:
    """Whether JAX made the op, in the course of a differentiation."""
    return "jvp(" in str(eqn.source_info.name_stack)


def _called(eqn: Any) -> Any:
    """The function that an op calls with its operands."""
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = eqn.params.get(key)
        inner = getattr(inner, "jaxpr", inner)
        if inner is not None and len(inner.invars) == len(eqn.invars):
            return inner
    return None
