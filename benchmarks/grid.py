# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The grid of docs/Reproduction.md: where fusing dW with its update wins.

    python3 benchmarks/grid.py

Each row is one weight of N x N at one batch: dW = dz^T x, and its update. The step is
compiled with the update after the gradient (`baseline`) and in one loop nest with
it (`backward`); `plait-run --compare` runs both in one process, in blocks that
take turns, and checks that the results are equal. Needs plait-run and no Python
package. Read ratios within a row; leave the machine alone meanwhile.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: For each optimizer: the states of a weight's shape, those of rank 0, and the op.
OPTIMIZERS = {
    "sgd": ([], [], "sgd", "lr = 1.0e-3 : f64"),
    "momentum": (["momentum_buffer"], ["initialized"], "sgd", "lr = 1.0e-3 : f64, momentum = 0.9 : f64"),
    "adagrad": (["sum"], ["step"], "adagrad", "lr = 1.0e-2 : f64"),
    "rmsprop": (["square_avg"], [], "rmsprop", "lr = 1.0e-3 : f64"),
    "adadelta": (["square_avg", "acc_delta"], [], "adadelta", "lr = 1.0 : f64"),
    "adamw": (["exp_avg", "exp_avg_sq"], ["step"], "adam",
              "lr = 1.0e-3 : f64, weight_decay = 1.0e-2 : f64, decoupled_weight_decay"),
}  # fmt: skip

STEP = """
func.func @step(
    {arguments},
    %x: tensor<BxNxf32> {{train.role = #train.input<"x">}},
    %dz: tensor<BxNxf32> {{train.role = #train.input<"dz">}})
    -> ({results}) attributes {{train.step}} {{
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<NxNxf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<NxNxf32>) -> tensor<NxNxf32>
  %dw = linalg.matmul
      indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>,
                       affine_map<(m, n, k) -> (m, n)>]
      ins(%dz, %x : tensor<BxNxf32>, tensor<BxNxf32>) outs(%fill : tensor<NxNxf32>) -> tensor<NxNxf32>
  %next:{count} = train.{op} ins(%dw : tensor<NxNxf32>) outs({values} : {types}) {{{attributes}}}
  return {returned} : {types}
}}
"""

#: What a case is.
KEYS = ("optimizer", "width", "batch", "threads")
Case = tuple[str, int, int, int]

HEADER = """\
| optimizer | weight | batch | threads | baseline min ms | backward min ms | ratio of minima | ratio of medians |
|---|---|---|---|---|---|---|---|"""


def step_text(optimizer: str, width: int, batch: int) -> str:
    """dW = dz^T x and its update, of a `width` x `width` weight, `batch` rows."""
    states, scalars, op, attributes = OPTIMIZERS[optimizer]
    kept = [("w", "NxNxf32", '<"w">')]
    kept += [(state, "NxNxf32", f'<"w", "{state}">') for state in states]
    kept += [(state, "f32", f'<"w", "{state}">') for state in scalars]
    roles = ["param"] + ["state"] * (len(kept) - 1)
    text = STEP.format(
        arguments=",\n    ".join(
            f"%{name}: tensor<{type}> {{train.role = #train.{role}{key}}}"
            for (name, type, key), role in zip(kept, roles)
        ),
        results=", ".join(
            f"tensor<{type}> {{train.role = #train.next{key}}}" for _, type, key in kept
        ),
        count=len(kept),
        op=op,
        values=", ".join(f"%{name}" for name, _, _ in kept),
        types=", ".join(f"tensor<{type}>" for _, type, _ in kept),
        attributes=attributes,
        returned=", ".join(f"%next#{i}" for i in range(len(kept))),
    )
    return text.replace("NxN", f"{width}x{width}").replace("BxN", f"{batch}x{width}")


def cache_bytes() -> int:
    """Size of the last-level cache; 0 where the system does not say.

    Not of sysconf, which adds up the caches of a whole socket.
    """
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((int(size.read_text().strip()[:-1]) * 1024 for size in sizes), default=0)


def compare(options: argparse.Namespace, folder: Path, case: Case) -> dict:
    """What was measured. Ends the program where plait-run fails, or results differ."""
    optimizer, width, batch, threads = case
    step, report = folder / "step.mlir", folder / "report.json"
    step.write_text(step_text(optimizer, width, batch))
    command = [options.plait_run, step, "--random-inputs", "--compare", f"--steps={options.steps}",
               f"--block={options.block}", f"--threads={threads}", f"--report={report}"]  # fmt: skip
    run = subprocess.run(command, stdout=subprocess.DEVNULL)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {run.returncode}")
    times = {s["schedule"]: s["ms_per_step"] for s in json.loads(report.read_text())["schedules"]}
    return {
        "optimizer": optimizer,
        "width": width,
        "batch": batch,
        "threads": threads,
        "baseline_ms": times["baseline"],
        "backward_ms": times["backward"],
        "steps": options.steps,
        "block": options.block,
        "date": date.today().isoformat(),
    }


def cpu_name() -> str:
    """What /proc/cpuinfo says; empty where there is none."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    names = {"model name": "", "cpu family": "family ", "model": "model "}
    return ", ".join(word + found[name] for name, word in names.items() if name in found)


def write(path: Path, results: list[dict]) -> None:
    """Puts `results` into a file of this machine, in place of older rows of the
    same cases: a long grid can be measured in portions."""
    table = json.loads(path.read_text()) if path.exists() else {"rows": []}
    machine = {"cpu": cpu_name(), "cache_bytes": cache_bytes()}
    if table["rows"] and {key: table.get(key) for key in machine} != machine:
        sys.exit(f"{path} is of another machine")
    rows = {tuple(row[key] for key in KEYS): row for row in table["rows"] + results}
    lines = ",\n".join("  " + json.dumps(row) for row in rows.values())
    head = json.dumps({**machine, **table, "rows": []}, indent=1)
    path.write_text(head.replace('"rows": []', f'"rows": [\n{lines}\n ]') + "\n")


def row(result: dict) -> str:
    base, fused = result["baseline_ms"], result["backward_ms"]
    cells = [
        result["optimizer"],
        f"{result['width']}x{result['width']}",
        f"{result['batch']}",
        f"{result['threads']}",
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
    parser.add_argument("--optimizers", nargs="+", default=["adamw"], choices=OPTIMIZERS)
    parser.add_argument("--widths", type=int, nargs="+", default=[1024, 4096], metavar="N")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128], metavar="N")
    parser.add_argument("--threads", type=int, nargs="+", metavar="N",
                        default=sorted({1, len(os.sched_getaffinity(0))}))  # fmt: skip
    parser.add_argument("--steps", type=int, default=20,
                        help="that are checked; for every block of them, one is timed")  # fmt: skip
    parser.add_argument("--block", type=int, default=20, help="steps in a timed block")
    parser.add_argument("--json", type=Path,
                        help="also write the rows, all times in ms, to this file; rows of other cases stay")  # fmt: skip
    options = parser.parse_args()
    if not options.plait_run.exists():
        sys.exit(f"no {options.plait_run}: cmake --build build, or --plait-run=FILE")
    print(HEADER)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in itertools.product(
            options.optimizers, options.widths, options.batches, options.threads
        ):
            results.append(compare(options, Path(folder), case))
            print(row(results[-1]), flush=True)
            if options.json:
                write(options.json, results)


if __name__ == "__main__":
    main()
