# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The cost model's choices beside what was measured: benchmarks/measured/*.json.

No time is taken here. Each table has, for each case of benchmarks/grid.py, the
time of dW and its update apart (`baseline`) and in one loop nest (`backward`).
"""

import importlib.util
import json
import math
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = sorted((ROOT / "benchmarks" / "measured").glob("grid-*.json"))
REMARK = re.compile(
    r"is estimated at ([\d.]+) ms and [\d.]+ MB in one loop nest with its gradient, "
    r"at ([\d.]+) ms and [\d.]+ MB apart from it \(.*\): (apart|one nest)"
)

pytestmark = pytest.mark.skipif(
    "PLAIT_OPT" not in os.environ, reason="PLAIT_OPT is not set: NOT verified"
)


def load_grid():
    spec = importlib.util.spec_from_file_location("grid", ROOT / "benchmarks" / "grid.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(cases: list[tuple[str, int, int]], constants: str) -> list[tuple[float, float, str]]:
    """For each case the model's ms in one nest and apart, and its choice."""
    grid = load_grid()
    text = "\n// -----\n".join(grid.step_text(*case) for case in cases)
    pipeline = f"builtin.module(plait-schedule{{policy=auto {constants}}})"
    command = [
        os.environ["PLAIT_OPT"], "-split-input-file", f"--pass-pipeline={pipeline}",
        "--remarks-filter=train-place", "--remark-format=emitRemark", "-o", os.devnull,
    ]  # fmt: skip
    run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    found = REMARK.findall(run.stderr)
    assert len(found) == len(cases)
    return [(float(nest), float(apart), choice) for nest, apart, choice in found]


def constants_of(table: dict) -> str:
    """The table's machine: of one core, as the model counts."""
    core = next(limit for limit in table["limits"] if limit["threads"] == 1)
    return (
        f"cache-bytes={table['cache_bytes']} core-gflops={core['gflops']} "
        f"cache-gbs={core['cache_gbs']} memory-gbs={core['memory_gbs']}"
    )


def answers(path: Path, constants: str = "") -> list[tuple[str, float, float, float, str]]:
    """A row's name, its measured ratio of one nest to apart, the model's, and
    the choice; with the table's own constants if none are given."""
    table = json.loads(path.read_text())
    cases = sorted({(row["optimizer"], row["width"], row["batch"]) for row in table["rows"]})
    model = dict(zip(cases, ask(cases, constants or constants_of(table))))
    result = []
    for row in table["rows"]:
        nest, apart, choice = model[row["optimizer"], row["width"], row["batch"]]
        name = "{optimizer} {width} {batch} on {threads}".format(**row)
        measured = row["backward_ms"]["min"] / row["baseline_ms"]["min"]
        result.append((name, measured, nest / apart, choice))
    return result


def loss(measured: float, choice: str) -> float:
    """By how much the choice is slower than the better of the two."""
    return max(1, measured if choice == "one nest" else 1 / measured) - 1


@pytest.mark.parametrize("own_constants", [True, False], ids=["own", "default"])
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_no_choice_loses_more_than_5_percent(path, own_constants):
    constants = "" if own_constants else f"cache-bytes={json.loads(path.read_text())['cache_bytes']}"
    for name, measured, _, choice in answers(path, constants):
        assert loss(measured, choice) <= 0.05, f"{name}: {choice}, measured ratio {measured:.2f}"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("cache", [0.5, 1.25])
@pytest.mark.parametrize("memory", [0.67, 2])
def test_rates_may_be_off(path, cache, memory):
    """Defaults stand for machines that nobody has measured."""
    table = json.loads(path.read_text())
    core = next(limit for limit in table["limits"] if limit["threads"] == 1)
    rates = f"cache-gbs={core['cache_gbs'] * cache} memory-gbs={core['memory_gbs'] * memory}"
    for name, measured, _, choice in answers(path, f"cache-bytes={table['cache_bytes']} {rates}"):
        assert loss(measured, choice) <= 0.05, f"{name}: {choice}, measured ratio {measured:.2f}"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_clear_wins_and_losses_are_foreseen(path):
    for name, measured, model, _ in answers(path):
        if abs(math.log(measured)) > 0.1:
            assert (model < 1) == (measured < 1), f"{name}: {measured:.2f}, model {model:.2f}"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_neither_choice_alone_would_do(path):
    """Else the tables would not tell a good model from a bad one."""
    rows = answers(path)
    for choice in ("one nest", "apart"):
        assert max(loss(measured, choice) for _, measured, _, _ in rows) > 0.05


def test_there_are_tables():
    assert TABLES
