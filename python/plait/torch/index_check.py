# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The check of the indices that are computed: a function of a step's inputs and
buffers that says, before the step runs, whether one is out of range."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from plait.errors import UnsupportedError
from plait.step_text import IndexRange
from plait.torch.indices import Use, Wrapping, uses_of
from plait.torch.tracing import decompositions, trace


@dataclass(frozen=True)
class Check:
    """A traced check.

    Attributes:
        graph: (arguments...) -> (whether an index is out of range...).
        arguments: which arguments of the step's graph these are.
        complaints: what each result says if it is true.
    """

    graph: GraphModule
    arguments: list[int]
    complaints: list[str]


def trace_check(
    step: Wrapping,
    uses: Sequence[Use],
    values: Sequence[Tensor],
    known: Collection[int],
    inputs: int,
    repeats: int,
) -> Check:
    """The check of `uses` in the graph that `step` runs.

    Args:
        values: examples of the graph's arguments; those from `inputs` on are the
            inputs of one of `repeats` micro-batches, of which the check takes all.
        known: which arguments are what they are in the step when it is checked.

    Raises:
        UnsupportedError: an index is computed from others.
    """
    placeholders = step.module.graph.find_nodes(op="placeholder")
    for use in uses:
        needed = _needed([use.index])
        if any(node in needed for i, node in enumerate(placeholders) if i not in known):
            raise UnsupportedError(
                f"{use.complaint}, or may have: it is computed from what the step changes, so it"
                " cannot be checked before the step: clamp it (x.clamp(low, high))"
            )
    needed = _needed([use.index for use in uses])
    taken = [i for i, node in enumerate(placeholders) if node in needed]
    indices_of = _part(step, needed, uses)

    def check(*arguments: Tensor) -> tuple[Tensor, ...]:
        found = [torch.zeros((), dtype=torch.bool)] * len(uses)
        for k in range(repeats):
            own = [
                v.chunk(repeats)[k] if i >= inputs and v.dim() else v
                for i, v in zip(taken, arguments)
            ]
            for i, (use, index) in enumerate(zip(uses, indices_of.run(*own))):
                outside = _outside(index, use.allowed).any()
                found[i] = found[i] | outside if k else outside
        return tuple(found)

    whole = [
        torch.cat([values[i]] * repeats) if i >= inputs and values[i].dim() else values[i]
        for i in taken
    ]
    return Check(trace(check, whole, decompositions()), taken, [use.complaint for use in uses])


def _part(step: Wrapping, needed: set[Node], uses: Sequence[Use]) -> "_Bounded":
    """The part of a step's graph that computes the indices."""
    part, copies = Graph(), dict[Node, Node]()
    for node in step.module.graph.nodes:
        if node in needed:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output(tuple(copies[use.index] for use in uses))
    negative = [copies[node] for node in step.negative & needed]
    return _Bounded(GraphModule(step.module, part), negative)


class _Bounded(Wrapping):
    """Runs a graph so that no index is out of range: the check itself must not
    read elsewhere, when an index is looked up by another one that is wrong."""

    def run_node(self, node: Node) -> Any:
        uses = list(uses_of(node))
        before = {index: self.env[index] for index, _ in uses}
        for index, allowed in uses:
            value = self.env[index]
            self.env[index] = torch.where(_outside(value, allowed), max(allowed.low, 0), value)
        result = super().run_node(node)
        self.env.update(before)
        return result


def _outside(index: Tensor, allowed: IndexRange) -> Tensor:
    outside = (index < allowed.low) | (index >= allowed.high)
    for other in allowed.others:
        outside = outside & (index != other)
    return outside


def _needed(nodes: Iterable[Node]) -> set[Node]:
    """The nodes, and all that they are computed from."""
    found: set[Node] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += node.all_input_nodes
    return found
