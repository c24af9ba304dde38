# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training steps of three small square layers, on one thread and on several.

    PYTHONPATH=build/python:python build/venv/bin/python benchmarks/layers.py \\
        --plait-run build/bin/plait-run [--before OTHER/plait-run] [--apart]

AdamW, batches of `--batches`; `--before` is another version's plait-run, `--apart`
measures `--side-by-side=false` as well. Prints microseconds of the fastest step.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import plait.torch


def export(width: int, batch: int, path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )
    data = (torch.randn(batch, width), torch.randint(0, 10, (batch,)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    step = plait.torch.export_step(model, F.cross_entropy, optimizer, data)
    path.write_text(step.module_text)


def run(binary: str, step: Path, threads: int, steps: int, *options: str) -> float:
    report = step.with_suffix(".json")
    command = [binary, str(step), "--random-inputs", f"--steps={steps}"]
    command += [f"--threads={threads}", f"--report={report}", *options]
    subprocess.run(command, check=True, capture_output=True)
    return 1e3 * json.loads(report.read_text())["ms_per_step"]["min"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plait-run", required=True)
    parser.add_argument("--before")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 192, 256, 384, 512])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    sides = {"one thread": (options.plait_run, 1)}
    if options.before:
        sides["before"] = (options.before, options.threads)
    if options.apart:
        sides["apart"] = (options.plait_run, options.threads, "--side-by-side=false")
    sides["now"] = (options.plait_run, options.threads)
    print("| width | batch |", " | ".join(sides), "|\n|" + "---|" * (2 + len(sides)))
    with tempfile.TemporaryDirectory() as folder:
        step = Path(folder) / "step.mlir"
        for width in options.widths:
            for batch in options.batches:
                export(width, batch, step)
                times = [
                    run(binary, step, threads, options.steps, *rest)
                    for binary, threads, *rest in sides.values()
                ]
                print("|", width, "|", batch, "|", " | ".join(f"{t:.1f}" for t in times), "|")


if __name__ == "__main__":
    main()
