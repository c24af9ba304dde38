# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A step compiled in this process: call it, read it, load it.

`CompiledStep` knows arrays and names only; `plait.torch.compile` and
`plait.jax.compile` give it the manners of their framework.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plait._native import extension
from plait.exported import ExportedStep

if TYPE_CHECKING:
    from plait._plait import Step


@dataclass(frozen=True)
class Slot:
    """A tensor that a step takes, carries or gives.

    Attributes:
        index: its place among the slots of the step.
        kind: param, state, buffer, input or output.
        name: as in `ExportedStep`.
        dtype: its element type, as numpy calls it.
        shape: its shape.
    """

    index: int
    kind: str
    name: str
    dtype: str
    shape: tuple[int, ...]

    def empty(self) -> np.ndarray:
        return np.empty(self.shape, self.dtype)


class CompiledStep:
    """A training step in machine code, with its parameters and states.

    The tensors belong to the step: it starts with copies of the exported ones,
    each call updates them, and reading or loading copies them again. Under the
    schedule `forward` updates are pending between calls; whatever reads or
    loads applies them first.

    Calls from several threads wait for each other; Python's lock is free while
    a step runs, so that other threads, and other steps, run beside it.
    """

    def __init__(
        self,
        exported: ExportedStep,
        *,
        schedule: str = "auto",
        cpu: str | None = None,
        threads: int | None = None,
    ):
        """Compile an exported step.

        Args:
            exported: the text of the step and its first tensors.
            schedule: where updates run: `baseline`, `backward`, `forward`, or
                `auto`, which chooses one of them.
            cpu: the processor to make code for, as in `-mcpu`; this one if None.
            threads: how many threads a call uses; all processors (or
                OMP_NUM_THREADS) if None.

        Raises:
            CompileError: the text, or the schedule or cpu, is not one that can
                be compiled.
            ImportError: the compiler's extension is not there.
            ValueError: a tensor is missing or does not fit the text.
        """
        if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int)):
            raise TypeError(f"threads must be an int or None, not {threads!r}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self._native: Step = extension().Step(
            exported.module_text, schedule=schedule, cpu=cpu, threads=threads or 0
        )
        self._slots = [Slot(i, *slot) for i, slot in enumerate(self._native.slots())]
        self._inputs = self._of_kind("input")
        self._outputs = self._of_kind("output")
        self._carried = {slot.name: slot for slot in self._of_kind("param", "state", "buffer")}
        self._ties = {n: first for n, first in exported.ties.items() if first in self._carried}
        self._steps = 0
        self._unsigned = exported.unsigned
        missing = [name for name in self._carried if name not in exported.tensors]
        if missing:
            raise ValueError(f"no tensor {_quoted(missing)} among those of the exported step")
        self._write({name: exported.tensors[name] for name in self._carried})

    def __call__(self, *inputs: Any) -> Any:
        """Run one step.

        Args:
            inputs: an array for each input, in the order of the step's text, of
                exactly its shape and element type. Contiguous ones are read
                where they are, others are copied.

        Returns:
            The step's output: a numpy scalar if it is one (the loss), else an
            array; of several outputs a dict by name.

        Raises:
            TypeError: an input is no array, or has another element type.
            ValueError: the number of inputs or a shape is another, or an index
                is out of range.
        """
        results = self._run(self._prepared(self._inputs, inputs))
        if len(results) == 1:
            return next(iter(results.values()))[()]
        return {name: value[()] for name, value in results.items()}

    @property
    def schedule(self) -> str:
        """Where updates run; never `auto`, but what it stood for."""
        return self._native.info()["schedule"]

    def flush(self) -> None:
        """Apply pending updates now. Reading and loading do so by themselves."""
        self._native.flush()

    def state_dict(self) -> dict[str, Any]:
        """Copies of parameters and buffers, after pending updates, by name.

        A tied one is there under each of its names.
        """
        named = self._read("param", "buffer")
        return named | {name: named[first] for name, first in self._ties.items()}

    def optimizer_state_dict(self) -> dict[str, Any]:
        """Copies of the optimizer's states, after pending updates: the state
        `s` of parameter `p` is `state.p.s`."""
        return self._read("state")

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy parameters and buffers in; all of them, or none.

        Raises:
            RuntimeError: names are missing or unknown, shapes differ, or tied
                names have different values; as torch words it.
        """
        kept = [slot.name for slot in self._of_kind("param", "buffer")]
        self._load_named("state_dict", state_dict, [*kept, *self._ties], self._ties)

    def load_optimizer_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy the optimizer's states in; all of them, or none.

        Raises:
            RuntimeError: names are missing or unknown, or shapes differ.
        """
        kept = [slot.name for slot in self._of_kind("state")]
        self._load_named("optimizer_state_dict", state_dict, kept, {})

    def report(self) -> dict[str, Any]:
        """How the step was compiled: `schedule`, `compile_ms`, `steps` (calls so
        far), `updates` (for each parameter: `param`, `placement`, whether it is
        in one loop nest (`cluster`), `gradient_bytes` that are stored), and sums
        of bytes: `param_bytes`, `state_bytes`, `buffer_bytes`, `gradient_bytes`,
        `pending_bytes`, `arena_bytes`, and `peak_bytes`, all that the step owns.
        The names are those of plait-run, whose `peak_bytes` has the inputs as
        well."""
        info = self._native.info()
        del info["pending"]
        return info | {"steps": self._steps, "updates": self._native.updates()}

    def __repr__(self) -> str:
        inputs = ", ".join(f"{slot.name} {slot.dtype}{list(slot.shape)}" for slot in self._inputs)
        return f"<{type(self).__name__} ({inputs}), schedule {self.schedule}>"

    def _of_kind(self, *kinds: str) -> list[Slot]:
        return [slot for slot in self._slots if slot.kind in kinds]

    def _run(self, arrays: Sequence[Any]) -> dict[str, np.ndarray]:
        """Run on arrays that fit; the outputs by name."""
        results = {slot.name: slot.empty() for slot in self._outputs}
        self._native.run(arrays, list(results.values()))
        self._steps += 1
        return results

    def _prepared(self, slots: Sequence[Slot], values: Sequence[Any]) -> list[Any]:
        """What can be passed on for each of these inputs."""
        if len(values) != len(slots):
            names = ", ".join(slot.name for slot in slots)
            raise ValueError(f"the step takes {len(slots)} inputs ({names}), not {len(values)}")
        return [self._prepare(slot, value) for slot, value in zip(slots, values)]

    def _prepare(self, slot: Slot, value: Any) -> Any:
        if not hasattr(value, "__array__") and not hasattr(value, "__dlpack__"):
            raise TypeError(f"input '{slot.name}' is {type(value).__name__}, not an array")
        array = np.asarray(value)
        check_input(slot, array.dtype.name, array.shape, self._unsigned)
        if not array.dtype.isnative:
            raise TypeError(
                f"input '{slot.name}' is of the other byte order: convert it with"
                f" astype(numpy.{slot.dtype})"
            )
        array = np.require(array, requirements="C")
        return array.view(slot.dtype) if slot.name in self._unsigned else array

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or pickled: it is machine code. Compile"
            " another one, and give it this one's state_dict and optimizer_state_dict"
        )

    def _read(self, *kinds: str) -> dict[str, np.ndarray]:
        values = {}
        for slot in self._of_kind(*kinds):
            values[slot.name] = slot.empty()
            self._native.read(slot.index, values[slot.name])
        return values

    def _write(self, values: Mapping[str, Any]) -> None:
        """Copy carried tensors in, after all have been found to fit."""
        arrays = {}  # converted one at a time: there may be no room for all
        for name, value in values.items():
            slot = self._carried[name]
            array = np.asarray(value)
            if array.shape != slot.shape:
                raise ValueError(
                    f"'{name}' has shape {list(array.shape)}, the step's is {list(slot.shape)}"
                )
            if not np.can_cast(array.dtype, slot.dtype, "same_kind"):
                raise ValueError(f"'{name}' is {array.dtype}, the step's is {slot.dtype}")
            arrays[slot] = array
        for slot, array in arrays.items():
            self._native.write(slot.index, _contiguous(array, slot.dtype))

    def _load_named(
        self, what: str, given: Mapping[str, Any], names: Sequence[str], ties: Mapping[str, str]
    ) -> None:
        known = set(names)
        missing = [name for name in names if name not in given]
        unexpected = [name for name in given if name not in known]
        values = {name: np.asarray(given[name]) for name in names if name in given}
        problems = []
        if unexpected:
            problems.append(f"Unexpected key(s) in {what}: {_quoted(unexpected)}.")
        if missing:
            problems.append(f"Missing key(s) in {what}: {_quoted(missing)}.")
        for name, value in values.items():
            shape = self._carried[ties.get(name, name)].shape
            if value.shape != shape:
                problems.append(
                    f"size mismatch for {name}: {list(value.shape)} in {what},"
                    f" {list(shape)} in the step."
                )
            elif name in ties and not _same(value, values.get(ties[name], value)):
                problems.append(f"{name} is tied to {ties[name]}, but has other values.")
        if problems:
            raise RuntimeError(f"Error(s) in loading {what}:\n\t" + "\n\t".join(problems))
        self._write({name: value for name, value in values.items() if name not in ties})


def check_input(
    slot: Slot, dtype: str, shape: Sequence[int], unsigned: Collection[str] = ()
) -> None:
    """Refuse an input that does not fit its slot; those in `unsigned` hold the
    bits of unsigned integers.

    Raises:
        TypeError, ValueError: with both types or shapes, and the way out.
    """
    shape = tuple(shape)
    if shape != slot.shape:
        message = (
            f"input '{slot.name}' has shape {list(shape)},"
            f" the step was compiled for {list(slot.shape)}"
        )
        if shape[1:] == slot.shape[1:] and shape and shape[0] < slot.shape[0]:
            message += (
                ". Of a last batch that is smaller: drop it (drop_last=True in a DataLoader),"
                " or compile a step for its size"
            )
        raise ValueError(message)
    expected = f"u{slot.dtype}" if slot.name in unsigned else slot.dtype
    if dtype != expected:
        raise TypeError(
            f"input '{slot.name}' is {dtype}, the step was compiled for {expected}: convert it"
        )


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return np.array_equal(one, two, equal_nan=one.dtype.kind == "f")


def _contiguous(array: np.ndarray, dtype: str) -> np.ndarray:
    """`array` as rows of `dtype`. Zeros that are one element for all places, as fresh
    states are, become pages that nobody has touched: they take no time to make."""
    if array.size > 1 and not any(array.strides) and not any(array.flat[:1].tobytes()):
        return np.zeros(array.shape, dtype)
    return np.require(array, dtype, "C")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
