# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the machine can do (limits.c), and how long some work takes at least there."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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
        once: bytes that are read, or written.
        both: bytes that are read and then written.
    """

    flops: float
    once: float
    both: float


class Limit(NamedTuple):
    """The shortest time, and what bounds it: `amount` is bytes that move, or flops,
    and `rate` so many in a second."""

    ms: float
    bound: str
    amount: float
    rate: float

    def __str__(self) -> str:
        unit, scale = ("GFLOP", 1e9) if self.bound == ARITHMETIC else ("MB", 1e6)
        speed = "GFLOP/s" if self.bound == ARITHMETIC else "GB/s"
        amount, rate = self.amount / scale, self.rate / 1e9
        return f"{self.ms:.2f} ms ({self.bound}: {amount:.3g} {unit} at {rate:.0f} {speed})"


def limit(work: Work, machine: dict) -> Limit | None:
    """The longer of what the bytes take and what the flops take; None where the
    machine was not measured. Bytes come from the last-level cache if all of them fit
    there, else from memory: of twice its size, a cache may still give a part."""
    if not machine:
        return None
    level = CACHE if work.once + work.both <= machine["cache_bytes"] else MEMORY
    moved = work.once + 2 * work.both
    ms = work.once / machine[f"{level}_read_gbs"] / 1e6 + 2 * work.both / machine[f"{level}_gbs"] / 1e6
    rate = 1e9 * machine["gflops"]
    return max(
        Limit(ms, level, moved, 1e3 * moved / ms),
        Limit(1e3 * work.flops / rate, ARITHMETIC, work.flops, rate),
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


def better(machines: Sequence[dict]) -> dict:
    """Of several measurements: what the machine can do, others' work apart."""
    if not all(machines):
        return {}
    return {key: max(machine[key] for machine in machines) for key in machines[0]}


def ranges(machines: Sequence[dict]) -> str:
    """Several measurements, as tables say them."""

    def text(key: str) -> str:
        low, high = (f"{choose(m[key] for m in machines):.0f}" for choose in (min, max))
        return low if low == high else f"{low} to {high}"

    if not all(machines):
        return "not measured"
    return (
        f"{text('gflops')} GFLOP/s; GB/s of updates and of reading: {text('cache_gbs')} and"
        f" {text('cache_read_gbs')} in the last-level cache, {text('memory_gbs')} and"
        f" {text('memory_read_gbs')} in memory"
    )
