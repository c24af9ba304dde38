# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A loop over time in a traced graph: the op `plait::scan`, and its text.

An iteration is a cell: (constants, what the sequences hold at this time, what
the last iteration carried on) -> (what to carry on, what to put into the
results). Cells are registered by name; each is traced for the shapes at hand,
and the loop calls it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from plait.torch.assemble import tensor_type
from plait.torch.half import Widening
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


class Loop:
    """A scan of a graph, to be lowered: the graph of its cell, and the text of a
    loop that calls it.

    Attributes:
        cell: the graph of (constants..., parts..., carried...) -> (carried...,
            results...).
        outputs: the values that stand for the scan's results.
    """

    def __init__(self, node: Node, cell_name: str, prefix: str, values: Callable[[Node], str]):
        """`prefix` is what the loop's values begin with; `values` names operands."""
        name, self.backwards, *operands = node.args
        self.cell_name, self.prefix = cell_name, prefix
        self.constants, self.sequences, self.carried = ([values(n) for n in o] for o in operands)
        constants, self.wholes, carried = ([_like(n.meta["val"]) for n in o] for o in operands)
        results = [_like(value) for value in node.meta["val"]]
        self.parts = [whole[0] for whole in self.wholes]
        self.results = results[len(carried) :]
        self.operands = [constants, self.parts, carried]
        self.types = [tensor_type(value) for value in results]
        self.outputs = [f"%{prefix}#{i}" for i in range(len(results))]
        self.cell = self._trace(_CELLS[name])

    def _trace(self, function: Cell) -> GraphModule:
        sizes = [len(part) for part in self.operands]

        def flat(*arguments: Tensor) -> list[Tensor]:
            rest = list(arguments)
            parts = [[rest.pop(0) for _ in range(size)] for size in sizes]
            nexts, results = function(*parts)
            return [*nexts, *results]

        arguments = [v for part in self.operands for v in part]
        cell = Widening(trace(flat, arguments))
        return trace(cell.run, arguments, decompositions())

    def text(self) -> list[str]:
        """The lines of the loop."""
        p, count = f"%{self.prefix}", len(self.wholes[0])
        results = [tensor_type(value) for value in self.results]
        empties = [f"{p}_empty{i}" for i in range(len(results))]
        inner = [f"{p}_carried{i}" for i in range(len(self.types))]
        starts = zip(inner, [*self.carried, *empties])
        time = f"{p}_time" if self.backwards else f"{p}_k"
        return [
            *(f"  {value} = tensor.empty() : {shape}" for value, shape in zip(empties, results)),
            f"  {p}_first = arith.constant 0 : index",
            f"  {p}_one = arith.constant 1 : index",
            f"  {p}_count = arith.constant {count} : index",
            f"  {p}_last = arith.constant {count - 1} : index",
            f"  {p}:{len(self.types)} = scf.for {p}_k = {p}_first to {p}_count step {p}_one"
            f" iter_args({', '.join(f'{i} = {s}' for i, s in starts)})"
            f" -> ({', '.join(self.types)}) {{",
            *([f"    {time} = arith.subi {p}_last, {p}_k : index"] if self.backwards else []),
            *self._body(time, inner),
            "  }",
        ]

    def _body(self, time: str, inner: list[str]) -> list[str]:
        p, lines = f"%{self.prefix}", []
        parts = [f"{p}_part{i}" for i in range(len(self.parts))]
        for value, sequence, whole, part in zip(parts, self.sequences, self.wholes, self.parts):
            lines.append(
                f"    {value} = tensor.extract_slice {sequence}{_place(time, part)}"
                f" : {tensor_type(whole)} to {tensor_type(part)}"
            )
        carried = len(self.carried)
        ins = [tensor_type(v) for part in self.operands for v in part]
        rows = [tensor_type(value[0]) for value in self.results]
        lines.append(
            f"    {p}_next:{len(self.types)} = func.call @{self.cell_name}"
            f"({', '.join([*self.constants, *parts, *inner[:carried]])})"
            f" : ({', '.join(ins)}) -> ({', '.join([*self.types[:carried], *rows])})"
        )
        yielded = [f"{p}_next#{i}" for i in range(carried)]
        for i, (result, row) in enumerate(zip(self.results, rows), carried):
            yielded.append(f"{p}_all{i}")
            lines.append(
                f"    {yielded[-1]} = tensor.insert_slice {p}_next#{i} into {inner[i]}"
                f"{_place(time, result[0])} : {row} into {self.types[i]}"
            )
        lines.append(f"    scf.yield {', '.join(yielded)} : {', '.join(self.types)}")
        return lines


def _place(time: str, part: Tensor) -> str:
    """The slice of a sequence at a time."""
    zeros = "".join(", 0" for _ in part.shape)
    sizes = "".join(f", {size}" for size in part.shape)
    return f"[{time}{zeros}] [1{sizes}] [{', '.join(['1'] * (part.dim() + 1))}]"


def _like(value: Tensor) -> Tensor:
    """A tensor of that shape and type outside the trace."""
    return torch.zeros(value.shape, dtype=value.dtype)
