# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The step as a function that calls its traced parts.

`@gradients` runs once, or in a loop over micro-batches that adds up what it
returns; `@clip` and `@update` follow where there are such. All are inlined into
`@main`, whose arguments and results are as `compose_step` takes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from plait.errors import UnsupportedError

ELEMENT_TYPES = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.bool: "i1",
    torch.uint8: "i8",
}

#: These cross the boundary as signed integers of the same bits; ops know better.
UNSIGNED = frozenset((torch.uint8,))


def tensor_type(value: Tensor) -> str:
    """A tensor's type in MLIR.

    Raises:
        UnsupportedError: its element type has none that plait-run takes.
    """
    if value.dtype not in ELEMENT_TYPES:
        raise UnsupportedError(f"tensors of {value.dtype} have no import")
    return f"tensor<{''.join(f'{n}x' for n in value.shape)}{ELEMENT_TYPES[value.dtype]}>"


@dataclass(frozen=True)
class Plan:
    """What a step is made of; all types are MLIR's.

    Attributes:
        loss: of the loss.
        trained: of the parameters.
        carried: of buffers and frozen parameters.
        inputs: of what one micro-batch takes.
        states: for each parameter those of its states, if the update is traced.
        rates: how many learning rates the traced update takes.
        clips: whether there is a `@clip`.
        repeats: how many micro-batches a step takes.
    """

    loss: str
    trained: Sequence[str]
    carried: Sequence[str]
    inputs: Sequence[str]
    states: Sequence[Sequence[str]] | None = None
    rates: int = 0
    clips: bool = False
    repeats: int = 1

    def text(self) -> str:
        """`@main`, and declarations of what it calls."""
        return _Text(self).module()


@dataclass
class _Text:
    plan: Plan
    lines: list[str] = field(default_factory=list)
    count: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    def module(self) -> str:
        plan = self.plan
        whole = [_repeated(t, plan.repeats) for t in plan.inputs]
        owned = plan.states or [()] * len(plan.trained)
        taken = [t for own, states in zip(plan.trained, owned) for t in (own, *states)]
        types = [*taken, *plan.carried, *whole, *["tensor<f32>"] * plan.rates]
        names = [f"%arg{i}" for i in range(len(types))]
        updated, rest = names[: len(taken)], names[len(taken) :]
        carried, rest = rest[: len(plan.carried)], rest[len(plan.carried) :]
        inputs, rates = rest[: len(whole)], rest[len(whole) :]
        parameters, at = [], 0
        for states in owned:
            parameters.append(updated[at])
            at += 1 + len(states)

        loss, grads, nexts = self.gradients(parameters, carried, inputs)
        if plan.clips:
            grads = self.call("clip", grads, plan.trained, plan.trained)
        result_types = [*plan.trained, *plan.carried]
        if plan.states is not None:
            values = [*updated, *grads, *rates]
            value_types = [*taken, *plan.trained, *["tensor<f32>"] * plan.rates]
            grads = self.call("update", values, value_types, taken)
            result_types = [*taken, *plan.carried]
        results = [loss, *grads, *nexts]
        header = ", ".join(f"{n}: {t}" for n, t in zip(names, types))
        result_types = [plan.loss, *result_types]
        return "\n".join([
            *self.declarations(taken),
            f"func.func @main({header}) -> ({', '.join(result_types)}) {{",
            *self.lines,
            f"  return {', '.join(results)} : {', '.join(result_types)}",
            "}",
        ])  # fmt: skip

    def declarations(self, taken: Sequence[str]) -> list[str]:
        plan = self.plan
        rates = ["tensor<f32>"] * plan.rates
        declared: list[tuple[str, Sequence[str], Sequence[str]]] = [
            ("gradients", [*plan.trained, *plan.carried, *plan.inputs],
             [plan.loss, *plan.trained, *plan.carried]),
        ]  # fmt: skip
        if plan.clips:
            declared.append(("clip", plan.trained, plan.trained))
        if plan.states is not None:
            declared.append(("update", [*taken, *plan.trained, *rates], taken))
        return [
            f"func.func private @{name}({', '.join(ins)}) -> ({', '.join(outs)})"
            for name, ins, outs in declared
        ]

    def gradients(
        self, parameters: Sequence[str], carried: Sequence[str], inputs: Sequence[str]
    ) -> tuple[str, list[str], list[str]]:
        """The loss, the gradients and the next carried values."""
        plan = self.plan
        ins = [*plan.trained, *plan.carried, *plan.inputs]
        outs = [plan.loss, *plan.trained, *plan.carried]
        if plan.repeats == 1:
            loss, *rest = self.call("gradients", [*parameters, *carried, *inputs], ins, outs)
            return loss, rest[: len(parameters)], rest[len(parameters) :]
        sums = [plan.loss, *plan.trained]
        starts = [self.zeros(t) for t in sums] + list(carried)
        inner = [f"%inner{i}" for i in range(len(starts))]
        result = f"%loop:{len(starts)}"
        carries = ", ".join(f"{i} = {s}" for i, s in zip(inner, starts))
        self.lines += [
            "  %first = arith.constant 0 : index",
            "  %one = arith.constant 1 : index",
            f"  %repeats = arith.constant {plan.repeats} : index",
            f"  {result} = scf.for %k = %first to %repeats step %one"
            f" iter_args({carries}) -> ({', '.join(outs)}) {{",
        ]
        parts = [self.part(i, v, t) for i, (v, t) in enumerate(zip(inputs, plan.inputs))]
        values = self.call("gradients", [*parameters, *inner[len(sums) :], *parts], ins, outs)
        added = [self.sum(a, v, t) for a, v, t in zip(inner, values, sums)]
        yields = [*added, *values[len(sums) :]]
        self.lines += [f"  scf.yield {', '.join(yields)} : {', '.join(outs)}", "  }"]
        results = [f"%loop#{i}" for i in range(len(starts))]
        return results[0], results[1 : len(sums)], results[len(sums) :]

    def call(
        self, name: str, values: Sequence[str], ins: Sequence[str], outs: Sequence[str]
    ) -> list[str]:
        result = f"%r{next(self.count)}"
        self.lines.append(
            f"  {result}:{len(outs)} = func.call @{name}({', '.join(values)})"
            f" : ({', '.join(ins)}) -> ({', '.join(outs)})"
        )
        return [f"{result}#{i}" for i in range(len(outs))]

    def zeros(self, shape: str) -> str:
        n = next(self.count)
        self.lines += [
            f"  %zero{n} = arith.constant 0.0 : {_element(shape)}",
            f"  %empty{n} = tensor.empty() : {shape}",
            f"  %v{n} = linalg.fill ins(%zero{n} : {_element(shape)})"
            f" outs(%empty{n} : {shape}) -> {shape}",
        ]
        return f"%v{n}"

    def sum(self, one: str, two: str, shape: str) -> str:
        """`one` + `two`, in the memory of `one`."""
        n, element = next(self.count), _element(shape)
        dims = ", ".join(f"d{i}" for i in range(len(_sizes(shape))))
        same = f"affine_map<({dims}) -> ({dims})>"
        loops = ", ".join('"parallel"' for _ in _sizes(shape))
        self.lines += [
            f"  %v{n} = linalg.generic {{indexing_maps = [{same}, {same}],"
            f" iterator_types = [{loops}]}} ins({two} : {shape}) outs({one} : {shape}) {{",
            f"  ^bb0(%in: {element}, %out: {element}):",
            f"    %sum = arith.addf %out, %in : {element}",
            f"    linalg.yield %sum : {element}",
            f"  }} -> {shape}",
        ]
        return f"%v{n}"

    def part(self, index: int, value: str, shape: str) -> str:
        """Micro-batch k of an input; a scalar is the same for all."""
        sizes = _sizes(shape)
        if not sizes:
            return value
        zeros = "".join(", 0" for _ in sizes[1:])
        ones = ", ".join("1" for _ in sizes)
        self.lines += [
            f"  %rows{index} = arith.constant {sizes[0]} : index",
            f"  %at{index} = arith.muli %k, %rows{index} : index",
            f"  %part{index} = tensor.extract_slice {value}[%at{index}{zeros}]"
            f" [{', '.join(sizes)}] [{ones}] : {_repeated(shape, self.plan.repeats)} to {shape}",
        ]
        return f"%part{index}"


def _sizes(shape: str) -> list[str]:
    return shape[len("tensor<") : -1].split("x")[:-1]


def _element(shape: str) -> str:
    return shape[len("tensor<") : -1].split("x")[-1]


def _repeated(shape: str, times: int) -> str:
    """The type with `times` as many rows."""
    sizes = _sizes(shape)
    if not sizes or times == 1:
        return shape
    return f"tensor<{'x'.join([str(int(sizes[0]) * times), *sizes[1:], _element(shape)])}>"
