# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process that runs one way to compute something, on request: see turns.py.

    worker.py MODULE NAME THREADS FOLDER

Imports MODULE (peers or kernel_ways), answers, and obeys lines of JSON on standard
input:

    ["make", ...]               makes the way NAME of this case, in place of the one
                                before, calls it three times, and writes what it has
                                computed to FOLDER/check.npz: {"compile_s": seconds
                                until the first call is done}, or {"error": why not}
    ["run", warm_up, calls, ms] calls it: the times of counted calls, of which there
                                are at least `calls`, for at least `ms` milliseconds
    ["peak"]                    the peak of memory since it was to be made, in MB

Answers are lines of JSON on standard output; all else that libraries print goes to
standard error.
"""

import importlib
import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

CHECKED_CALLS = 3


class Worker:
    def __init__(self, ways: ModuleType, name: str, folder: Path):
        self.ways, self.name, self.folder = ways, name, folder
        self.way: Any = None
        self.inputs: list[Any] = []
        self.before = 0

    def make(self, *case: Any) -> dict[str, Any]:
        import numpy as np

        self.way = None  # Its memory is free before another takes some.
        self.inputs = self.ways.inputs(*case)
        self.before = _resident()
        start = time.perf_counter()
        try:
            self.way = self.ways.make(self.name, *case)
            self.way.step(self.inputs[0])
            ready = time.perf_counter() - start
            for i in range(1, CHECKED_CALLS):
                self.way.step(self.inputs[i % len(self.inputs)])
        except Exception as error:  # noqa: BLE001 (any reason why it cannot be had)
            return {"error": " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])}
        np.savez(self.folder / "check.npz", **self.way.results())
        return {"compile_s": ready}

    def run(self, warm_up: int, calls: int, ms: float) -> list[float]:
        times: list[float] = []
        step, inputs, count = self.way.step, self.inputs, len(self.inputs)
        for i in range(warm_up):
            step(inputs[i % count])
        end = time.perf_counter() + ms / 1e3
        while len(times) < calls or time.perf_counter() < end:
            value = inputs[len(times) % count]
            start = time.perf_counter()
            step(value)
            times.append(1e3 * (time.perf_counter() - start))
        return times

    def peak(self) -> float:
        # Not getrusage's: a child begins with the peak of its parent.
        status = Path("/proc/self/status").read_text()
        highest = int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024
        return (highest - self.before) / 1e6


def main(module: str, name: str, threads: str, folder: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # XLA sizes its pool by it.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    import torch

    # What each optimizer of torch imports at first is in nobody's time.
    import torch._dynamo  # noqa: F401

    torch.set_num_threads(int(threads))
    worker = Worker(importlib.import_module(module), name, Path(folder))
    requests = {"make": worker.make, "run": worker.run, "peak": worker.peak}
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        print(json.dumps(requests[request](*arguments)), file=answers, flush=True)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main(*sys.argv[1:])
