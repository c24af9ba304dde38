# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole training steps: Plait's schedules and its peers, beside what the machine needs.

All ways (peers.py) start from the same weights, and their parameters are compared
after three steps. How they take turns: turns.py.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import limits
import numpy as np
import torch
from limits import Work
from peers import NAMES
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from turns import Way, run_blocks, say, start
from workloads import MODELS, OPTIMIZERS, TENSORS, make_batches, make_model

#: (workload, optimizer, batch)
Case = tuple[str, str, int]
STANDING: list[Case] = [
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
REFERENCE = "loop"
ROUNDS = 8
#: Optimizers that leave a row of an embedding as it is where its gradient is zero.
SKIPPING = ("sgd", "adagrad")


def parse(text: str) -> Case:
    """Raises a ValueError that says what is wrong."""
    try:
        workload, optimizer, batch = text.split(":")
        case = workload, optimizer, int(batch)
    except ValueError:
        raise ValueError(f"'{text}' is not workload:optimizer:batch") from None
    for name, known in zip(case, (MODELS, OPTIMIZERS)):
        if name not in known:
            raise ValueError(f"no '{name}': {', '.join(known)}")
    if case[2] < 1:
        raise ValueError(f"'{text}': a batch has at least one row")
    return case


def title(case: Case) -> str:
    return f"{case[0]} {case[1]} b{case[2]}"


def work(case: Case) -> Work:
    """Parameters and states are read and written once; gradients and activations
    need not be in memory. Multiply-adds are those of products, convolutions and
    attention, forward and backward."""
    workload, optimizer, batch = case
    with torch.device("meta"):
        model = make_model(workload)
    batches = make_batches(model, batch, 1)
    kept = 4 * TENSORS[optimizer] * sum(p.numel() for p in model.parameters())
    if optimizer in SKIPPING:
        for table in (m for m in model.modules() if isinstance(m, nn.Embedding)):
            unused = max(0, table.num_embeddings - batches[0][0].numel())
            kept -= 4 * TENSORS[optimizer] * unused * table.embedding_dim
    counter = FlopCounterMode(display=False)
    with counter:
        x, y = (value.to("meta") for value in batches[0])
        nn.functional.cross_entropy(model(x), y).backward()
    return Work(flops=counter.get_total_flops(), once=0, both=kept)


def measure(case: Case, options: argparse.Namespace) -> dict:
    """One table: times of all ways for one workload, optimizer and batch."""
    names = [name for name in options.ways or SCHEDULES + PEERS if name in NAMES]
    machines: list[dict] = []
    ways: list[Way] = []
    try:
        say(f"{title(case)}: starting {', '.join(names)}")
        ways = start("peers", names, options.threads, not options.no_tuned)
        for way in ways:
            if not way.error:
                say(f"{title(case)}: compiling {way.title}")
                way.send("make", *case)
                way.made()
        run_blocks(
            ways, options.rounds or ROUNDS, options.block, seconds=options.seconds, what=title(case),
            before=lambda: machines.append(limits.measure(options.threads)),
        )  # fmt: skip
        bound = limits.limit(work(case), limits.better(machines))
        reference = next((w for w in ways if w.name == REFERENCE and not w.error), None)
        return {
            "workload": case[0],
            "optimizer": case[1],
            "batch": case[2],
            "threads": options.threads,
            "limits": machines,
            "limit": bound._asdict() if bound else None,
            "ways": [_result(way, reference, case) for way in ways],
        }
    finally:
        say("")
        for way in ways:
            way.close()


def _result(way: Way, reference: Way | None, case: Case) -> dict:
    result = {"name": way.title, "is_peer": way.name not in SCHEDULES, "tuned": way.tuned}
    if way.error:
        return result | {"error": way.error}
    result |= {
        "min_ms": min(way.times),
        "median_ms": float(np.median(way.times)),
        "compile_s": way.compile_s,
        "peak_mb": way.ask("peak"),
    }
    if reference is not None:
        lr = OPTIMIZERS[case[1]][1]["lr"]
        values, expected = way.results(), reference.results()
        result["difference_per_lr"] = max(
            float(np.abs(values[name] - value).max()) / lr
            for name, value in expected.items()
            if name in values
        )
    return result


def table(result: dict) -> str:
    """Markdown. Ratios are of minima: to the best peer, to Plait's own baseline under
    the same malloc, which is what fusion alone does, and to the limit."""
    ways = [way for way in result["ways"] if "error" not in way]
    best = min((w["min_ms"] for w in ways if w["is_peer"]), default=None)
    own = {w["tuned"]: w["min_ms"] for w in ways if w["name"].startswith("plait-baseline")}
    bound = limits.Limit(**result["limit"]) if result["limit"] else None
    lines = [
        f"### {result['workload']}, {result['optimizer']}, batch {result['batch']},"
        f" {result['threads']} threads; limit {bound or 'not measured'}",
        "",
        f"Limits, measured before each round: {limits.ranges(result['limits'])}.",
        "",
        "| | min ms | median ms | / best peer | / own baseline | / limit | compile s | peak MB"
        " | difference / lr |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for way in result["ways"]:
        if "error" in way:
            lines.append(f"| {way['name']} | {way['error']} | | | | | | | |")
            continue
        base = None if way["is_peer"] else own.get(way["tuned"])
        cells = [
            way["name"],
            f"{way['min_ms']:.3f}",
            f"{way['median_ms']:.3f}",
            f"{way['min_ms'] / best:.2f}" if best else "",
            f"{way['min_ms'] / base:.2f}" if base else "",
            f"{way['min_ms'] / bound.ms:.2f}" if bound else "",
            f"{way['compile_s']:.1f}",
            f"{way['peak_mb']:.0f}",
            f"{way['difference_per_lr']:.1e}" if "difference_per_lr" in way else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def bars(result: dict) -> tuple[list[tuple[str, float]], str]:
    """What is drawn of a step: each of Plait's schedules, then the best peer, with the
    better time of both mallocs; and the name of that peer, empty if there is none."""
    ways = {w["name"]: w["min_ms"] for w in result["ways"] if "error" not in w}
    peers = {w["name"]: w["min_ms"] for w in result["ways"] if w["is_peer"] and "error" not in w}
    if not peers:
        return [], ""
    best = min(peers, key=peers.__getitem__)
    own = [
        (name, min(ways[n] for n in (name, f"{name} tuned") if n in ways))
        for name in SCHEDULES
        if name in ways or f"{name} tuned" in ways
    ]
    return [*own, (best, peers[best])], best


def plot(results: Sequence[dict], path: Path) -> None:
    """Bars of each step's fastest ways, as times the best peer's, and its limit."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [result for result in results if bars(result)[0]]
    figure, axes = plt.subplots(figsize=(8, 0.95 * len(rows) + 1.5))
    height = 0.8 / (len(SCHEDULES) + 1)
    colors = dict(zip(SCHEDULES, ("#9aa5b1", "#1f6feb", "#8250df")))
    for row, result in enumerate(rows):
        drawn, best = bars(result)
        unit = drawn[-1][1]
        for i, (name, value) in enumerate(drawn):
            place = row + (i - (len(drawn) - 1) / 2) * height
            axes.barh(place, value / unit, height * 0.92, color=colors.get(name, "#d0700b"))
            label = f"{value:.2f} ms" + (f"  {name}" if name == best else "")
            axes.text(value / unit + 0.01, place, label, va="center", fontsize=7)
        if result["limit"]:
            at = result["limit"]["ms"] / unit
            axes.vlines(at, row - 0.43, row + 0.43, color="#222222", linewidth=1.5)
    names = [title((r["workload"], r["optimizer"], r["batch"])) for r in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.axvline(1, color="#d0700b", linewidth=0.8)
    axes.set_xlabel("time of a step / that of the best peer (minima)")
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in (*colors.values(), "#d0700b")]
    handles.append(plt.Line2D([], [], color="#222222", linewidth=1.5))
    axes.legend(
        handles, [*SCHEDULES, "best peer", "limit"], fontsize=8, ncols=5,
        loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False,
    )  # fmt: skip
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
