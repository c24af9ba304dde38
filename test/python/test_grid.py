# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The grid of docs/Reproduction.md can be asked for. Times are not judged."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from plait_run import needs_plait_run

ROOT = Path(__file__).parents[2]
GRID = ROOT / "benchmarks" / "grid.py"


def grid(*arguments: str) -> subprocess.CompletedProcess:
    """benchmarks/grid.py, run."""
    command = [sys.executable, GRID, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@needs_plait_run
def test_rows():
    run = grid(f"--plait-run={os.environ['PLAIT_RUN']}", "--widths", "16", "24",
               "--batches", "1", "3", "--threads", "1")  # fmt: skip
    assert run.returncode == 0, run.stderr
    header, _, *rows = run.stdout.splitlines()
    # The document's table is what this prints.
    assert header in (ROOT / "docs/Reproduction.md").read_text()
    cells = [re.fullmatch(r"\| adamw \| (\d+)x\1 \| (\d+) \| 1 (\| \d+\.\d\d ){4}\|", row) for row in rows]
    assert [(c[1], c[2]) for c in cells] == [("16", "1"), ("16", "3"), ("24", "1"), ("24", "3")]


@needs_plait_run
def test_every_optimizer(tmp_path):
    names = ["sgd", "momentum", "adagrad", "rmsprop", "adadelta", "adamw"]
    run = grid(f"--plait-run={os.environ['PLAIT_RUN']}", "--widths", "16", "--batches", "3",
               "--threads", "1", "--optimizers", *names, "--json", str(tmp_path / "rows.json"))  # fmt: skip
    assert run.returncode == 0, run.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["optimizer"] for row in rows] == names
    assert all(row["backward_ms"]["min"] > 0 for row in rows)


@needs_plait_run
def test_portions(tmp_path):
    """A long grid is measured in portions, each of which replaces its own rows."""
    table = tmp_path / "rows.json"

    def portion(*batches: str) -> subprocess.CompletedProcess:
        return grid(f"--plait-run={os.environ['PLAIT_RUN']}", "--widths", "16", "--threads", "1",
                    "--batches", *batches, "--block", "4", "--json", str(table))  # fmt: skip

    assert portion("1", "3").returncode == 0
    first = json.loads(table.read_text())
    table.write_text(json.dumps({**first, "note": "kept"}))
    assert portion("3", "5").returncode == 0
    second = json.loads(table.read_text())
    assert [row["batch"] for row in second["rows"]] == [1, 3, 5]
    assert second["rows"][0] == first["rows"][0] and second["note"] == "kept"
    table.write_text(json.dumps({**second, "cpu": "another"}))
    run = portion("1")
    assert run.returncode == 1 and "is of another machine" in run.stderr


def test_no_plait_run():
    run = grid("--plait-run=/nowhere/plait-run")
    assert run.returncode == 1
    assert "no /nowhere/plait-run: cmake --build build, or --plait-run=FILE" in run.stderr


def test_failure_of_plait_run_is_passed_on():
    run = grid(f"--plait-run={sys.executable}", "--widths", "16", "--batches", "1")
    assert run.returncode == 1
    assert "--compare" in run.stderr and "exit code 1" in run.stderr
