"""Compiled training steps (plait-c/Plait.h)."""

from collections.abc import Sequence
from typing import Annotated

from numpy.typing import NDArray


class Step:
    def __init__(self, text: str, *, entry: str | None = None, schedule: str | None = None, cpu: str | None = None, threads: int = 0) -> None:
        """Compile the text of an MLIR module. Raises plait.CompileError."""

    def slots(self) -> list:
        """(kind, name, element type, shape) of each."""

    def write(self, index: int, value: Annotated[NDArray, dict(device='cpu', writable=False)]) -> None:
        """Copy into a carried tensor, after pending updates."""

    def read(self, index: int, out: Annotated[NDArray, dict(device='cpu')]) -> None:
        """Copy a carried tensor, after pending updates, or an output."""

    def run(self, inputs: Sequence[Annotated[NDArray, dict(device='cpu', writable=False)]], outputs: Sequence[Annotated[NDArray, dict(device='cpu')] | None]) -> None:
        """Run a step; each output is copied to its array, or dropped."""

    def flush(self) -> None:
        """Apply pending updates."""

    def info(self) -> dict:
        """Schedule and sizes."""

    def updates(self) -> list:
        """Placement of each update."""
