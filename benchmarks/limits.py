# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the machine can do (limits.c), and how long some work takes at least there."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from grid import cache_bytes

HERE = Path(__file__).parent
#: What bounds a time, as tables say it.
MEMORY, CACHE, ARITHMETIC = "memory", "cache", "arithmetic"


class Work(NamedTuple):
    """What cannot be left out.

    Attributes:
        flops: a multiply-add is two.
        moved: bytes that are read, and bytes that are written.
        footprint: bytes of what is moved: what a cache would have to hold.
    """

    flops: float
    moved: float
    footprint: float


class Limit(NamedTuple):
    """The shortest time, and what bounds it. `amount` is bytes, or flops."""

    ms: float
    bound: str
    amount: float
    rate: float

    def __str__(self) -> str:
        if self.bound == ARITHMETIC:
            return f"{self.ms:.2f} ms ({self.bound}: {self.amount / 1e9:.3g} GFLOP at {self.rate / 1e9:.0f} GFLOP/s)"
        return f"{self.ms:.2f} ms ({self.bound}: {self.amount / 1e6:.3g} MB at {self.rate / 1e9:.0f} GB/s)"


def limit(work: Work, machine: dict) -> Limit | None:
    """The longer of what the bytes take and what the flops take; None where the
    machine was not measured. Bytes come from the last-level cache if all of them fit
    there, else from memory: of what fits nearly, a cache may give a part."""
    if not machine:
        return None
    level, name = (CACHE, "cache_gbs") if work.footprint <= machine["cache_bytes"] else (MEMORY, "memory_gbs")
    bytes_rate, flops_rate = 1e9 * machine[name], 1e9 * machine["gflops"]
    return max(
        Limit(1e3 * work.moved / bytes_rate, level, work.moved, bytes_rate),
        Limit(1e3 * work.flops / flops_rate, ARITHMETIC, work.flops, flops_rate),
    )


@functools.cache
def _program() -> Path:
    """limits.c, compiled; raises where there is no compiler."""
    folder = tempfile.TemporaryDirectory()
    _folders.append(folder)
    program = Path(folder.name) / "limits"
    flags = ["-O3", "-march=native", "-ffp-contract=fast", "-fopenmp"]
    subprocess.run(["cc", *flags, HERE / "limits.c", "-o", program], check=True)
    return program


_folders: list[tempfile.TemporaryDirectory] = []


def measure(threads: int) -> dict:
    """What the machine can do just now, in two seconds: the speed of memory that
    others use as well changes with the hour. Empty where there is no compiler."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    try:
        machine = json.loads(subprocess.check_output([_program()], env=environment))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no machine limits: {error}", file=sys.stderr)
        return {}
    return machine | {"cache_bytes": cache_bytes()}


def better(machine: dict, later: dict) -> dict:
    """Of two measurements: what the machine can do, others' work apart."""
    return {key: max(value, later.get(key, value)) for key, value in machine.items()}
