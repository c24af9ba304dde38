# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A loop over time in a traced graph: the op `plait::scan`, and its text.

An iteration is a cell: (constants, what the sequences hold at this time, what
the last iteration carried on) -> (what to carry on, what to put into the
results). Cells are registered by name; each is traced for the shapes at hand,
and the loop calls it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from plait.torch.assemble import tensor_type
from plait.torch.tracing import decompositions, trace

Cell = Callable[[list[Tensor], list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]

_CELLS: dict[str, Cell] = {}


def cell(function: Cell) -> Cell:
    """Register a function as the cell of its name."""
    _CELLS[function.__name__] = function
    return function


# Not torch.library.custom_op: that brings an autograd.Function of the old kind,
# which torch.func does not take.
_LIBRARY = torch.library.Library("plait", "DEF")
_LIBRARY.define(
    "scan(str name, bool backwards, Tensor[] constants, Tensor[] sequences, Tensor[] carried)"
    " -> Tensor[]"
)


def scan(
    name: str,
    backwards: bool,
    constants: Sequence[Tensor],
    sequences: Sequence[Tensor],
    carried: Sequence[Tensor],
) -> list[Tensor]:
    """The values carried out of the last iteration, then the results [T, ...].

    Args:
        name: a registered cell's.
        backwards: go from the last time to the first.
        sequences: each [T, ...], at least one.
        carried: into the first iteration.
    """
    return torch.ops.plait.scan(name, backwards, constants, sequences, carried)


def _run(
    name: str,
    backwards: bool,
    constants: Sequence[Tensor],
    sequences: Sequence[Tensor],
    carried: Sequence[Tensor],
) -> list[Tensor]:
    count = len(sequences[0])
    results: dict[int, list[Tensor]] = {}
    carried = [value.clone() for value in carried]
    for time in reversed(range(count)) if backwards else range(count):
        parts = [sequence[time] for sequence in sequences]
        carried, results[time] = _CELLS[name](list(constants), parts, carried)
    return [*carried, *map(torch.stack, zip(*(results[time] for time in range(count))))]


def _shapes(
    name: str,
    backwards: bool,
    constants: Sequence[Tensor],
    sequences: Sequence[Tensor],
    carried: Sequence[Tensor],
) -> list[Tensor]:
    nexts, results = _CELLS[name](list(constants), [s[0] for s in sequences], list(carried))
    count = len(sequences[0])
    return [
        *(torch.empty_like(value) for value in nexts),
        *(value.new_empty([count, *value.shape]) for value in results),
    ]


_LIBRARY.impl("scan", _run, "CompositeExplicitAutograd")
torch.library.register_fake("plait::scan", _shapes)


def is_scan(node: Node) -> bool:
    return node.target is torch.ops.plait.scan.default


@dataclass(frozen=True)
class Loop:
    """A scan of a graph, to be lowered.

    Attributes:
        cell: the graph of (constants..., parts..., carried...) -> (carried...,
            results...).
        lines: the loop, calling the cell by the name given.
        outputs: the values that stand for the scan's results.
    """

    cell: GraphModule
    lines: list[str]
    outputs: list[str]


def make_loop(node: Node, cell_name: str, prefix: str, values: Callable[[Node], str]) -> Loop:
    """The loop of a scan. Its values begin with `prefix`; `values` names operands."""
    name, backwards, constants, sequences, carried = node.args
    metas = [[n.meta["val"] for n in nodes] for nodes in (constants, sequences, carried)]
    outputs = [_like(value) for value in node.meta["val"]]
    examples = [_like(v) for v in metas[0]], [_like(v[0]) for v in metas[1]], [_like(v) for v in metas[2]]
    sizes = [len(part) for part in examples]

    def flat(*arguments: Tensor) -> list[Tensor]:
        rest = list(arguments)
        parts = [[rest.pop(0) for _ in range(size)] for size in sizes]
        nexts, results = _CELLS[name](*parts)
        return [*nexts, *results]

    graph = trace(flat, [v for part in examples for v in part], decompositions())
    lines, inner = [], []
    count = len(metas[1][0])
    carried_types = [tensor_type(value) for value in examples[2]]
    result_types = [tensor_type(value) for value in outputs[sizes[2] :]]
    types = [*carried_types, *result_types]
    for i, shape in enumerate(result_types):
        lines.append(f"  %{prefix}_empty{i} = tensor.empty() : {shape}")
    starts = [values(n) for n in carried] + [f"%{prefix}_empty{i}" for i in range(len(result_types))]
    inner = [f"%{prefix}_carried{i}" for i in range(len(starts))]
    bindings = ", ".join(f"{i} = {s}" for i, s in zip(inner, starts))
    lines += [
        f"  %{prefix}_first = arith.constant 0 : index",
        f"  %{prefix}_one = arith.constant 1 : index",
        f"  %{prefix}_count = arith.constant {count} : index",
        f"  %{prefix}_last = arith.constant {count - 1} : index",
        f"  %{prefix}:{len(types)} = scf.for %{prefix}_k = %{prefix}_first to %{prefix}_count"
        f" step %{prefix}_one iter_args({bindings}) -> ({', '.join(types)}) {{",
    ]
    time = f"%{prefix}_k"
    if backwards:
        time = f"%{prefix}_time"
        lines.append(f"    {time} = arith.subi %{prefix}_last, %{prefix}_k : index")
    parts = []
    for i, (operand, whole, part) in enumerate(zip(sequences, metas[1], examples[1])):
        parts.append(f"%{prefix}_part{i}")
        lines.append(
            f"    {parts[-1]} = tensor.extract_slice {values(operand)}{_place(time, part)}"
            f" : {tensor_type(whole)} to {tensor_type(part)}"
        )
    operands = [*map(values, constants), *parts, *inner[: sizes[2]]]
    operand_types = [tensor_type(v) for part in examples for v in part]
    row_types = [tensor_type(value[0]) for value in outputs[sizes[2] :]]
    lines.append(
        f"    %{prefix}_next:{len(types)} = func.call @{cell_name}({', '.join(operands)})"
        f" : ({', '.join(operand_types)}) -> ({', '.join([*carried_types, *row_types])})"
    )
    yielded = [f"%{prefix}_next#{i}" for i in range(sizes[2])]
    for i, (shape, row, value) in enumerate(zip(result_types, row_types, outputs[sizes[2] :])):
        yielded.append(f"%{prefix}_all{i}")
        lines.append(
            f"    {yielded[-1]} = tensor.insert_slice %{prefix}_next#{sizes[2] + i} into"
            f" {inner[sizes[2] + i]}{_place(time, value[0])} : {row} into {shape}"
        )
    lines += [f"    scf.yield {', '.join(yielded)} : {', '.join(types)}", "  }"]
    return Loop(graph, lines, [f"%{prefix}#{i}" for i in range(len(types))])


def _place(time: str, part: Tensor) -> str:
    """The slice of a sequence at a time."""
    zeros = "".join(", 0" for _ in part.shape)
    sizes = "".join(f", {size}" for size in part.shape)
    return f"[{time}{zeros}] [1{sizes}] [{', '.join(['1'] * (part.dim() + 1))}]"


def _like(value: Tensor) -> Tensor:
    """A tensor of that shape and type outside the trace."""
    return torch.zeros(value.shape, dtype=value.dtype)
