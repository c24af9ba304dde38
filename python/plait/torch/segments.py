# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A graph with loops as a text that calls the parts between them.

torch-mlir knows no loops. So the ops between two scans become graphs of their
own, and the function of the whole calls these, and holds the loops.
"""

from typing import Any

from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from plait.torch.assemble import tensor_type
from plait.torch.scan import Loop, is_scan


def has_loops(graph: GraphModule) -> bool:
    return any(is_scan(node) for node in graph.graph.nodes)


def split(graph: GraphModule, name: str) -> tuple[dict[str, GraphModule], str]:
    """The graphs to lower, by function, and the text of `@name` that calls them."""
    return _Split(graph, name).run()


class _Split:
    def __init__(self, graph: GraphModule, name: str) -> None:
        self.graph, self.name = graph, name
        self.graphs: dict[str, GraphModule] = {}
        self.lines: list[str] = []
        self.values: dict[Node, str] = {}

    def run(self) -> tuple[dict[str, GraphModule], str]:
        nodes = list(self.graph.graph.nodes)
        (output,) = [node for node in nodes if node.op == "output"]
        placeholders = [node for node in nodes if node.op == "placeholder"]
        for i, node in enumerate(placeholders):
            self.values[node] = f"%arg{i}"
        parts: list[list[Node]] = [[]]
        for node in nodes:
            if node.op in ("placeholder", "output", "get_attr") or _of_scan(node):
                continue
            if is_scan(node):
                parts += [[node], []]
            else:
                parts[-1].append(node)
        for i, part in enumerate(parts):
            if part and is_scan(part[0]):
                self.add_loop(part[0], i)
            elif part:
                self.add_segment(part, i)
        results = output.args[0]
        types = [tensor_type(node.meta["val"]) for node in results]
        arguments = [f"{self.values[n]}: {tensor_type(n.meta['val'])}" for n in placeholders]
        text = "\n".join([
            *(self.declaration(name, graph) for name, graph in self.graphs.items()),
            f"func.func @{self.name}({', '.join(arguments)}) -> ({', '.join(types)}) {{",
            *self.lines,
            f"  return {', '.join(self.values[n] for n in results)} : {', '.join(types)}",
            "}",
        ])  # fmt: skip
        return self.graphs, text

    def add_loop(self, node: Node, i: int) -> None:
        cell = f"{self.name}_cell_{i}"
        loop = Loop(node, cell, f"loop{i}", self.values.__getitem__)
        self.graphs[cell] = loop.cell
        self.lines += loop.text()
        for user in node.users:
            self.values[user] = loop.outputs[user.args[1]]

    def add_segment(self, part: list[Node], i: int) -> None:
        inside = set(part)
        before = dict.fromkeys(r for n in part for r in n.all_input_nodes if r not in inside)
        reads = [read for read in before if read.op != "get_attr"]
        outs = [n for n in part if any(user not in inside for user in n.users)]
        # A choice among an op's results belongs to where the op is.
        for n in [n for n in outs if not isinstance(n.meta["val"], Tensor)]:
            raise AssertionError(f"{n.target} has several results, which are not taken apart")
        graph, copies = Graph(), {}
        for read in reads:
            copies[read] = graph.placeholder(read.name)
            copies[read].meta = dict(read.meta)
        for node in part:
            for constant in node.all_input_nodes:
                if constant.op == "get_attr" and constant not in copies:
                    copies[constant] = graph.node_copy(constant)
            copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.output(tuple(copies[n] for n in outs))
        if not outs:
            return
        name = f"{self.name}_part_{i}"
        self.graphs[name] = GraphModule(self.graph, graph)
        types = [tensor_type(n.meta["val"]) for n in outs]
        self.lines.append(
            f"  %part{i}:{len(outs)} = func.call @{name}"
            f"({', '.join(self.values[r] for r in reads)})"
            f" : ({', '.join(tensor_type(r.meta['val']) for r in reads)}) -> ({', '.join(types)})"
        )
        for k, n in enumerate(outs):
            self.values[n] = f"%part{i}#{k}"

    def declaration(self, name: str, graph: GraphModule) -> str:
        (output,) = graph.graph.find_nodes(op="output")
        ins = [tensor_type(n.meta["val"]) for n in graph.graph.find_nodes(op="placeholder")]
        outs = [tensor_type(n.meta["val"]) for n in output.args[0]]
        return f"func.func private @{name}({', '.join(ins)}) -> ({', '.join(outs)})"


def _of_scan(node: Node) -> bool:
    """A choice among a scan's results."""
    return bool(node.args) and isinstance(node.args[0], Node) and is_scan(node.args[0])
