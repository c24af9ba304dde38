# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products of Plait beside torch.mm, interleaved in one process.

    PYTHONPATH=python build/venv/bin/python benchmarks/gemm.py --plait-opt build/bin/plait-opt

How the two sides take turns: kernels.py. Prints GFLOP/s of the fastest call,
and the ratio of the two. Products are checked against torch before they are timed.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from kernels import add_options, compile_step, fastest, set_threads

#: Square, few rows, and sizes that no tile divides.
SIZES = "512x512x512,2048x2048x2048,1x4096x4096,8x4096x4096,64x4096x4096,10x1000x784"
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


def measure(options: argparse.Namespace, folder: Path, form: str, m: int, n: int, k: int) -> str:
    size = {"m": m, "n": n, "k": k}
    left, right = FORMS[form]
    a, b = (torch.rand(size[i[0]], size[i[1]]) - 0.5 for i in (left, right))
    c = torch.empty(m, n)
    product = compile_step(options.plait_opt, step_text(form, m, n, k), "product", folder)
    x, y = (a.T if left == "km" else a), (b.T if right == "nk" else b)
    out = torch.empty(m, n)
    sides = [lambda: product(a, b, c), lambda: torch.mm(x, y, out=out)]
    for side in sides:
        side()
    error = (c - out).abs().max() / out.abs().max()
    if not error < 1e-5:
        raise SystemExit(f"{form} {m}x{n}x{k}: differs from torch.mm by {error:.1e} of the largest")
    best = fastest(sides, options.blocks, options.block)
    plait, torch_mm = (2 * m * n * k / 1e9 / t for t in best)
    return f"| {form} | {m}x{n}x{k} | {plait:.0f} | {torch_mm:.0f} | {plait / torch_mm:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_options(parser)
    parser.add_argument("--sizes", default=SIZES, help=f"MxNxK, ...; {SIZES}")
    options = parser.parse_args()
    set_threads(options.threads)
    print(f"{options.threads} threads, torch {torch.__version__}, GFLOP/s of the fastest call\n")
    print("| form | MxNxK | Plait | torch.mm | Plait / torch.mm |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for sizes in options.sizes.split(","):
            for form in FORMS:
                m, n, k = map(int, sizes.split("x"))
                print(measure(options, Path(folder), form, m, n, k), flush=True)


if __name__ == "__main__":
    main()
