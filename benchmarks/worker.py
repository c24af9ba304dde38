# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A process that runs one way of training, on request: started by steps.py.

    worker.py NAME WORKLOAD OPTIMIZER BATCH THREADS FOLDER

Makes it, trains three steps, writes the parameters to FOLDER/check.npz, and
then obeys lines on standard input: a number of steps to run, answered by their
times in milliseconds; `quit`, answered by the peak of resident memory. Answers
are lines of JSON on standard output; all else that libraries print goes to
standard error.
"""

import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

CHECKED_STEPS = 3


def main(name: str, workload: str, optimizer: str, batch: str, threads: str, folder: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value: Any) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    # XLA sizes its pool by it.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    import numpy as np
    import torch

    # What each optimizer of torch imports at first is in nobody's time.
    import torch._dynamo  # noqa: F401

    import peers

    torch.set_num_threads(int(threads))
    batches = peers.make_batches(peers.make_model(workload), int(batch))
    before = _resident()
    start = time.perf_counter()
    try:
        way = peers.make(name, workload, optimizer, int(batch))
        way.step(batches[0])
    except Exception as error:  # noqa: BLE001 (any reason why it cannot be had)
        answer({"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"})
        return
    ready = time.perf_counter() - start
    for i in range(1, CHECKED_STEPS):
        way.step(batches[i])
    np.savez(Path(folder) / "check.npz", **way.parameters())
    answer({"compile_s": ready})
    for line in sys.stdin:
        if line.strip() == "quit":
            answer({"peak_mb": (_peak() - before) / 1e6})
            return
        times = []
        for i in range(int(line)):
            start = time.perf_counter()
            way.step(batches[i % len(batches)])
            times.append(1e3 * (time.perf_counter() - start))
        answer(times)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak() -> int:
    # Not getrusage's: a child begins with the peak of its parent.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
