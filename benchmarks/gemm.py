# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products of Plait beside torch.mm, interleaved in one process.

    PYTHONPATH=python build/venv/bin/python benchmarks/gemm.py --plait-opt build/bin/plait-opt

Each product is compiled by `plait-opt` and clang into a shared library. The two
sides take turns in blocks of calls, in an order that changes; the first calls
of a block are not counted. Between blocks everything sleeps until the threads
of both OpenMP runtimes have stopped spinning: torch brings its own, and each
would hold the processors that the other needs. Prints GFLOP/s of the fastest
call, and the ratio of the two. Products are checked against torch before they
are timed.
"""

import argparse
import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

LLVM = Path("/usr/lib/llvm-22/bin")
#: Square, few rows, and sizes that no tile divides.
SIZES = "512x512x512,2048x2048x2048,1x4096x4096,8x4096x4096,64x4096x4096,10x1000x784"
WARM_UP = 3
#: Seconds between blocks: libomp's threads spin for 0.2.
PAUSE = 0.25
#: How each form indexes its two operands: nn is A B, nt A B^T, tn A^T B.
FORMS = {"nn": ("mk", "kn"), "nt": ("mk", "nk"), "tn": ("km", "kn")}


def step_text(form: str, m: int, n: int, k: int) -> str:
    size = {"m": m, "n": n, "k": k}
    left, right = FORMS[form]
    types = [f"tensor<{size[i[0]]}x{size[i[1]]}xf32>" for i in (left, right, "mn")]
    maps = ", ".join(f"affine_map<(m, n, k) -> ({', '.join(i)})>" for i in (left, right, "mn"))
    return f"""
func.func @product(%a: {types[0]}, %b: {types[1]}) -> {types[2]} attributes {{train.step}} {{
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : {types[2]}
  %z = linalg.fill ins(%zero : f32) outs(%e : {types[2]}) -> {types[2]}
  %c = linalg.matmul indexing_maps = [{maps}]
      ins(%a, %b : {types[0]}, {types[1]}) outs(%z : {types[2]}) -> {types[2]}
  return %c : {types[2]}
}}
"""


def compile_product(plait_opt: str, text: str, folder: Path) -> Callable[..., None]:
    """The product as a function of the addresses of a, b, c and an arena."""
    wide = "avx512f" in Path("/proc/cpuinfo").read_text()
    rows, cols = (8, 32) if wide else (6, 16)
    pipeline = f"builtin.module(plait-to-llvm{{policy=baseline register-rows={rows} register-cols={cols}}})"
    library = folder / f"{len(list(folder.iterdir()))}.so"
    lowered = _pipe([plait_opt, f"--pass-pipeline={pipeline}"], text)
    llvm = _pipe([str(LLVM / "mlir-translate"), "--mlir-to-llvmir"], lowered)
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-Wno-override-module", "-x", "ir", "-"]
    omp = [f"-L{LLVM.parent / 'lib'}", f"-Wl,-rpath,{LLVM.parent / 'lib'}", "-lomp"]
    _pipe([str(LLVM / "clang"), *flags, "-o", str(library), *omp], llvm)
    return ctypes.CDLL(str(library)).product


def _pipe(command: list[str], text: str) -> str:
    run = subprocess.run(command, input=text, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{run.stderr}")
    return run.stdout


def measure(options: argparse.Namespace, folder: Path, form: str, m: int, n: int, k: int) -> str:
    size = {"m": m, "n": n, "k": k}
    left, right = FORMS[form]
    a, b = (torch.rand(size[i[0]], size[i[1]]) - 0.5 for i in (left, right))
    c, arena = torch.empty(m, n), torch.empty(64)
    product = compile_product(options.plait_opt, step_text(form, m, n, k), folder)
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in (a, b, c, arena)]
    x, y = (a.T if left == "km" else a), (b.T if right == "nk" else b)
    out = torch.empty(m, n)
    sides = [lambda: product(*pointers), lambda: torch.mm(x, y, out=out)]
    for side in sides:
        side()
    error = (c - out).abs().max() / out.abs().max()
    if not error < 1e-5:
        raise SystemExit(f"{form} {m}x{n}x{k}: differs from torch.mm by {error:.1e} of the largest")
    best = [float("inf")] * 2
    for i in range(options.blocks):
        for j in ((0, 1), (1, 0))[i % 2]:
            time.sleep(PAUSE)
            for call in range(options.block):
                start = time.perf_counter()
                sides[j]()
                elapsed = time.perf_counter() - start
                if call >= WARM_UP:
                    best[j] = min(best[j], elapsed)
    plait, torch_mm = (2 * m * n * k / 1e9 / t for t in best)
    return f"| {form} | {m}x{n}x{k} | {plait:.0f} | {torch_mm:.0f} | {plait / torch_mm:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plait-opt", default="build/bin/plait-opt")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--blocks", type=int, default=6, help="of each side")
    parser.add_argument("--block", type=int, default=10, help="calls in a block, from 4 on")
    parser.add_argument("--sizes", default=SIZES, help=f"MxNxK, ...; {SIZES}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ctypes.CDLL(str(LLVM.parent / "lib" / "libomp.so")).omp_set_num_threads(options.threads)
    print(f"{options.threads} threads, torch {torch.__version__}, GFLOP/s of the fastest call\n")
    print("| form | MxNxK | Plait | torch.mm | Plait / torch.mm |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for sizes in options.sizes.split(","):
            for form in FORMS:
                m, n, k = map(int, sizes.split("x"))
                print(measure(options, Path(folder), form, m, n, k), flush=True)


if __name__ == "__main__":
    main()
