# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The kernel set: products, weight gradients with their update, convolutions.

A case is a text: `gemm:FORM:MxNxK`, `update:OPTIMIZER:WIDTH:BATCH`,
`conv:LAYER:FORM`. What the ways of each family are: kernel_ways.py. Their results
are compared before they are timed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import limits
import numpy as np
from kernel_ways import IMAGES, LAYERS, OPTIMIZERS, PRODUCTS, product_sizes
from limits import Work
from turns import Way, run_blocks, say, start
from workloads import FUSED, TENSORS

CONVOLUTIONS = ("forward", "relu", "dX", "dW")
#: Square, few rows, and sizes that no tile divides.
SIZES = ("2048x2048x2048", "512x512x512", "1x4096x4096", "8x4096x4096", "64x4096x4096", "10x1000x784")
#: Layers that are in the set; the others can be asked for.
LAYER_SET = (
    "vgg-64-128", "vgg-256-256", "vgg-512-512", "resnet-64-64", "resnet-64-128-by-2",
    "resnet-1x1-by-2", "depthwise-32", "depthwise-64-by-2", "grouped-4x8",
)  # fmt: skip
#: Of the largest element of the result: far above the rounding of f32 sums.
TOLERANCE = 1e-4
#: The machine's limits are measured each time that so many cases are done.
EVERY = 4
#: A block has so many counted calls at least, and takes as many milliseconds.
CALLS, MS = 4, 20
ROUNDS = 4


class Family(NamedTuple):
    """Kernels that the same ways compute, in one table. The last of `own` is what
    is compared with torch, and with the first."""

    title: str
    own: tuple[str, ...]
    peers: tuple[str, ...]
    standing: list[str]

    @property
    def ways(self) -> tuple[str, ...]:
        return self.own + self.peers


FAMILIES = {
    "gemm": Family(
        "Products, MxNxK",
        ("plait",),
        ("torch",),
        [f"gemm:{form}:{sizes}" for sizes in SIZES for form in PRODUCTS],
    ),
    "update": Family(
        "dW and its update, square weights, rows of a batch",
        ("plait-baseline", "plait-backward"),
        ("torch-fused", "torch-foreach", "torch-compile"),
        [f"update:{o}:{n}:{b}" for n in (1024, 4096) for o in OPTIMIZERS for b in (1, 8, 32, 128)],
    ),
    "conv": Family(
        f"Convolutions, {IMAGES} images",
        ("plait",),
        ("torch",),
        [f"conv:{layer}:{form}" for layer in LAYER_SET for form in ("forward", "dX", "dW")],
    ),
}
WAYS = tuple(dict.fromkeys(way for family in FAMILIES.values() for way in family.ways))
#: In place of an error, and of a time.
NOT_RUN = "not run"


def parse(text: str) -> list[str]:
    """The cases that a text names, one or a family's; raises a ValueError that says
    what there is."""
    family, *rest = text.split(":")
    if not rest:
        return FAMILIES[family].standing
    try:
        match family, rest:
            case "gemm", [form, sizes]:
                _check(form, PRODUCTS)
                if len(sizes.split("x")) != 3:
                    raise ValueError
                _check_numbers(sizes.split("x"))
            case "update", [optimizer, *numbers]:
                _check(optimizer, OPTIMIZERS)
                if len(numbers) != 2:
                    raise ValueError
                _check_numbers(numbers)
            case "conv", [layer, form]:
                _check(layer, LAYERS)
                _check(form, CONVOLUTIONS)
            case _:
                raise ValueError
    except ValueError as error:
        usage = {"gemm": "FORM:MxNxK", "update": "OPTIMIZER:WIDTH:BATCH", "conv": "LAYER:FORM"}[family]
        raise ValueError(f"'{text}' is not {family}:{usage}{f': {error}' if str(error) else ''}") from None
    return [text]


def _check(name: str, known: Sequence[str] | dict) -> None:
    if name not in known:
        raise ValueError(f"no '{name}' among {', '.join(known)}")


def _check_numbers(texts: Sequence[str]) -> None:
    for text in texts:
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"'{text}' is not a size")


def work(case: str) -> Work:
    """Operands are read once, results written once; what is updated, both."""
    match case.split(":"):
        case "gemm", form, sizes:
            elements = sum(int(np.prod(shape)) for shape in product_sizes(form, sizes))
            return Work(2 * int(np.prod([int(size) for size in sizes.split("x")])), 4 * elements, 0)
        case "update", optimizer, width, batch:
            n, rows = int(width), int(batch)
            return Work(2 * rows * n * n, 4 * 2 * rows * n, 4 * TENSORS[optimizer] * n * n)
        case _, layer, _:
            channels, out, groups, kernel, stride, size = LAYERS[layer]
            weight = out * channels // groups * kernel**2
            before, after = size**2, (-(-size // stride)) ** 2
            elements = weight + IMAGES * (channels * before + out * after)
            return Work(2 * IMAGES * weight * after, 4 * elements, 0)
    raise ValueError(case)


def measure(family: str, cases: Sequence[str], options: argparse.Namespace) -> dict:
    """One table. Of each way, its times of each case."""
    wanted = FAMILIES[family]
    names = [name for name in wanted.ways if name in (options.ways or WAYS)]
    machines: list[dict] = []
    ways: list[Way] = []
    rows = []
    try:
        say(f"{family}: starting {', '.join(names)}")
        ways = start("kernel_ways", names, options.threads, not options.no_tuned)
        for i, case in enumerate(cases):
            place = f"[{i + 1}/{len(cases)}] {case}"
            if i % EVERY == 0:
                say(f"{place}: limits of the machine")
                machines.append(limits.measure(options.threads))
            say(f"{place}: compiling")
            for way in ways:
                way.error = NOT_RUN
            make([way for way in ways if applies(way.name, case, bool(options.ways))], case)
            check(ways)
            run_blocks(ways, options.rounds or ROUNDS, CALLS, MS, what=place)
            rows.append({"case": case, "ways": [_result(way) for way in ways]})
    finally:
        say("")
        for way in ways:
            way.close()
    machines.append(limits.measure(options.threads))
    for i, row in enumerate(rows):
        # What was measured before, or after.
        machine = limits.better(machines[i // EVERY : i // EVERY + 2])
        bound = limits.limit(work(row["case"]), machine)
        row["limit"] = bound._asdict() if bound else None
    return {"family": family, "threads": options.threads, "limits": machines, "rows": rows}


def applies(name: str, case: str, asked: bool) -> bool:
    """Whether a way is run for this case. torch.compile takes seconds; unless it is
    `asked` for, it stands in for fused kernels where torch has none."""
    fused = case.split(":")[1] in FUSED
    return {"torch-fused": fused, "torch-compile": asked or not fused}.get(name, True)


def make(ways: Sequence[Way], case: str) -> None:
    """All at once: no time is taken."""
    for way in ways:
        way.send("make", *case.split(":"))
    for way in ways:
        way.made()


def check(ways: Sequence[Way]) -> None:
    """Those whose result is not that of the first way of torch are not timed."""
    running = [way for way in ways if not way.error]
    reference = next((way for way in running if way.name.startswith("torch")), None)
    if reference is None:
        return
    expected = reference.results()["result"]
    largest = np.abs(expected).max()
    for way in running:
        error = difference(way.results()["result"], expected, largest)
        if not error <= TOLERANCE:
            way.error = f"differs from {reference.title} by {error:.1e} of the largest"


def difference(value: np.ndarray, expected: np.ndarray, largest: float) -> float:
    """Of the largest element; infinite where something is not a number."""
    error = float(np.abs(value - expected).max() / largest)
    return error if np.isfinite(error) else float("inf")


def _result(way: Way) -> dict:
    result = {"name": way.name, "tuned": way.tuned}
    if way.error:
        return result | {"error": way.error}
    return result | {"min_ms": min(way.times), "median_ms": float(np.median(way.times))}


def best(row: dict, names: Sequence[str]) -> float | None:
    """The shortest time of these ways, under either malloc; None if none runs."""
    times = [way["min_ms"] for way in row["ways"] if way["name"] in names and "error" not in way]
    return min(times, default=None)


def wrong(result: dict) -> list[str]:
    """What differs from torch, or cannot be had of Plait: reasons to fail."""
    return [
        f"{row['case']}: {way['name']}: {way['error']}"
        for row in result["rows"]
        for way in row["ways"]
        if "error" in way and (way["name"].startswith("plait") or way["error"].startswith("differs"))
    ]


def table(result: dict) -> str:
    """Markdown. Times are minima, ms, under plain and under tuned malloc; ratios are
    of the best under either."""
    family = FAMILIES[result["family"]]
    present = list(dict.fromkeys(way["name"] for row in result["rows"] for way in row["ways"]))
    peers = [name for name in present if name.startswith("torch")]
    tuned = any(way["tuned"] for row in result["rows"] for way in row["ways"])
    own, last = family.own[0], family.own[-1]
    ratios = [("/ torch", last, peers), ("/ limit", last, None)]
    if own != last:
        ratios.insert(0, ("/ own baseline", last, [own]))
    head = ["", "limit", *present, *(name for name, *_ in ratios)]
    lines = [
        f"### {family.title}; {result['threads']} threads",
        "",
        f"Min ms, with plain malloc{' / tuned' if tuned else ''}. Ratios are of {last}'s better one."
        f" Limits: {limits.ranges(result['limits'])}.",
        "",
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * (len(head) - 1)}",
    ]
    for row in result["rows"]:
        bound = row["limit"]
        cells = [row["case"].partition(":")[2].replace(":", " ")]
        cells.append(f"{_ms(bound['ms'])} {bound['bound']}" if bound else "")
        cells += [_times(row, name) for name in present]
        for _, name, others in ratios:
            other = best(row, others) if others is not None else bound and bound["ms"]
            time = best(row, [name])
            cells.append(f"{time / other:.2f}" if time and other else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _times(row: dict, name: str) -> str:
    ways = [way for way in row["ways"] if way["name"] == name]
    if all("error" in way for way in ways):
        return "" if ways[0]["error"] == NOT_RUN else ways[0]["error"]
    return " / ".join("error" if "error" in way else _ms(way["min_ms"]) for way in ways)


def plot(results: Sequence[dict], path: Path) -> None:
    """A panel for each family, a line for each case: Plait's ways and the limit, as
    times of torch's best."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    most = max(len(result["rows"]) for result in results)
    size = (5.2 * len(results), 0.17 * most + 1.6)
    figure, panels = plt.subplots(1, len(results), figsize=size, squeeze=False)
    for axes, result in zip(panels[0], results):
        _panel(axes, result)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _panel(axes, result: dict) -> None:  # noqa: ANN001
    family = FAMILIES[result["family"]]
    colors = dict(zip(family.own[::-1], ("#1f6feb", "#9aa5b1")))
    rows = [(row, peer) for row in result["rows"] if (peer := best(row, _peers(row)))]
    for name in family.own:
        points = [(own / peer, i) for i, (row, peer) in enumerate(rows) if (own := best(row, [name]))]
        axes.scatter(*_columns(points), s=26, color=colors[name], label=name, zorder=3)
    bounds = [(row["limit"]["ms"] / peer, i) for i, (row, peer) in enumerate(rows) if row["limit"]]
    axes.scatter(*_columns(bounds), s=50, marker="|", color="#222222", label="limit", zorder=4)
    axes.axvline(1, color="#d0700b", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["case"].partition(":")[2] for row, _ in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=8)
    axes.set_xticks([], minor=True)
    axes.grid(color="#e5e7eb", linewidth=0.6)
    axes.set_title(family.title, fontsize=9, pad=20)
    axes.set_xlabel("time / torch's best (minima)", fontsize=8)
    legend = dict(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    axes.legend(**legend)


def _columns(points: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    return [x for x, _ in points], [y for _, y in points]


def _peers(row: dict) -> list[str]:
    return [way["name"] for way in row["ways"] if way["name"].startswith("torch")]
