# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Printed functions, taken apart.

What is expected of the printed form is checked, and anything else is a `ValueError`:
a frontend that prints differently must fail here and not give wrong text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

#: The name of a value.
VALUE = r"%(?:[A-Za-z$._][\w$.-]*|\d+)(?:#\d+)?"
_HEADER = re.compile(r"  func\.func (?:public |private )?@([\w$.]+)\((.*)\) -> (.*) \{")
_ARGUMENT = re.compile(rf"({VALUE}): (tensor<[^<>]*>)")
_RETURN = re.compile(rf"    return ({VALUE}(?:, {VALUE})*) : (.*)")


@dataclass(frozen=True)
class Function:
    """A printed function, taken apart.

    Attributes:
        arguments: the argument values (`%arg0`), with `argument_types`.
        body: the lines of the body without its `return`.
        results: the returned values, with `result_types`.
        aliases: the lines before the module (`#map = ...`).
        resources: the lines after the module (`{-# ... #-}`).
    """

    arguments: list[str]
    argument_types: list[str]
    body: list[str]
    results: list[str]
    result_types: list[str]
    aliases: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)


def parse_functions(text: str) -> dict[str, Function]:
    """Take apart a module that was printed; its functions by name.

    Raises:
        ValueError: the text is not of the form MLIR prints for a module with
            functions of one block on tensors.
    """
    lines = text.rstrip("\n").split("\n")
    opening = _only(lines, "module {", "start of a module")
    closing = _only(lines, "}", "end of a module")
    functions, start = {}, opening + 1
    for i in range(start, closing):
        if lines[i] == "  }":
            name, function = _parse_function(lines[start : i + 1])
            around = {"aliases": lines[:opening], "resources": lines[closing + 1 :]}
            functions[name], start = replace(function, **around), i + 1
    if not functions or start != closing:
        raise ValueError("expected functions in the module, and nothing else")
    return functions


def _parse_function(lines: Sequence[str]) -> tuple[str, Function]:
    """The name and the parts of one function."""
    header = _HEADER.fullmatch(lines[0])
    if not header:
        raise ValueError(f"unexpected function header: {lines[0][:200]}")
    arguments = []
    for piece in _split(header[2]):
        argument = _ARGUMENT.fullmatch(piece)
        if not argument:
            raise ValueError(f"unexpected function argument: {piece}")
        arguments.append(argument)

    ending = _RETURN.fullmatch(lines[-2])
    body = list(lines[1:-2])
    if not ending or any(line.startswith(("  }", "  func", "  ^")) for line in body):
        raise ValueError("expected a function of one block that ends in a return")
    result_types = _split(ending[2])
    if _split(_unparenthesized(header[3])) != result_types:
        raise ValueError("the types of the return are not those of the function")
    results = ending[1].split(", ")
    if len(results) != len(result_types):
        raise ValueError("expected as many types as values in the return")

    return header[1], Function(
        arguments=[argument[1] for argument in arguments],
        argument_types=[argument[2] for argument in arguments],
        body=body,
        results=results,
        result_types=result_types,
    )


def _only(lines: Sequence[str], wanted: str, what: str) -> int:
    places = [i for i, line in enumerate(lines) if line == wanted]
    if len(places) != 1:
        raise ValueError(f"expected one {what}, found {len(places)}")
    return places[0]


def _split(text: str) -> list[str]:
    """The pieces between the commas of a list of arguments or types."""
    return text.split(", ") if text else []


def _unparenthesized(text: str) -> str:
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text
