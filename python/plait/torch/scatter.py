# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch-mlir's `tm_tensor.scatter` as a loop.

Row n of the updates replaces, or is added to, the slice of the target that row
n of the indices names. Rows are taken in order, so that equal indices add up in
the same order each time.
"""

import re
from collections.abc import Sequence

from plait.errors import UnsupportedError


_TENSOR = r"tensor<[^<>]*>"
_SCATTER = re.compile(
    r"(?P<result>%\S+) = tm_tensor\.scatter \{dimension_map = array<i64: (?P<dims>[\d, ]+)>\}"
    r" unique_indices\(\w+\)"
    rf" ins\((?P<ins>%\S+, %\S+) : (?P<updates>{_TENSOR}), (?P<indices>{_TENSOR})\)"
    rf" outs\((?P<out>%\S+) : (?P<target>{_TENSOR})\) \{{\n"
    rf" *\^bb0\([^()]*\):\n(?P<body>(?:[^}}]*\n)*?) *\}} -> {_TENSOR}"
)


def with_loops(text: str) -> str:
    """The text of a module with each scatter replaced by a call of a function
    that loops, which is added.

    Raises:
        UnsupportedError: something else of torch-mlir's own is left.
    """
    functions: list[str] = []

    def call(found: re.Match[str]) -> str:
        name = f"scatter_{len(functions)}"
        types = [found["updates"], found["indices"], found["target"]]
        body = re.findall(r"^ *(?:%\S+ = )?([\w.]+)", found["body"], re.MULTILINE)
        dims = [int(dim) for dim in found["dims"].split(", ")]
        functions.append(_function(name, body, types, dims))
        operands = f"{found['ins']}, {found['out']}"
        signature = f"({', '.join(types)}) -> {types[2]}"
        return f"{found['result']} = func.call @{name}({operands}) : {signature}"

    text = _SCATTER.sub(call, text)
    if left := re.search(r"tm_tensor\.\w+", text):
        raise UnsupportedError(f"the lowered step has {left[0]}, which upstream MLIR does not know")
    head, closing, tail = text.rpartition("\n}\n")
    return "".join([head, *functions, closing, tail])


def _function(name: str, body: Sequence[str], types: Sequence[str], dims: Sequence[int]) -> str:
    """The text of `func @name(updates, indices, target) -> target`.

    Args:
        name: the function's.
        body: the ops of the scatter's body.
        types: of updates [N, ...], indices [N, K] and target.
        dims: the dimension of the target that each column of the indices is for.

    Raises:
        UnsupportedError: updates are combined in another way.
    """
    updates, indices, target = map(_shape, types)
    element = _element(types[2])
    rows, columns = indices
    # A slice of the target has size 1 in the indexed dimensions. The updates
    # may have these dimensions of 1, or leave them out.
    part = [1 if i in dims else size for i, size in enumerate(target)]
    places = [f"%at{list(dims).index(i)}" if i in dims else "0" for i in range(len(target))]
    ones = ", ".join(["1"] * len(target))
    zeros = ", ".join(["%row", *["0"] * (len(updates) - 1)])
    part_type = _type(part, element)
    place = f"[{', '.join(places)}] [{', '.join(map(str, part))}] [{ones}]"
    reads = "\n".join(
        f"""      %c{k} = arith.constant {k} : index
      %value{k} = tensor.extract %indices[%row, %c{k}] : {types[1]}
      %at{k} = arith.index_cast %value{k} : {_element(types[1])} to index"""
        for k in range(columns)
    )
    update_sizes = ", ".join(["1", *map(str, updates[1:])])
    update_ones = ", ".join(["1"] * len(updates))
    row_type, reshape = _reshaped(updates[1:], part, element)
    return f"""
  func.func private @{name}(%updates: {types[0]}, %indices: {types[1]}, %target: {types[2]})
      -> {types[2]} {{
    %first = arith.constant 0 : index
    %step = arith.constant 1 : index
    %rows = arith.constant {rows} : index
    %result = scf.for %row = %first to %rows step %step iter_args(%acc = %target) -> ({types[2]}) {{
{reads}
      %update = tensor.extract_slice %updates[{zeros}] [{update_sizes}] [{update_ones}]
        : {types[0]} to {row_type}
{reshape}
{_combined(body, place, types[2], part_type, len(part), element)}
      %next = tensor.insert_slice %new into %acc{place} : {part_type} into {types[2]}
      scf.yield %next : {types[2]}
    }}
    return %result : {types[2]}
  }}
"""


def _combined(
    body: Sequence[str], place: str, target: str, part: str, rank: int, element: str
) -> str:
    if list(body) == ["tm_tensor.yield"]:
        return f"      %new = tensor.cast %part : {part} to {part}"
    if list(body) not in (["arith.addf", "tm_tensor.yield"], ["arith.addi", "tm_tensor.yield"]):
        raise UnsupportedError(f"a scatter that combines by {', '.join(body)} has no lowering")
    dims = ", ".join(f"d{i}" for i in range(rank))
    identity = f"affine_map<({dims}) -> ({dims})>"
    parallel = ", ".join(['"parallel"'] * rank)
    return f"""      %old = tensor.extract_slice %acc{place} : {target} to {part}
      %new = linalg.generic {{indexing_maps = [{identity}, {identity}],
          iterator_types = [{parallel}]}} ins(%part : {part}) outs(%old : {part}) {{
      ^bb0(%in: {element}, %out: {element}):
        %sum = {body[0]} %out, %in : {element}
        linalg.yield %sum : {element}
      }} -> {part}"""


def _reshaped(sizes: Sequence[int], part: Sequence[int], element: str) -> tuple[str, str]:
    """The type of a row of the updates, and the ops that make it `%part`."""
    part_type = _type(part, element)
    if list(sizes) == list(part):
        return part_type, f"      %part = tensor.cast %update : {part_type} to {part_type}"
    row = [1, *sizes]
    row_type = _type(row, element)
    flat = f"tensor<{_product(part)}x{element}>"
    down = f"[[{', '.join(map(str, range(len(row))))}]]"
    up = f"[[{', '.join(map(str, range(len(part))))}]]"
    sizes_text = f"[{', '.join(map(str, part))}]"
    collapse = f"      %flat = tensor.collapse_shape %update {down} : {row_type} into {flat}\n"
    if len(row) == 1:
        collapse = f"      %flat = tensor.cast %update : {row_type} to {flat}\n"
    expand = (
        f"      %part = tensor.expand_shape %flat {up} output_shape {sizes_text}"
        f" : {flat} into {part_type}"
    )
    if len(part) == 1:
        expand = f"      %part = tensor.cast %flat : {flat} to {part_type}"
    return row_type, collapse + expand


def _product(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product


def _shape(tensor: str) -> list[int]:
    return [int(size) for size in re.findall(r"(\d+)x", tensor)]


def _element(tensor: str) -> str:
    found = re.fullmatch(r"tensor<(?:\d+x)*([^x<>]+)>", tensor)
    assert found, tensor
    return found[1]


def _type(sizes: Sequence[int], element: str) -> str:
    return f"tensor<{''.join(f'{size}x' for size in sizes)}{element}>"
