# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A training step of one layer of self-attention, of Plait and of torch, in turns.

    PYTHONPATH=build/python:python build/venv/bin/python benchmarks/attention.py \\
        --plait-run build/bin/plait-run [--before OTHER/plait-run]

The layer is 512 wide with 8 heads; a batch has `--tokens` tokens, in sequences of
each length. Each round runs `--steps` steps of every side, `--before` being another
version's plait-run. Prints milliseconds of the fastest step, and Plait's
`peak_bytes`. Torch is eager, with its fused attention.
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

WIDTH, HEADS = 512, 8


class Attention(nn.Module):
    def __init__(self, causal: bool):
        super().__init__()
        self.causal = causal
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.qkv(x).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*parts.unbind(), is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(batch, length, width))


def run_plait(binary: str, step: Path, options: argparse.Namespace) -> tuple[float, int]:
    report = step.with_suffix(".json")
    command = [binary, str(step), "--random-inputs", f"--steps={options.steps}"]
    command += [f"--threads={options.threads}", f"--report={report}"]
    subprocess.run(command, check=True, capture_output=True)
    values = json.loads(report.read_text())
    return values["ms_per_step"]["min"], values["peak_bytes"]


def run_torch(model: nn.Module, data: list[torch.Tensor], steps: int) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    best = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        F.mse_loss(model(data[0]), data[1]).backward()
        optimizer.step()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def measure(options: argparse.Namespace, folder: Path, length: int) -> str:
    from plait.torch import export_step

    torch.manual_seed(0)
    model = Attention(options.causal)
    data = [torch.randn(max(1, options.tokens // length), length, WIDTH) for _ in range(2)]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    step = folder / "step.mlir"
    step.write_text(export_step(model, F.mse_loss, optimizer, data).module_text)
    sides = [side for side in (options.before, options.plait_run) if side]
    best, peaks = {side: float("inf") for side in [*sides, "torch"]}, {}
    for _ in range(options.rounds):
        for side in sides:
            ms, peaks[side] = run_plait(side, step, options)
            best[side] = min(best[side], ms)
        best["torch"] = min(best["torch"], run_torch(model, data, options.steps))
    times = [f"{best[side]:.1f}" for side in [*sides, "torch"]]
    megabytes = [f"{peaks[side] / 1e6:.1f}" for side in sides]
    return f"| {length} | {len(data[0])} | {' | '.join(times + megabytes)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plait-run", required=True)
    parser.add_argument("--before", help="another plait-run, to compare with")
    parser.add_argument("--lengths", default="128,512,2048")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--causal", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads, torch {torch.__version__}, ms, MB\n")
    sides = ["before", "Plait"] if options.before else ["Plait"]
    header = ["length", "batch", *sides, "torch", *[f"MB {side}" for side in sides]]
    print(f"| {' | '.join(header)} |\n{'|---' * len(header)}|")
    with tempfile.TemporaryDirectory() as folder:
        for length in options.lengths.split(","):
            print(measure(options, Path(folder), int(length)), flush=True)


if __name__ == "__main__":
    main()
