# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What is used as an index in a step, and how it is checked before the step runs.

torch checks each index when it uses it; a compiled step has no way to report an
error, and reads or writes elsewhere instead. So each index in the trace is
followed back. Either its values are known to be in range; or it is an argument
of the step as it is, whose range goes into the text; or it is computed, and a
second function, the check, computes it as well and says whether it is in range.
So what torch accepts is accepted, and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from plait.errors import UnsupportedError
from plait.step_text import IndexRange
from plait.torch.half import Widening
from plait.torch.modules import where
from plait.torch.ways_out import instead_of


@dataclass(frozen=True)
class _Bounds:
    """Values that are at least low, and below high."""

    low: int
    high: int


#: Arguments, by name, all of whose elements are among the values, or bounds.
_Origins = frozenset[str | _Bounds]

#: Ops whose result has all elements of their first operand, and no others.
_MOVES = frozenset(
    "view _unsafe_view reshape clone alias detach unsqueeze squeeze expand permute transpose t"
    " lift_fresh_copy flip roll repeat".split()
)

#: Ops whose result has elements of their first operand: all if it is as large...
_PARTS = frozenset("slice select diagonal split unbind split_with_sizes".split())
#: ... or maybe not even then.
_CHOICES = frozenset("index index_select gather as_strided".split())

#: Ops whose result, or second result, is the place of something along a
#: dimension; of the latter, which argument that dimension is.
_PLACES = frozenset("argmax argmin".split())
_PLACES_SECOND = {"max": 1, "min": 1, "sort": 1, "topk": 2}

#: Ops that index by value and are not followed here.
_UNFOLLOWED = frozenset(
    "take put index_copy index_reduce scatter_reduce _embedding_bag"
    " _embedding_bag_forward_only masked_scatter bincount multi_margin_loss"
    " multilabel_margin_loss_forward _ctc_loss _unsafe_masked_index"
    " _unsafe_masked_index_put_accumulate".split()
)


@dataclass(frozen=True)
class Use:
    """An index that has to be computed to be checked.

    Attributes:
        node: the op that uses it.
        index: what computes it.
        allowed: what it may be.
    """

    node: Node
    index: Node
    allowed: IndexRange

    @property
    def complaint(self) -> str:
        allowed = self.allowed
        others = "".join(f" and not {other}" for other in allowed.others)
        return f"{where(self.node)} has an index outside [{allowed.low}, {allowed.high}){others}"


def index_uses(
    graph: GraphModule, arguments: Mapping[Node, str]
) -> tuple[dict[str, IndexRange], list[Use]]:
    """The range of each argument that is itself an index or label, and the
    indices that are computed.

    Args:
        graph: functional.
        arguments: the integer arguments that no step changes.

    Raises:
        UnsupportedError: an op selects by a mask or in a way that is not followed,
            or no value of an argument would satisfy its uses.
    """
    follow, ranges = _Follow(arguments), dict[str, IndexRange]()
    computed: dict[tuple[Node, IndexRange], Use] = {}
    for node in graph.graph.nodes:
        name = name_of(node)
        if name in _UNFOLLOWED:
            raise UnsupportedError(
                f"{where(node)} chooses by index in a way that is not checked: {instead_of(name)}"
            )
        for index, allowed in uses_of(node):
            if index.meta["val"].dtype in (torch.bool, torch.uint8):
                raise UnsupportedError(f"{where(node)} selects by a mask: use torch.where")
            origins = follow.origins(index)
            bounds = [o for o in origins if isinstance(o, _Bounds)]
            if not origins or not all(allowed.contains(o.low, o.high) for o in bounds):
                computed.setdefault((index, allowed), Use(node, index, allowed))
                continue
            for origin in origins:
                if isinstance(origin, str):
                    ranges[origin] = ranges.get(origin, allowed).meet(allowed)
    for name, allowed in ranges.items():
        if allowed.low >= allowed.high:
            raise UnsupportedError(f"the index '{name}' is used in ways that no value satisfies")
    return ranges, list(computed.values())


def may_be_negative(graph: GraphModule, arguments: Mapping[Node, str]) -> set[Node]:
    """The index operands of aten.index and index_put that torch would wrap."""
    follow, found = _Follow(arguments), set()
    for node in graph.graph.nodes:
        for index, allowed in uses_of(node):
            if allowed.low < 0 and not follow.is_natural(index):
                found.add(index)
    return found


class Wrapping(Widening):
    """Runs a graph as torch computes it, with negative indices made positive."""

    def __init__(self, graph: GraphModule, negative: Iterable[Node]) -> None:
        super().__init__(graph)
        self.negative = frozenset(negative)
        self._names = {node.name for node in self.negative}

    def run_node(self, node: Node) -> Any:
        if name_of(node) not in ("index", "index_put") or not self._names:
            return super().run_node(node)
        (x, indices, *rest), options = self.fetch_args_kwargs_from_env(node)
        kept = []
        for dim, (index, made_by) in enumerate(zip(indices, node.args[1])):
            if index is not None and made_by.name in self._names:
                index = torch.where(index < 0, index + x.shape[dim], index)
            kept.append(index)
        with self._set_current_node(node):
            return node.target(x, kept, *rest, **options)


def name_of(node: Node) -> str | None:
    """The op without its overload, functional or in place."""
    packet = getattr(node.target, "overloadpacket", None)
    return packet and packet.__name__


def _shape(node: Node) -> torch.Size:
    return node.meta["val"].shape


def _extent(node: Node, dim: int | None) -> int:
    """How many places there are along a dimension, or in all."""
    shape = _shape(node)
    return shape[dim] if dim is not None and shape else shape.numel()


def uses_of(node: Node) -> Iterable[tuple[Node, IndexRange]]:
    """The operands that are indices, and what they may be."""
    for index, allowed in _operands(node):
        if _shape(index).numel():
            yield index, allowed


def _operands(node: Node) -> Iterable[tuple[Node, IndexRange]]:
    name, args = name_of(node), node.args
    if name == "embedding":
        yield args[1], IndexRange(0, _shape(args[0])[0])
    elif name == "embedding_dense_backward":
        yield args[1], IndexRange(0, args[2])
    elif name in ("index", "_unsafe_index", "index_put", "_unsafe_index_put"):
        lowest = 0 if name.startswith("_unsafe") else -1
        for size, index in zip(_shape(args[0]), args[1]):
            if index is not None:
                yield index, IndexRange(lowest * size, size)
    elif name in ("gather", "index_select", "index_add", "scatter", "scatter_add"):
        yield args[2], IndexRange(0, _extent(args[0], args[1]))
    elif name in ("nll_loss_forward", "nll_loss2d_forward"):
        shape = _shape(args[0])
        yield args[1], IndexRange(0, shape[1 if len(shape) > 1 else 0], (args[4],))


class _Follow:
    """Follows integers back to where they come from."""

    def __init__(self, arguments: Mapping[Node, str]) -> None:
        self._found: dict[Node, _Origins] = {
            node: frozenset({name}) for node, name in arguments.items()
        }
        self._values: dict[Node, Any] = {}

    def is_natural(self, index: Node) -> bool:
        origins = self.origins(index)
        return bool(origins) and all(isinstance(o, _Bounds) and o.low >= 0 for o in origins)

    def origins(self, node: Node) -> _Origins:
        """Where the values come from; nothing if that is not known."""
        if node not in self._found:
            self._found[node] = self._compute(node)
        return self._found[node]

    def _compute(self, node: Node) -> _Origins:
        value = self._value(node)
        if isinstance(value, Tensor) and not value.is_floating_point() and value.numel():
            return frozenset({_Bounds(int(value.min()), int(value.max()) + 1)})
        if node.op != "call_function" or not node.args:
            return frozenset()
        name, args = name_of(node), node.args
        if name == "_to_copy":
            return self.origins(args[0]) if _keeps_values(node) else frozenset()
        if name in _MOVES:
            return self.origins(args[0])
        if name in _PARTS and isinstance(node.meta["val"], Tensor):
            whole = _shape(node).numel() == _shape(args[0]).numel()
            return self.origins(args[0]) if whole else self._bounds_of([args[0]])
        if name in _CHOICES:
            return self._bounds_of([args[0]])
        if name in ("cat", "stack"):
            return self._union(args[0])
        if name == "masked_fill":
            return self._bounds_of([args[0], args[2]])
        if name == "where" and len(args) == 3:
            return self._bounds_of(args[1:])
        return self._bounds(node, name)

    def _bounds(self, node: Node, name: str | None) -> _Origins:
        args = node.args
        if name == "clamp" and len(args) == 3 and all(isinstance(a, int) for a in args[1:]):
            return frozenset({_Bounds(min(args[1:]), args[2] + 1)})
        if name == "remainder" and isinstance(args[1], int) and args[1] > 0:
            return frozenset({_Bounds(0, args[1])})
        if name in _PLACES:
            return frozenset({_Bounds(0, _extent(args[0], args[1] if len(args) > 1 else None))})
        # A second result; the node itself is the choice among results.
        if name is None and len(args) == 2 and args[1] == 1 and isinstance(args[0], Node):
            place, source = _PLACES_SECOND.get(name_of(args[0]) or ""), args[0].args
            if place is not None:
                dim = source[place] if len(source) > place else -1
                return frozenset({_Bounds(0, _extent(source[0], dim))})
        return frozenset()

    def _bounds_of(self, nodes: Sequence[Any]) -> _Origins:
        """Where some elements come from, if all are in known bounds: of an argument
        it would say too much."""
        origins = self._union(nodes)
        return origins if all(isinstance(o, _Bounds) for o in origins) else frozenset()

    def _union(self, nodes: Sequence[Any]) -> _Origins:
        parts = [
            self.origins(node) if isinstance(node, Node) else frozenset({_Bounds(node, node + 1)})
            for node in nodes
        ]
        return frozenset().union(*parts) if all(parts) else frozenset()

    def _value(self, node: Any) -> Any:
        """What a node without arguments of the step gives; None if it has any."""
        if node not in self._values:
            self._values[node] = self._evaluate(node)
        return self._values[node]

    def _evaluate(self, node: Node) -> Any:
        if node.op == "get_attr":
            return getattr(node.graph.owning_module, node.target)
        if node.op != "call_function":
            return None
        values = [self._value(read) for read in node.all_input_nodes]
        if any(value is None for value in values):
            return None
        known = dict(zip(node.all_input_nodes, values))
        args, kwargs = torch.fx.map_arg((node.args, node.kwargs), known.__getitem__)
        return node.target(*args, **kwargs)


def _keeps_values(node: Node) -> bool:
    """Whether a conversion is one of integers to a type that has them all."""
    types = [n.meta["val"].dtype for n in (node.args[0], node)]
    if any(t.is_floating_point or t.is_complex or t == torch.bool for t in types):
        return False
    before, after = map(torch.iinfo, types)
    return after.min <= before.min and before.max <= after.max
