# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The grid of docs/Reproduction.md: where fusing dW with its update wins.

    python3 benchmarks/grid.py

Each row is one weight of N x N at one batch: dW = dz^T x, and AdamW. The step is
compiled with the update after the gradient (`baseline`) and in one loop nest with
it (`backward`); `plait-run --compare` runs both in one process, in blocks that
take turns, and checks that the results are equal. Needs plait-run and no Python
package. Read ratios within a row; leave the machine alone meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

STEP = """
func.func @step(
    %w: tensor<NxNxf32> {train.role = #train.param<"w">},
    %m: tensor<NxNxf32> {train.role = #train.state<"w", "exp_avg">},
    %v: tensor<NxNxf32> {train.role = #train.state<"w", "exp_avg_sq">},
    %t: tensor<f32> {train.role = #train.state<"w", "step">},
    %x: tensor<BxNxf32> {train.role = #train.input<"x">},
    %dz: tensor<BxNxf32> {train.role = #train.input<"dz">})
    -> (tensor<NxNxf32> {train.role = #train.next<"w">},
        tensor<NxNxf32> {train.role = #train.next<"w", "exp_avg">},
        tensor<NxNxf32> {train.role = #train.next<"w", "exp_avg_sq">},
        tensor<f32> {train.role = #train.next<"w", "step">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<NxNxf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<NxNxf32>) -> tensor<NxNxf32>
  %dw = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<BxNxf32>, tensor<BxNxf32>) outs(%fill : tensor<NxNxf32>) -> tensor<NxNxf32>
  %n:4 = train.adam ins(%dw : tensor<NxNxf32>)
      outs(%w, %m, %v, %t : tensor<NxNxf32>, tensor<NxNxf32>, tensor<NxNxf32>, tensor<f32>)
      {lr = 1.0e-3 : f64, betas = array<f64: 0.9, 0.999>, eps = 1.0e-8 : f64, weight_decay = 1.0e-2 : f64, decoupled}
  return %n#0, %n#1, %n#2, %n#3
      : tensor<NxNxf32>, tensor<NxNxf32>, tensor<NxNxf32>, tensor<f32>
}
"""

HEADER = """\
| weight | batch | threads | baseline min ms | backward min ms | ratio of minima | ratio of medians |
|---|---|---|---|---|---|---|"""


def step_text(width: int, batch: int) -> str:
    """The step of a `width` x `width` weight, `batch` rows."""
    return STEP.replace("NxN", f"{width}x{width}").replace("BxN", f"{batch}x{width}")


def compare(
    options: argparse.Namespace, folder: Path, width: int, batch: int, threads: int
) -> str:
    """A row of the table. Ends the program where plait-run fails, or results differ."""
    step, report = folder / "step.mlir", folder / "report.json"
    step.write_text(step_text(width, batch))
    command = [options.plait_run, step, "--random-inputs", "--compare", f"--steps={options.steps}",
               f"--threads={threads}", f"--report={report}"]  # fmt: skip
    run = subprocess.run(command, stdout=subprocess.DEVNULL)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {run.returncode}")
    times = {s["schedule"]: s["ms_per_step"] for s in json.loads(report.read_text())["schedules"]}
    base, fused = times["baseline"], times["backward"]
    cells = [
        f"{width}x{width}",
        f"{batch}",
        f"{threads}",
        f"{base['min']:.2f}",
        f"{fused['min']:.2f}",
        f"{fused['min'] / base['min']:.2f}",
        f"{fused['median'] / base['median']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plait-run", type=Path, default=ROOT / "build/bin/plait-run")
    parser.add_argument("--widths", type=int, nargs="+", default=[1024, 4096], metavar="N")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128], metavar="N")
    parser.add_argument("--threads", type=int, nargs="+", metavar="N",
                        default=sorted({1, len(os.sched_getaffinity(0))}))  # fmt: skip
    parser.add_argument("--steps", type=int, default=20,
                        help="that are checked; for every 20 of them, a block of 20 is timed")  # fmt: skip
    options = parser.parse_args()
    if not options.plait_run.exists():
        sys.exit(f"no {options.plait_run}: cmake --build build, or --plait-run=FILE")
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        for width in options.widths:
            for batch in options.batches:
                for threads in options.threads:
                    print(compare(options, Path(folder), width, batch, threads), flush=True)


if __name__ == "__main__":
    main()
