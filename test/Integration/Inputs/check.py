# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks what plait-run wrote: check.py FILE ... -- EXPRESSION ...

The files are `a`, `b`, `c`, ...: a .json file as what it holds (NaN is refused),
a .safetensors file as a dict of arrays. Each expression must be true. `same(p, q)`
says whether two dicts hold the same arrays, bit for bit.
"""

import json
import sys

import numpy as np
from safetensors.numpy import load_file


def read(path: str):
    if not path.endswith(".json"):
        return load_file(path)

    def refuse(constant: str) -> None:
        sys.exit(f"{path}: {constant} is not JSON")

    with open(path, encoding="utf-8") as file:
        return json.load(file, parse_constant=refuse)


def same(p: dict[str, np.ndarray], q: dict[str, np.ndarray]) -> bool:
    return p.keys() == q.keys() and all(
        p[name].dtype == q[name].dtype and p[name].tobytes() == q[name].tobytes() for name in p
    )


def main(arguments: list[str]) -> None:
    at = arguments.index("--")
    names = {chr(ord("a") + i): read(path) for i, path in enumerate(arguments[:at])}
    names |= {"np": np, "same": same}
    expressions = arguments[at + 1 :]
    if not expressions:
        sys.exit("check.py: nothing to check")
    for expression in expressions:
        if not eval(expression, names):
            shown = {k: v for k, v in names.items() if len(k) == 1}
            sys.exit(f"not true: {expression}\n{shown}")


main(sys.argv[1:])
