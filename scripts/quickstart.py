# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Train a digit classifier under every schedule; what scripts/quickstart runs.

Writes the step, the digits, logs and loss curves into --out, prints a table,
and exits with 1 where a check fails:

- every schedule gives the same losses and parameters, bit for bit;
- PyTorch's losses, if PyTorch is there, agree: by FIRST_LOSSES in the first 20
  steps, and by MEAN_LOSS in the mean of each 100 steps after. (Rounding differs,
  Adam's first steps from zero states magnify that, and training amplifies it.)
- the accuracy on held-out digits is above 90 %.
"""

import argparse
import csv
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import mnist
import numpy as np
import reporting
from safetensors.numpy import load_file, save_file

SCHEDULES = ("baseline", "backward", "forward")
TORCH = "PyTorch"
FIRST_LOSSES = 1e-5
MEAN_LOSS = 0.01
ACCURACY = 0.90
#: Untimed steps of each run: the compiler, caches and threads warm up.
WARM_UP = 3


@dataclass
class Variant:
    """What all runs of one schedule, or of PyTorch, gave."""

    name: str
    ms: list[float] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    results: list[dict[str, np.ndarray]] = field(default_factory=list)
    gradient_bytes: int | None = None
    peak_bytes: int | None = None


def run_plait(options: argparse.Namespace, variant: Variant, seed: int) -> None:
    stem = options.out / f"{variant.name}.{seed}"
    command = [
        str(options.plait_run),
        str(options.out / "mnist.mlir"),
        "--entry-point=step",
        f"--inputs={options.out / f'init.{seed}.safetensors'}",
        f"--inputs={options.out / 'train.safetensors'}",
        f"--steps={options.steps}",
        f"--schedule={variant.name}",
        "--shuffle",
        f"--seed={seed}",
        "--eval=@eval",
        f"--eval-inputs={options.out / 'test.safetensors'}",
        f"--log={stem}.csv",
        f"--report={stem}.json",
        f"--results={stem}.safetensors",
    ]
    _run(command)
    report = json.loads(Path(f"{stem}.json").read_text())
    with open(f"{stem}.csv", newline="") as file:
        ms = [float(row["ms"]) for row in csv.DictReader(file)]
    variant.ms += ms[WARM_UP:]
    variant.losses.append(report["loss"])
    variant.accuracies.append(report["eval"]["accuracy"])
    variant.results.append(load_file(f"{stem}.safetensors"))
    variant.gradient_bytes = report["gradient_bytes"]
    variant.peak_bytes = report["peak_bytes"]


def run_torch(options: argparse.Namespace, variant: Variant, seed: int) -> None:
    # One file, as the digits come beside the initial weights.
    inputs = options.out / "torch.safetensors"
    tensors = load_file(options.out / f"init.{seed}.safetensors")
    save_file(tensors | load_file(options.out / "train.safetensors"), inputs)
    report_file = options.out / f"torch.{seed}.json"
    script = Path(__file__).with_name("quickstart_torch.py")
    command = [sys.executable, str(script), str(inputs), str(options.out / "test.safetensors")]
    _run([*command, str(report_file), f"--steps={options.steps}", f"--seed={seed}"])
    report = json.loads(report_file.read_text())
    variant.ms += report["ms"][WARM_UP:]
    variant.losses.append(report["loss"])
    variant.accuracies.append(report["eval"]["accuracy"])
    variant.gradient_bytes = report["gradient_bytes"]


def _run(command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"quickstart: failed ({run.returncode}): {' '.join(command)}\n{run.stdout}{run.stderr}")


def write_inputs(options: argparse.Namespace) -> None:
    (options.out / "mnist.mlir").write_text(mnist.model_text(), encoding="utf-8")
    train, test = mnist.digits()
    save_file(train, options.out / "train.safetensors")
    save_file(test, options.out / "test.safetensors")
    for seed in range(options.seeds):
        values = mnist.parameters(seed)
        save_file(values | mnist.states(values), options.out / f"init.{seed}.safetensors")


def train_all(options: argparse.Namespace, variants: list[Variant]) -> None:
    """Every variant with every seed, in an order that rotates with the seed.

    So that a machine that slows down, or another job, does not meet the same
    variant each time.
    """
    total = options.seeds * len(variants)
    for seed in range(options.seeds):
        for i in range(len(variants)):
            variant = variants[(seed + i) % len(variants)]
            begin = time.perf_counter()
            (run_torch if variant.name == TORCH else run_plait)(options, variant, seed)
            print(
                f"[{seed * len(variants) + i + 1:2}/{total}] seed {seed}  {variant.name:9}"
                f" {options.steps} steps, final loss {last_loss(variant.losses[-1]):.4f},"
                f" accuracy {variant.accuracies[-1]:.1%}"
                f"  ({time.perf_counter() - begin:.1f} s with compiling and loading)",
                flush=True,
            )


def last_loss(losses: list[float]) -> float:
    """The mean of the last 20 steps: one batch is noisy."""
    return statistics.fmean(losses[-20:])


def table(variants: list[Variant]) -> str:
    def bytes_text(value: int | None) -> str:
        return "-" if value is None else f"{value:,}"

    heads = ["", "ms/step min", "median", "peak bytes", "gradient bytes", "final loss", "accuracy"]
    rows = [
        [
            v.name,
            f"{min(v.ms):.3f}",
            f"{statistics.median(v.ms):.3f}",
            bytes_text(v.peak_bytes),
            bytes_text(v.gradient_bytes),
            f"{statistics.fmean(map(last_loss, v.losses)):.4f}",
            f"{statistics.fmean(v.accuracies):.1%}",
        ]
        for v in variants
    ]
    return reporting.table([heads, *rows])


def check(variants: list[Variant]) -> bool:
    """Print each check with its outcome; whether all hold."""
    baseline = variants[0]
    outcomes = []
    for other in variants[1:]:
        if other.name == TORCH:
            outcomes.append(compare_with_torch(baseline, other))
            continue
        different = first_difference(baseline, other)
        text = f"{other.name}: losses and parameters are baseline's, bit for bit"
        outcomes.append((different is None, text + (f"; NOT: {different}" if different else "")))
    for variant in variants:
        least = min(variant.accuracies)
        text = f"{variant.name}: accuracy of every seed above {ACCURACY:.0%} (least {least:.1%})"
        outcomes.append((least > ACCURACY, text))
    for holds, text in outcomes:
        print(f"{'ok  ' if holds else 'FAIL'}  {text}")
    return all(holds for holds, _ in outcomes)


def first_difference(a: Variant, b: Variant) -> str | None:
    for seed, (one, other) in enumerate(zip(a.losses, b.losses)):
        for step, (x, y) in enumerate(zip(one, other), 1):
            if x != y:
                return f"loss of step {step}, seed {seed}: {x!r} and {y!r}"
    for seed, (one, other) in enumerate(zip(a.results, b.results)):
        for name, value in one.items():
            if other[name].tobytes() != value.tobytes():
                return f"'{name}', seed {seed}"
    return None


def compare_with_torch(plait: Variant, torch: Variant) -> tuple[bool, str]:
    mine, reference = np.array(plait.losses), np.array(torch.losses)
    first = np.abs(mine - reference)[:, :20].max()
    width = min(100, mine.shape[1])
    count = mine.shape[1] // width * width
    means = [a[:, :count].reshape(len(a), -1, width).mean(2) for a in (mine, reference)]
    mean = np.abs(means[0] - means[1]).max()
    text = (
        f"{torch.name}: losses of 20 steps within {FIRST_LOSSES} of baseline's (largest"
        f" {first:.1e}), means of {width} steps within {MEAN_LOSS} ({mean:.1e})"
    )
    return bool(first <= FIRST_LOSSES and mean <= MEAN_LOSS), text


def draw(options: argparse.Namespace, variants: list[Variant]) -> Path:
    # Curves that coincide must all show: from wide and light to thin and dark.
    looks = {
        "baseline": dict(color="#a6cee3", linewidth=10),
        "backward": dict(color="#1f78b4", linewidth=6),
        "forward": dict(color="#ff7f00", linewidth=2.5),
        TORCH: dict(color="black", linewidth=1.2, linestyle=(0, (2, 3))),
    }
    window = 25
    figure, (left, right) = reporting.pyplot().subplots(1, 2, figsize=(11, 4.2), width_ratios=[3, 2])
    for variant in variants:
        mean = np.mean(variant.losses, axis=0)
        left.plot(*reporting.moving_mean(mean, window), label=variant.name, **looks[variant.name])
    left.set(xlabel="step", ylabel="training loss", yscale="log",
             title=f"Mean over {window} steps and all seeds ({options.seeds})")  # fmt: skip
    left.legend()
    left.grid(alpha=0.3, which="both")
    names = [v.name for v in variants]
    right.boxplot([v.ms for v in variants], orientation="horizontal", showfliers=False, widths=0.6)
    right.set_yticks(range(1, len(names) + 1), names)
    right.invert_yaxis()
    right.set_xlim(left=0)
    right.set(xlabel="ms per step", title="Time of a step, without outliers")
    right.grid(alpha=0.3, axis="x")
    figure.tight_layout()
    path = options.out / "loss.png"
    figure.savefig(path, dpi=120)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plait-run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything written")
    parser.add_argument("--steps", type=int, default=375)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    variants = [Variant(name) for name in SCHEDULES]
    if importlib.util.find_spec("torch"):
        variants.append(Variant(TORCH))
    else:
        print("PyTorch is not installed, so it does not run beside (scripts/quickstart --with-torch)")
    print(f"{'-'.join(map(str, mnist.WIDTHS))} perceptron, batch {mnist.BATCH}, AdamW, 4,000 digits")
    write_inputs(options)
    # Both runtimes wait for their threads at every loop: one more busy process
    # and the slowest thread decides, by a factor of 5 and more.
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    busy = load > 0.5 * processors
    train_all(options, variants)
    print(f"\n{table(variants)}\n")
    if busy:
        print(
            f"NOTE: other jobs were running at the start (load {load:.1f} on {processors}"
            " processors), so the times say little; the checks hold all the same.\n"
        )
    good = check(variants)
    print(f"\nLoss curves: {draw(options, variants)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
