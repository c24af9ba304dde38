# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole training steps: Plait's schedules and its peers, in one run.

Each way of training is a process of its own. They take turns in blocks of steps,
in an order that rotates, so that all meet the same state of the machine; the
first steps of a block bring its weights back into the cache and are not counted.
Between blocks everything sleeps until threads have stopped spinning. All start
from the same weights, and their parameters are compared after three steps.

Peers run twice, as they are and with a malloc that keeps its memory
(GLIBC_TUNABLES): much of a gain over the former may be page faults.

Read ratios within one table; times belong to one machine and one hour.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from peers import NAMES
from workloads import MODELS, OPTIMIZERS

HERE = Path(__file__).parent
#: (workload, optimizer, batch)
STANDING = [
    ("mlp_a", "adamw", 1),
    ("mlp_a", "adamw", 8),
    ("mlp_a", "adamw", 32),
    ("mlp_b", "adamw", 1),
    ("mlp_b", "adamw", 32),
    ("mlp_a", "adadelta", 32),
    ("mlp_b", "sgd", 32),
    ("enc_c", "adamw", 1),
    ("vgg11", "adamw", 32),
]
SCHEDULES = ["plait-baseline", "plait-backward", "plait-forward"]
PEERS = ["loop", "fused", "hook", "compile", "compile-all", "jax"]
TUNED = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296"
    ":glibc.malloc.trim_threshold=17179869184"
)
WARM_UP = 2
PAUSE = 0.25
REFERENCE = "loop"


class Way:
    """A worker process, and what was measured of it."""

    def __init__(self, name: str, case: tuple[str, str, int], threads: int, tuned: bool):
        self.name = f"{name} tuned" if tuned else name
        self.is_peer = not name.startswith("plait-")
        self.times: list[float] = []
        self.folder = tempfile.TemporaryDirectory()
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "JAX_PLATFORMS": "cpu"}
        if tuned:
            environment["GLIBC_TUNABLES"] = TUNED
        self.process = subprocess.Popen(
            [sys.executable, HERE / "worker.py", name, *map(str, case), str(threads), self.folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(Path(self.folder.name) / "stderr", "w"),
            env=environment,
            text=True,
        )
        first = self._answer()
        self.error = first.get("error", "")
        self.compile_s = first.get("compile_s", 0.0)
        if not self.error:
            self.checked = dict(np.load(Path(self.folder.name) / "check.npz"))

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            tail = (Path(self.folder.name) / "stderr").read_text().strip().splitlines()
            return {"error": tail[-1] if tail else "the process ended"}
        return json.loads(line)

    def ask(self, request: object):
        self.process.stdin.write(f"{request}\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def measure(case: tuple[str, str, int], options: argparse.Namespace) -> dict:
    """One table: times of all ways for one workload, optimizer and batch."""
    wanted = [(name, False) for name in options.ways]
    if not options.no_tuned:
        wanted += [(name, True) for name in options.ways if name not in SCHEDULES]
    ways = []
    try:
        for name, tuned in wanted:
            _say(f"{_title(case)}: starting {name}{' tuned' if tuned else ''}")
            ways.append(Way(name, case, options.threads, tuned))
        running = [way for way in ways if not way.error]
        _run_blocks(case, running, options)
        reference = next((w for w in running if w.name == REFERENCE), None)
        return {
            "workload": case[0],
            "optimizer": case[1],
            "batch": case[2],
            "threads": options.threads,
            "ways": [_result(way, reference, case) for way in ways],
        }
    finally:
        _say("")
        for way in ways:
            way.close()


def _run_blocks(case: tuple[str, str, int], ways: list[Way], options: argparse.Namespace) -> None:
    deadline = time.monotonic() + options.seconds
    done = 0
    while done < 2 or (done < options.rounds and time.monotonic() < deadline):
        for way in _rotated(ways, done):
            _say(f"{_title(case)}: round {done + 1}, {way.name}")
            time.sleep(PAUSE)
            way.times += way.ask(options.block + WARM_UP)[WARM_UP:]
        done += 1


def _rotated(ways: list[Way], by: int) -> Iterator[Way]:
    for i in range(len(ways)):
        yield ways[(i + by) % len(ways)]


def _result(way: Way, reference: Way | None, case: tuple[str, str, int]) -> dict:
    if way.error:
        return {"name": way.name, "error": way.error}
    result = {
        "name": way.name,
        "is_peer": way.is_peer,
        "min_ms": min(way.times),
        "median_ms": float(np.median(way.times)),
        "compile_s": way.compile_s,
        "peak_mb": way.ask("quit")["peak_mb"],
    }
    if reference is not None:
        lr = OPTIMIZERS[case[1]][1]["lr"]
        result["difference_per_lr"] = max(
            float(np.abs(way.checked[name] - value).max()) / lr
            for name, value in reference.checked.items()
            if name in way.checked
        )
    return result


def table(result: dict) -> str:
    """Markdown. Ratios are of minima: to the best peer, and to Plait's own
    baseline, which is what fusion alone does."""
    ways = [way for way in result["ways"] if "error" not in way]
    best = min((w["min_ms"] for w in ways if w["is_peer"]), default=None)
    own = next((w["min_ms"] for w in ways if w["name"] == "plait-baseline"), None)
    lines = [
        f"### {result['workload']}, {result['optimizer']}, batch {result['batch']},"
        f" {result['threads']} threads",
        "",
        "| | min ms | median ms | / best peer | / own baseline | compile s | peak MB | difference / lr |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for way in result["ways"]:
        if "error" in way:
            lines.append(f"| {way['name']} | {way['error']} | | | | | | |")
            continue
        cells = [
            way["name"],
            f"{way['min_ms']:.3f}",
            f"{way['median_ms']:.3f}",
            f"{way['min_ms'] / best:.2f}" if best else "",
            f"{way['min_ms'] / own:.2f}" if own and not way["is_peer"] else "",
            f"{way['compile_s']:.1f}",
            f"{way['peak_mb']:.0f}",
            f"{way['difference_per_lr']:.1e}" if "difference_per_lr" in way else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(results: list[dict], path: Path) -> None:
    """Bars of each step's fastest ways, as times the best peer's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [n for n in SCHEDULES if any(w["name"] == n for r in results for w in r["ways"])]
    figure, axes = plt.subplots(figsize=(8, 0.55 * len(results) * (len(names) + 1) / 2 + 1.2))
    height = 0.8 / (len(names) + 1)
    colors = ["#9aa5b1", "#1f6feb", "#8250df", "#d0700b"]
    for row, result in enumerate(results):
        ways = {w["name"]: w["min_ms"] for w in result["ways"] if "error" not in w}
        peers = {w["name"]: w["min_ms"] for w in result["ways"] if w.get("is_peer")}
        if not peers:
            continue
        best = min(peers, key=peers.__getitem__)
        bars = [(n, ways[n]) for n in names if n in ways] + [(best, peers[best])]
        for i, (name, value) in enumerate(bars):
            place = row + (i - len(names) / 2) * height
            color = colors[names.index(name)] if name in names else colors[3]
            axes.barh(place, value / peers[best], height * 0.92, color=color)
            label = f"{value:.2f} ms" + ("" if name in names else f"  {name}")
            axes.text(value / peers[best] + 0.01, place, label, va="center", fontsize=7)
    axes.set_yticks(range(len(results)), [_title((r["workload"], r["optimizer"], r["batch"])) for r in results])
    axes.invert_yaxis()
    axes.axvline(1, color="#d0700b", linewidth=0.8)
    axes.set_xlabel("time of a step / that of the best peer (minimum)")
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in [*colors[: len(names)], colors[3]]]
    axes.legend(handles, [*names, "best peer"], fontsize=8, loc="lower right")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def limits(threads: int) -> dict:
    """What the machine can do; empty where there is no compiler."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "limits"
        flags = ["-O3", "-march=native", "-ffp-contract=fast", "-fopenmp"]
        try:
            subprocess.run(["cc", *flags, HERE / "limits.c", "-o", program], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            _say(f"no machine limits: {error}\n")
            return {}
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        return json.loads(subprocess.check_output([program], env=environment))


def _title(case: tuple[str, str, int]) -> str:
    return f"{case[0]} {case[1]} b{case[2]}"


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _case(text: str) -> tuple[str, str, int]:
    try:
        workload, optimizer, batch = text.split(":")
        case = workload, optimizer, int(batch)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not workload:optimizer:batch") from None
    for name, known in zip(case, (MODELS, OPTIMIZERS)):
        if name not in known:
            raise argparse.ArgumentTypeError(f"no '{name}': {', '.join(known)}")
    return case


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", type=_case, default=STANDING,
                        metavar="workload:optimizer:batch", help="default: the standing set")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ways", nargs="+", default=[*SCHEDULES, *PEERS], choices=NAMES, metavar="WAY",
                        help="plait-<schedule> and peers (peers.py lists them)")
    parser.add_argument("--no-tuned", action="store_true", help="peers with plain malloc only")
    parser.add_argument("--block", type=int, default=8, help="counted steps in a block")
    parser.add_argument("--rounds", type=int, default=8, help="blocks of each way, at most")
    parser.add_argument("--seconds", type=float, default=60, help="time for a table, once started")
    parser.add_argument("--out", type=Path, default=Path("bench-results"),
                        help="folder for steps.md, steps.json, steps.png")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    machine = limits(options.threads)
    results = []
    text = f"Limits of the machine: {json.dumps(machine)}\n" if machine else ""
    print(text, flush=True)
    for case in options.cases:
        results.append(measure(case, options))
        shown = table(results[-1])
        text += f"\n{shown}\n"
        print(shown, end="\n\n", flush=True)
        # After each table: a long run that is stopped leaves what it has.
        (options.out / "steps.md").write_text(text)
        (options.out / "steps.json").write_text(
            json.dumps({"limits": machine, "results": results}, indent=2)
        )
    try:
        plot(results, options.out / "steps.png")
    except ImportError:
        print("no plot: pip install matplotlib", file=sys.stderr)


if __name__ == "__main__":
    main()
