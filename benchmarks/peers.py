# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The ways to run a training step: Plait's schedules, and what else there is.

    plait-baseline, plait-backward, plait-forward
    loop, foreach, fused   torch eager, with these forms of its optimizer
    hook                   the optimizer's step in a hook of the backward pass
    compile                forward and backward by torch.compile, optimizer fused
    compile-all            forward, backward and update as one graph
    jax                    one jitted step, its state donated

Each class makes one from a workload, and has `step(batch)` and `results()`, its parameters.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from workloads import FUSED, OPTIMIZERS, Batch, make_batches, make_model


class Plait:
    def __init__(self, workload: str, optimizer: str, batch: int, schedule: str):
        import plait.torch

        model = make_model(workload)
        kind, options = OPTIMIZERS[optimizer]
        self.compiled = plait.torch.compile(
            model,
            F.cross_entropy,
            kind(model.parameters(), **options),
            make_batches(model, batch, 1)[0],
            schedule=schedule,
        )

    def step(self, batch: Batch) -> None:
        self.compiled(*batch)

    def results(self) -> dict[str, np.ndarray]:
        return {k: v.numpy() for k, v in self.compiled.state_dict().items()}


class Eager:
    """torch as most scripts use it."""

    form: dict[str, Any] = dict(foreach=False)

    def __init__(self, workload: str, optimizer: str, batch: int):
        self.model = make_model(workload)
        self.kind, self.options = OPTIMIZERS[optimizer]
        self.options = self.options | self.form
        if optimizer not in FUSED:
            self.options.pop("fused", None)
        self.call = self.model
        self.prepare()

    def prepare(self) -> None:
        self.optimizer = self.kind(self.model.parameters(), **self.options)

    def step(self, batch: Batch) -> None:
        x, y = batch
        F.cross_entropy(self.call(x), y).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def results(self) -> dict[str, np.ndarray]:
        return {k: v.detach().numpy() for k, v in self.model.state_dict().items()}


class Foreach(Eager):
    form = dict(foreach=True)


class Fused(Eager):
    form = dict(fused=True)


class Hook(Fused):
    def prepare(self) -> None:
        def apply(parameter: torch.Tensor) -> None:
            optimizers[parameter].step()
            parameter.grad = None

        optimizers = {p: self.kind([p], **self.options) for p in self.model.parameters()}
        for parameter in optimizers:
            parameter.register_post_accumulate_grad_hook(apply)

    def step(self, batch: Batch) -> None:
        x, y = batch
        F.cross_entropy(self.call(x), y).backward()


class Compile(Fused):
    def prepare(self) -> None:
        super().prepare()
        self.call = torch.compile(self.model, dynamic=False)


class CompileAll(Eager):
    """One graph: torch's tracer takes `torch.func.grad` and an optimizer written
    by hand, not `backward()` and `optimizer.step()`."""

    def prepare(self) -> None:
        self.trained = {k: v.detach().clone() for k, v in self.model.named_parameters()}
        self.buffers = dict(self.model.named_buffers())
        count = {"adam": 2, "adamw": 2, "adadelta": 2, "sgd": 0}.get(self.name, 1)
        self.states = {
            k: [torch.zeros_like(v) for _ in range(count)] for k, v in self.trained.items()
        }
        self.count = torch.zeros(())
        self.compiled = torch.compile(self.whole, dynamic=False, fullgraph=True)

    def __init__(self, workload: str, optimizer: str, batch: int):
        self.name = optimizer
        super().__init__(workload, optimizer, batch)

    def whole(self, trained, buffers, states, count, x, y):  # noqa: ANN001, ANN201
        def loss_of(trained, buffers):  # noqa: ANN001, ANN202
            buffers = {k: v.clone() for k, v in buffers.items()}
            logits = torch.func.functional_call(self.model, (trained, buffers), (x,))
            return F.cross_entropy(logits, y), buffers

        gradients, updated = torch.func.grad(loss_of, has_aux=True)(trained, buffers)
        count.add_(1)
        for name, value in trained.items():
            update(self.name, self.options, value, gradients[name], states[name], count)
        for name, value in buffers.items():
            value.copy_(updated[name])

    def step(self, batch: Batch) -> None:
        with torch.no_grad():
            self.compiled(self.trained, self.buffers, self.states, self.count, *batch)

    def results(self) -> dict[str, np.ndarray]:
        return {k: v.numpy() for k, v in self.trained.items()}


def update(name: str, options: dict, value, gradient, states, count) -> None:  # noqa: ANN001
    """torch's formulas with its default options, in place."""
    lr = options["lr"]
    match name:
        case "sgd":
            value.sub_(lr * gradient)
        case "momentum":
            states[0].mul_(options["momentum"]).add_(gradient)
            value.sub_(lr * states[0])
        case "adam" | "adamw":
            value.mul_(1 - lr * options.get("weight_decay", 0))
            states[0].lerp_(gradient, 0.1)
            states[1].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            root = (states[1] / (1 - 0.999**count)).sqrt() + 1e-8
            value.sub_(lr / (1 - 0.9**count) * states[0] / root)
        case "adagrad":
            states[0].addcmul_(gradient, gradient)
            value.sub_(lr * gradient / (states[0].sqrt() + 1e-10))
        case "rmsprop":
            states[0].mul_(0.99).addcmul_(gradient, gradient, value=0.01)
            value.sub_(lr * gradient / (states[0].sqrt() + 1e-8))
        case "adadelta":
            states[0].mul_(0.9).addcmul_(gradient, gradient, value=0.1)
            delta = (states[1] + 1e-6).sqrt() / (states[0] + 1e-6).sqrt() * gradient
            states[1].mul_(0.9).addcmul_(delta, delta, value=0.1)
            value.sub_(lr * delta)


class Jax:
    """Weights as [in, out], as JAX users keep them; the state is donated."""

    def __init__(self, workload: str, optimizer: str, batch: int):
        import jax
        import jax.numpy as jnp
        import optax

        if not workload.startswith("mlp"):
            raise NotImplementedError(f"{workload} is not written for JAX")
        model = make_model(workload)
        self.names = [k for k, _ in model.named_parameters()]
        self.values = {
            k: jnp.asarray(np.ascontiguousarray(v.detach().numpy().T))
            for k, v in copy.deepcopy(model).named_parameters()
        }
        _, options = OPTIMIZERS[optimizer]
        name = "sgd" if optimizer == "momentum" else optimizer
        transform = getattr(optax, name)(options["lr"], **_OPTAX.get(optimizer, {}))
        self.state = transform.init(self.values)
        depth = len(model.layers)

        def loss_of(values, x, y):  # noqa: ANN001, ANN202
            for i in range(depth):
                x = x @ values[f"layers.{i}.weight"] + values[f"layers.{i}.bias"]
                x = jax.nn.relu(x) if i + 1 < depth else x
            return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()

        def step(values, state, x, y):  # noqa: ANN001, ANN202
            loss, gradients = jax.value_and_grad(loss_of)(values, x, y)
            changes, state = transform.update(gradients, state, values)
            return loss, optax.apply_updates(values, changes), state

        self.jitted = jax.jit(step, donate_argnums=(0, 1))
        self.wait = jax.block_until_ready

    def step(self, batch: Batch) -> None:
        loss, self.values, self.state = self.jitted(
            self.values, self.state, *(value.numpy() for value in batch)
        )
        self.wait((loss, self.values))

    def results(self) -> dict[str, np.ndarray]:
        return {k: np.asarray(v).T for k, v in self.values.items()}


#: optax's options that make it torch's optimizer.
_OPTAX: dict[str, dict[str, Any]] = {
    "momentum": dict(momentum=0.9),
    "adamw": dict(weight_decay=0.01),
    "adagrad": dict(initial_accumulator_value=0.0, eps=1e-20),
    "rmsprop": dict(decay=0.99, eps=1e-8, eps_in_sqrt=False),
    "adadelta": dict(rho=0.9, eps=1e-6),
}

_PEERS = {
    "loop": Eager,
    "foreach": Foreach,
    "fused": Fused,
    "hook": Hook,
    "compile": Compile,
    "compile-all": CompileAll,
    "jax": Jax,
}
SCHEDULES = ("baseline", "backward", "forward")
NAMES = (*(f"plait-{schedule}" for schedule in SCHEDULES), *_PEERS)


def inputs(workload: str, optimizer: str, batch: int) -> list[Batch]:
    """What steps are called with, in turn."""
    return make_batches(make_model(workload), batch)


def make(name: str, workload: str, optimizer: str, batch: int) -> Any:
    if name.startswith("plait-"):
        return Plait(workload, optimizer, batch, name.removeprefix("plait-"))
    return _PEERS[name](workload, optimizer, batch)
