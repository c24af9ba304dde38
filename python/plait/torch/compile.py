# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compile a PyTorch training step: `plait.torch.compile`.

The compiled step has the parameters and the optimizer's states; the model and
the optimizer it was made from stay what they were, until `copy_to`. Of the
optimizer it reads the learning rates, at each call, so that a scheduler works
as it does in torch.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

import plait.torch
from plait.compiled import CompiledStep, Slot, check_input
from plait.errors import UnsupportedError
from plait.exported import ExportedStep
from plait.torch.optimizer_state import RATE, OptimizerState


def compile(  # noqa: A001
    model: torch.nn.Module,
    loss_fn: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    example_inputs: Sequence[torch.Tensor],
    *,
    schedule: str = "auto",
    cpu: str | None = None,
    threads: int | None = None,
    **options: Any,
) -> "TorchStep":
    """Compile forward, backward and optimizer step into one call.

    In a training loop, the call takes the place of four lines::

        step = plait.torch.compile(model, loss_fn, optimizer, (x, y))
        for x, y in loader:              # DataLoader(..., drop_last=True)
            loss = step(x, y)            # instead of zero_grad, loss_fn(model(x), y),
            scheduler.step()             # backward and optimizer.step
        step.copy_to(model, optimizer)   # before anyone else uses the model

    Args:
        model, loss_fn, optimizer, example_inputs: as `export_step` takes them.
        schedule: where updates run: `baseline` (after all gradients),
            `backward` (as soon as the gradient exists), `forward` (in the next
            step, before the first reader), or `auto`, which chooses one.
        cpu: the processor to make code for, as in `-mcpu`; this one if None.
        threads: how many threads a call uses; all processors (or
            OMP_NUM_THREADS) if None.
        options: more arguments of `export_step`, such as `num_targets`,
            `clip_grad_norm` or `accumulation_steps`.

    Raises:
        UnsupportedError: something in the step has no import.
        CompileError: the compiler refuses the step, the schedule or the cpu.
        ImportError: torch-mlir or the compiler's extension is missing.
        TypeError, ValueError: the arguments do not fit together.
    """
    if "lr_input" in options:
        raise TypeError("lr_input is not an option here: learning rates are read at each call")
    # Of the step that reads the model's own memory: `TorchStep` copies it.
    export: Callable[..., ExportedStep] = plait.torch.export_step.__wrapped__  # type: ignore[attr-defined]
    exported = export(model, loss_fn, optimizer, example_inputs, lr_input=True, **options)
    return TorchStep(exported, model, optimizer, schedule=schedule, cpu=cpu, threads=threads)


class TorchStep(CompiledStep):
    """A compiled step that takes, gives and keeps what torch does."""

    def __init__(
        self,
        exported: ExportedStep,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        **options: Any,
    ):
        """Compile a step exported with `lr_input=True` from this model and
        optimizer; `options` as of `CompiledStep`."""
        super().__init__(exported, **options)
        self._rates = [slot for slot in self._inputs if _is_rate(slot.name)]
        self._inputs = [slot for slot in self._inputs if not _is_rate(slot.name)]
        states = {slot.name: exported.tensors[slot.name] for slot in self._of_kind("state")}
        self._optimizer = OptimizerState(optimizer, self._trained(model), states)
        state = model.state_dict()
        self._keys, self._metadata = list(state), state._metadata
        strange = [k for k in self._keys if k not in self._carried and k not in self._ties]
        if strange:
            raise UnsupportedError(
                f"'{strange[0]}' in the model's state_dict is no tensor of the step"
            )
        self._model_names = frozenset(_tensors(model))
        self._parameters = list(model.parameters())
        self._version = self._version_now()
        self._modules = list(model.modules())
        self._modes = self._modes_now()
        self._frozen = [p.requires_grad for p in self._parameters]

    def __call__(self, *inputs: torch.Tensor | np.ndarray) -> torch.Tensor | np.generic:
        """Run one step: forward, backward, and an update of every parameter.

        Args:
            inputs: the model's inputs, then the targets, with exactly the
                shapes and element types of the example inputs (with
                `accumulation_steps`, that many times as many rows). Contiguous
                ones are read where they are, others are copied.

        Returns:
            The loss, before the update: a tensor of shape [] without gradient,
            or a numpy scalar if no input is a tensor.

        Raises:
            TypeError: an input is no array, or has another element type.
            ValueError: the number of inputs, a shape or a device is another, or
                an index (a label, a token) is out of range.
            RuntimeError: an option of the optimizer other than the learning
                rate, or the requires_grad of a parameter, has changed since it
                was compiled.
        """
        self._optimizer.check_unchanged()
        self._check_frozen()
        self._warn_if_changed()
        arrays = dict(zip(self._inputs, self._prepared(self._inputs, inputs)))
        for slot in self._rates:
            arrays[slot] = np.array(self._optimizer.rate(slot.name), np.float32)
        results = self._run([arrays[slot] for slot in sorted(arrays, key=lambda s: s.index)])
        self._optimizer.note_step()
        (loss,) = results.values()
        if any(isinstance(value, torch.Tensor) for value in inputs):
            return torch.from_numpy(loss)
        return loss[()]

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Copies of parameters and buffers after pending updates, as
        `model.state_dict()` would give them: the same keys in the same order,
        one tensor under all names of a tied one."""
        values = {n: torch.from_numpy(v) for n, v in self._read("param", "buffer").items()}
        result = OrderedDict((key, values[self._ties.get(key, key)]) for key in self._keys)
        # Which torch reads when a module's layout has changed since.
        result._metadata = self._metadata  # type: ignore[attr-defined]
        return result

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        """Copy parameters and buffers in; all of them, or none. Buffers that are
        not persistent stay what they are.

        Raises:
            RuntimeError: keys are missing or unexpected, or a size is another;
                as with `model.load_state_dict(strict=True)`.
        """
        ties = {name: first for name, first in self._ties.items() if name in self._keys}
        given = {name: _numpy(value) for name, value in state_dict.items()}
        self._load_named("state_dict", given, self._keys, ties)
        self._version = self._version_now()

    def optimizer_state_dict(self) -> dict[str, Any]:
        """The optimizer's states after pending updates, with its options as they
        are now, as `optimizer.state_dict()` would give them."""
        return self._optimizer.state_dict(self._read("state"))

    def load_optimizer_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy what `optimizer.state_dict()` gave in. The optimizer that the step
        was compiled with gets its learning rates.

        Raises:
            ValueError: it is of other groups, options or sizes than the step
                was compiled with; the message names them.
        """
        self._write(self._optimizer.states_of(state_dict))
        self._optimizer.accept(state_dict)

    def copy_to(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None
    ) -> None:
        """Write parameters and buffers into a model, in place, and the states
        into an optimizer, after pending updates. What was trained by the step
        can then be judged, saved, or trained on by torch. Buffers of the loss
        function, and of the step itself, stay in the step.

        Args:
            model: with the parameters of the one that was compiled, on any
                device; tied ones may be tied or not.
            optimizer: of the kind that was compiled, over its parameters.

        Raises:
            RuntimeError: the model has other names or shapes; nothing is
                written then.
            ValueError: the optimizer has other groups; as torch words it.
        """
        values = super().state_dict()
        targets = _tensors(model)
        problems = [f"no '{name}'" for name in sorted(self._model_names - targets.keys())]
        problems += [f"'{name}' besides" for name in targets if name not in self._model_names]
        problems += [
            f"'{name}' of shape {list(target.shape)}, not {list(values[name].shape)}"
            for name, target in targets.items()
            if name in values and tuple(target.shape) != values[name].shape
        ]
        if problems:
            raise RuntimeError(f"cannot copy to the model, which has {'; '.join(problems)}")
        with torch.no_grad():
            for name, target in targets.items():
                target.copy_(torch.from_numpy(values[name]))
        if optimizer is not None:
            optimizer.load_state_dict(self.optimizer_state_dict())
        self._version = self._version_now()

    def _prepare(self, slot: Slot, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return super()._prepare(slot, value)
        if value.device.type != "cpu":
            raise ValueError(f"input '{slot.name}' is on {value.device}: move it to the CPU")
        if value.is_nested:
            raise TypeError(f"input '{slot.name}' is nested: pad it to one shape")
        if value.layout != torch.strided:
            raise TypeError(f"input '{slot.name}' is {value.layout}: convert it with to_dense()")
        check_input(slot, str(value.dtype).removeprefix("torch."), value.shape, self._unsigned)
        if slot.name in self._unsigned:
            value = value.view(getattr(torch, slot.dtype))
        # Negated and conjugated views are of other values than their memory.
        return value.detach().resolve_neg().resolve_conj().contiguous()

    def _trained(self, model: torch.nn.Module) -> dict[str, torch.Tensor]:
        """The model's parameters that the step updates, by their names.

        Raises:
            UnsupportedError: one is the loss function's.
        """
        parameters = dict(model.named_parameters())
        names = [slot.name for slot in self._of_kind("param")]
        strange = [name for name in names if name not in parameters]
        if strange:
            raise UnsupportedError(
                f"'{strange[0]}' is trained, but belongs to the loss function: make it a part of"
                " the model, which is what state_dict and copy_to are about"
            )
        return {name: parameters[name] for name in names}

    def _version_now(self) -> int:
        return sum(parameter._version for parameter in self._parameters)

    def _modes_now(self) -> list[bool]:
        return [module.training for module in self._modules]

    def _check_frozen(self) -> None:
        if [p.requires_grad for p in self._parameters] != self._frozen:
            raise RuntimeError(
                "the requires_grad of a parameter has changed since the step was compiled, which"
                " has it built in: copy_to(model, optimizer), and compile it again"
            )

    def _warn_if_changed(self) -> None:
        """The likely mistakes: an optimizer.step() left in the loop, a checkpoint
        loaded into the model after it was compiled, another mode."""
        modes = self._modes_now()
        if modes != self._modes:
            self._modes = modes
            warnings.warn(
                "the model has changed between train() and eval() since the step was compiled,"
                " which has the mode of that time built in, and goes on in it",
                stacklevel=3,
            )
        version = self._version_now()
        if version != self._version:
            self._version = version
            warnings.warn(
                "the model's parameters have changed since the step was compiled, loaded or copied"
                " to it. The step trains copies of its own, which have not: load_state_dict and"
                " load_optimizer_state_dict take over what the model and optimizer have",
                stacklevel=3,
            )


def _is_rate(name: str) -> bool:
    return bool(RATE.fullmatch(name))


def _tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers under all their names."""
    named = dict(model.named_parameters(remove_duplicate=False))
    return named | dict(model.named_buffers(remove_duplicate=False))


def _numpy(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
