# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ways to compute the same, timed in turns.

Each way is a process of its own (worker.py): libraries bring their own threads,
and malloc is configured as a process begins. They take turns in blocks of calls,
in an order that rotates, so that all meet the same state of the machine; the first
calls of a block bring its weights back into the cache and are not counted. Between
blocks everything sleeps until threads have stopped spinning.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
#: A malloc that keeps its memory: much of a gain over the plain one's times may be
#: page faults.
TUNED = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296"
    ":glibc.malloc.trim_threshold=17179869184"
)
WARM_UP = 2
#: Milliseconds that threads of libomp spin after a loop, and seconds between blocks.
#: Within a block, where calls follow each other, they never sleep.
SPIN = 20
PAUSE = 0.05


class Way:
    """A worker process, and what was measured of it.

    Attributes:
        name: as worker.py's module knows it.
        tuned: whether its malloc keeps memory.
        error: why it does not run; empty if it does.
        times: of counted calls, ms, since it was last made.
    """

    def __init__(self, module: str, name: str, threads: int, tuned: bool):
        self.name, self.tuned = name, tuned
        self.error, self.compile_s, self.times = "", 0.0, list[float]()
        self.folder = tempfile.TemporaryDirectory()
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "KMP_BLOCKTIME": str(SPIN),
            "JAX_PLATFORMS": "cpu",
        }
        if tuned:
            environment["GLIBC_TUNABLES"] = TUNED
        with open(Path(self.folder.name) / "stderr", "w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "worker.py", module, name, str(threads), self.folder.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )

    @property
    def title(self) -> str:
        return f"{self.name} tuned" if self.tuned else self.name

    def send(self, *request: Any) -> None:
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `answer` says what it died of.

    def answer(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            tail = (Path(self.folder.name) / "stderr").read_text().strip().splitlines()
            return {"error": tail[-1] if tail else "the process ended"}
        return json.loads(line)

    def ask(self, *request: Any) -> Any:
        self.send(*request)
        return self.answer()

    def made(self) -> None:
        """Takes the answer to `make`."""
        answer = self.answer()
        self.error = answer.get("error", "")
        self.compile_s = answer.get("compile_s", 0.0)
        self.times = []

    def results(self) -> dict[str, np.ndarray]:
        """What it had computed when it was made."""
        with np.load(Path(self.folder.name) / "check.npz") as values:
            return dict(values)

    def run(self, calls: int, ms: float) -> None:
        """A block of at least `calls` counted calls, and of `ms` milliseconds."""
        answer = self.ask("run", WARM_UP, calls, ms)
        if isinstance(answer, dict):
            self.error = answer["error"]
        else:
            self.times += answer

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def start(module: str, names: Sequence[str], threads: int, tuned: bool) -> list[Way]:
    """A process for each name, under plain malloc and, if `tuned`, under both; all
    have imported what they need. `worker.py` knows the module."""
    mallocs = (False, True) if tuned else (False,)
    ways = [Way(module, name, threads, malloc) for malloc in mallocs for name in names]
    for way in ways:
        way.error = way.answer().get("error", "")
    return ways


def run_blocks(
    ways: Sequence[Way],
    rounds: int,
    calls: int,
    ms: float = 0,
    seconds: float = float("inf"),
    what: str = "",
    before: Callable[[], None] | None = None,
) -> None:
    """`rounds` blocks of each way, fewer where they take `seconds`, but two. `before`
    is called before each round."""
    deadline = time.monotonic() + seconds
    done = 0
    while done < min(2, rounds) or (done < rounds and time.monotonic() < deadline):
        if before:
            before()
        for i in range(len(ways)):
            way = ways[(i + done) % len(ways)]
            if not way.error:
                say(f"{what}: round {done + 1}, {way.title}")
                time.sleep(PAUSE)
                way.run(calls, ms)
        done += 1


def say(text: str) -> None:
    """Progress, in a terminal; what is said next takes its place."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
