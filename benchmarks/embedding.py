# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training steps of an embedding of 512 columns and a linear layer, beside torch.

    PYTHONPATH=build/python:python build/venv/bin/python benchmarks/embedding.py \\
        --plait-run build/bin/plait-run [--before OTHER/plait-run]

8 sequences of 64 tokens; `--before` is another version's plait-run. torch is eager,
with dense gradients and with `sparse=True`. Blocks of steps in turns; prints
milliseconds of the fastest step.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import plait.torch

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3),
}


class Classifier(nn.Module):
    def __init__(self, rows: int, sparse: bool = False):
        super().__init__()
        self.table = nn.Embedding(rows, 512, sparse=sparse)
        self.head = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table(x).mean(1))


def data(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randint(rows, (8, 64)), torch.randint(10, (8,))


def export(rows: int, optimizer: str, folder: Path) -> Path:
    model, path = Classifier(rows), folder / "step.mlir"
    exported = plait.torch.export_step(
        model, F.cross_entropy, OPTIMIZERS[optimizer](model.parameters()), data(rows)
    )
    path.write_text(exported.module_text)
    return path


def run(binary: str, step: Path, threads: int, steps: int) -> float:
    report = step.with_suffix(".json")
    command = [binary, str(step), "--random-inputs", f"--steps={steps}"]
    command += [f"--threads={threads}", f"--report={report}"]
    subprocess.run(command, check=True, capture_output=True)
    return json.loads(report.read_text())["ms_per_step"]["min"]


class Torch:
    def __init__(self, rows: int, optimizer: str, sparse: bool):
        self.model, self.data = Classifier(rows, sparse), data(rows)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def step(self) -> float:
        start = time.perf_counter()
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(self.data[0]), self.data[1]).backward()
        self.optimizer.step()
        return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plait-run", required=True)
    parser.add_argument("--before")
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 8000, 32000, 128000])
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=["sgd", "adagrad"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    binaries = {"before": options.before, "now": options.plait_run}
    binaries = {name: binary for name, binary in binaries.items() if binary}
    print("| optimizer | rows |", " | ".join([*binaries, "torch", "torch, sparse"]), "|")
    print("|" + "---|" * (4 + len(binaries)))
    for optimizer in options.optimizers:
        for rows in options.rows:
            with tempfile.TemporaryDirectory() as folder:
                step = export(rows, optimizer, Path(folder))
                ways = {
                    name: lambda b=binary: run(b, step, options.threads, options.steps)
                    for name, binary in binaries.items()
                }
                for sparse in [False, True][: 2 if optimizer != "adamw" else 1]:
                    peer = Torch(rows, optimizer, sparse)
                    ways[f"torch {sparse}"] = lambda p=peer: min(
                        p.step() for _ in range(options.steps)
                    )
                turns = [{name: way() for name, way in ways.items()} for _ in range(3)]
                best = {name: min(turn[name] for turn in turns) for name in ways}
            print("|", optimizer, "|", rows, "|", " | ".join(f"{t:.3f}" for t in best.values()), "|")


if __name__ == "__main__":
    main()
