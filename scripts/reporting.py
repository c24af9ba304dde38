# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How scripts and examples say what came out: tables, smooth curves, figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, aligned; the first row is the head, the first column the
    names, all others are numbers, on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:]))
        lines.append("  ".join([name.ljust(widths[0]), *numbers]))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def moving_mean(values: Sequence[float], window: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the steps, from `window` on, and the mean of the `window`
    steps up to each."""
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    return np.arange(window, len(values) + 1), smooth


def pyplot() -> Any:
    """matplotlib.pyplot, which draws into files and needs no display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
