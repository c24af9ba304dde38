# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Scalars in a step, computed from the example arguments: `1 - lr * decay`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jax.core import eval_jaxpr
from jax.extend.core import Jaxpr, Literal

Example = Callable[[], Any]


class Scalars:
    """The scalars of a jaxpr that are made of scalars only.

    Args:
        examples: give the value of each constant and argument, or None where it is
            not known.
    """

    def __init__(self, jaxpr: Any, examples: Sequence[Example] = ()) -> None:
        self._makers = {out: eqn for eqn in jaxpr.eqns for out in eqn.outvars}
        self._jaxpr = jaxpr
        # Of a function that is called within, the constants are not known.
        variables = [*jaxpr.constvars, *jaxpr.invars]
        self._examples = dict(zip(variables[len(variables) - len(examples) :], examples))
        self._known: dict[Any, Any] = {}

    def value(self, var: Any) -> float | None:
        """Of a scalar, or of an array that repeats one; None if it is not known."""
        while not isinstance(var, Literal) and var.aval.shape:
            eqn = self._makers.get(var)
            if eqn is None or eqn.primitive.name != "broadcast_in_dim":
                return None
            var = eqn.invars[0]
        value = self._compute(var)
        return None if value is None else float(value)

    def of(self, operands: Sequence[Any]) -> list[Example]:
        """Examples of what is passed on to a function that is called with these."""
        return [partial(self._compute, operand) for operand in operands]

    def _compute(self, var: Any) -> Any:
        if isinstance(var, Literal):
            return var.val
        if var not in self._known:
            self._known[var] = self._made(var) if not var.aval.shape else None
        return self._known[var]

    def _made(self, var: Any) -> Any:
        if var in self._examples:
            return self._examples[var]()
        eqn = self._makers.get(var)
        if eqn is None:
            return None
        if any(self._compute(operand) is None for operand in eqn.invars):
            return None
        given = [operand for operand in eqn.invars if not isinstance(operand, Literal)]
        unnamed = self._jaxpr.debug_info.with_unknown_names()
        alone = Jaxpr((), given, [var], [eqn], debug_info=unnamed)
        (result,) = eval_jaxpr(alone, (), *(self._compute(operand) for operand in given))
        return result
