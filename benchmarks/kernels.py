# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Single kernels of Plait beside those of torch, interleaved in one process.

Each is compiled by `plait-opt` and clang into a shared library. The two sides
take turns in blocks of calls, in an order that changes; the first calls of a
block are not counted. Between blocks everything sleeps until the threads of
both OpenMP runtimes have stopped spinning: torch brings its own, and each would
hold the processors that the other needs.
"""

import argparse
import ctypes
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

LLVM = Path("/usr/lib/llvm-22/bin")
WARM_UP = 3
#: Seconds between blocks: libomp's threads spin for 0.2.
PAUSE = 0.25


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plait-opt", default="build/bin/plait-opt")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--blocks", type=int, default=6, help="of each side")
    parser.add_argument("--block", type=int, default=10, help="calls in a block, from 4 on")


def set_threads(count: int) -> None:
    torch.set_num_threads(count)
    ctypes.CDLL(str(LLVM.parent / "lib" / "libomp.so")).omp_set_num_threads(count)


def compile_step(plait_opt: str, text: str, name: str, folder: Path) -> Callable[..., None]:
    """The step `name` of a module as a function of tensors: arguments, results."""
    wide = "avx512f" in Path("/proc/cpuinfo").read_text()
    rows, cols = (8, 32) if wide else (6, 16)
    pipeline = f"builtin.module(plait-to-llvm{{policy=baseline register-rows={rows} register-cols={cols}}})"
    library = folder / f"{len(list(folder.iterdir()))}.so"
    lowered = _pipe([plait_opt, f"--pass-pipeline={pipeline}"], text)
    llvm = _pipe([str(LLVM / "mlir-translate"), "--mlir-to-llvmir"], lowered)
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-Wno-override-module", "-x", "ir", "-"]
    omp = [f"-L{LLVM.parent / 'lib'}", f"-Wl,-rpath,{LLVM.parent / 'lib'}", "-lomp"]
    _pipe([str(LLVM / "clang"), *flags, "-o", str(library), *omp], llvm)
    function = getattr(ctypes.CDLL(str(library)), name)
    size = re.search(r"plait\.arena_bytes = (\d+)", lowered)
    room = torch.zeros(int(size[1]) + 64 if size else 64, dtype=torch.uint8)
    arena = room[-room.data_ptr() % 64 :]

    def call(*tensors: torch.Tensor) -> None:
        function(*[ctypes.c_void_p(t.data_ptr()) for t in (*tensors, arena)])

    return call


def _pipe(command: list[str], text: str) -> str:
    run = subprocess.run(command, input=text, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{run.stderr}")
    return run.stdout


def fastest(sides: Sequence[Callable[[], object]], blocks: int, block: int) -> list[float]:
    """Seconds of the fastest call of each."""
    best = [float("inf")] * len(sides)
    for i in range(blocks):
        for j in list(range(len(sides)))[:: 1 if i % 2 == 0 else -1]:
            time.sleep(PAUSE)
            for call in range(block):
                start = time.perf_counter()
                sides[j]()
                elapsed = time.perf_counter() - start
                if call >= WARM_UP:
                    best[j] = min(best[j], elapsed)
    return best
