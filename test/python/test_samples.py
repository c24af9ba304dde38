# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole imported steps, optimizer traced, roles as strings.

samples/{torch,jax}_{mlp,cnn,block}_{sgd,momentum,adam}.mlir are what torch-mlir
and jaxlib printed for an MLP, a CNN with batch-norm and a transformer block with
tied embeddings, the optimizer's arithmetic traced into the graph: there is no
`train` op in them, JAX's states have no owner, and its inputs no name. Each must
be raised, moved, in place after bufferization, and right.

The reference is the same model (sample_models.py) and torch's optimizer, both in
double precision. Tolerances, for rounding in f32 in another order of summation:

- a parameter: lr * 1e-5 * max(1, largest gradient), plus 4 ulps of the largest;
- a first moment: 1e-5 of the largest, plus 1e-6. The floor is for gradients
  that are zero but for rounding: a bias before batch-norm, one of attention's
  keys;
- anything else: 1e-5 of the largest. The squares start away from zero:
  g / sqrt(exp_avg_sq) would magnify rounding noise.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")

from sample_models import MODELS  # noqa: E402 (needs torch)

SAMPLES = Path(__file__).parent / "samples"
OPTIMIZERS = {
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9)),
    "adam": (torch.optim.Adam, dict(lr=1e-3)),
}
#: optax's names of torch's optimizer states.
STATES = {"trace": "momentum_buffer", "mu": "exp_avg", "nu": "exp_avg_sq", "count": "step"}
DTYPES = {"f32": np.float32, "i32": np.int32, "i64": np.int64}
CLASSES = {"mlp": 10, "cnn": 10, "block": 64}

all_samples = pytest.mark.parametrize(
    "sample", [f"{m}_{o}" for m in MODELS for o in OPTIMIZERS]
)


@dataclass
class Slot:
    """An argument or result of a sample's step."""

    role: str
    name: str
    shape: tuple[int, ...]
    dtype: type
    index: int

    @property
    def key(self) -> str:
        """Its name in tensor files."""
        kind, _, state = self.role.removeprefix("new_").partition(":")
        if kind == "state" and state:
            return f"state.{self.name}.{state}"
        return self.name or ("loss" if kind == "loss" else f"input{self.index}")

    @property
    def state(self) -> tuple[str, str] | None:
        """Of an optimizer's state: torch's name of it, and the parameter
        (`""`: of all)."""
        kind, _, state = self.role.partition(":")
        if kind != "state":
            return None
        if state:
            return state, self.name
        name, parameter = re.fullmatch(r"\[0\]\.(\w+)(\[.*\])?", self.name).groups()
        return STATES[name], parameter or ""


def read_slots(text: str) -> tuple[list[Slot], list[Slot]]:
    """Arguments and results of @main."""
    header = text[text.index("@main(") :].split("\n", 1)[0]
    found = re.split(r"\) -> \(", header)
    pattern = r'tensor<([^>]*)> {train.name = "([^"]*)", train.role = "([^"]*)"}'
    slots = []
    for part in found:
        slots.append([])
        for i, (spelled, name, role) in enumerate(re.findall(pattern, part)):
            *shape, dtype = spelled.split("x")
            slots[-1].append(Slot(role, name, tuple(map(int, shape)), DTYPES[dtype], i))
    return slots[0], slots[1]


def draw(slot: Slot, classes: int, generator: np.random.Generator) -> np.ndarray:
    """A value for an argument."""
    noise = generator.standard_normal(slot.shape)
    kind = slot.state[0] if slot.state else slot.role
    if kind == "step" or slot.name.endswith("num_batches_tracked"):
        value = np.full(slot.shape, 3)
    elif kind in ("input", "label") and slot.dtype != np.float32:
        value = generator.integers(0, classes, slot.shape)
    elif kind == "input":
        value = noise
    elif kind == "exp_avg_sq":
        value = generator.uniform(1e-4, 1e-3, slot.shape)
    elif kind in ("exp_avg", "momentum_buffer"):
        value = noise * 1e-2
    elif kind == "buffer":
        value = generator.uniform(0.5, 1.5, slot.shape)
    elif len(slot.shape) > 1:
        value = noise * 0.05
    else:  # gains and biases
        gain = re.search(r"(bn|ln)\w\.weight|'g\d|'l\dg", slot.name)
        value = noise * 0.1 + bool(gain)
    return value.astype(slot.dtype)


def reference(sample: str, args: list[Slot], values: dict[str, np.ndarray]):
    """Loss, parameters, states and buffers after a step, by their keys, and the
    largest entry of each gradient by its parameter's."""
    model, kind = sample.rsplit("_", 1)
    tensors = {
        slot.key: torch.from_numpy(values[slot.key].copy()).to(
            torch.float64 if slot.dtype == np.float32 else torch.int64
        )
        for slot in args
    }
    parameters = {s.name: tensors[s.key].requires_grad_() for s in args if s.role == "param"}
    buffers = {s.name: tensors[s.key] for s in args if s.role == "buffer"}
    optimizer_type, options = OPTIMIZERS[kind]
    decay = 1e-4 if kind == "momentum" and model.startswith("torch") else 0.0
    optimizer = optimizer_type(parameters.values(), **options, weight_decay=decay)
    states = [s for s in args if s.state]
    for slot in states:
        name, owner = slot.state
        for parameter in [parameters[owner]] if owner else parameters.values():
            optimizer.state[parameter][name] = tensors[slot.key].clone().double()
    x, labels = (tensors[s.key] for s in args if s.role in ("input", "label"))
    logits, after = MODELS[model](parameters, buffers, x)
    loss = torch.nn.functional.cross_entropy(logits, labels.flatten())
    loss.backward()
    optimizer.step()
    results = {"loss": loss, **after, **parameters}
    for slot in states:
        name, owner = slot.state
        parameter = parameters[owner] if owner else next(iter(parameters.values()))
        results[slot.key] = optimizer.state[parameter][name]
    gradients = {name: p.grad.abs().max().item() for name, p in parameters.items()}
    return {key: value.detach().numpy() for key, value in results.items()}, gradients


@needs_plait_run
@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
@all_samples
def test_numbers(tmp_path, sample, schedule):
    text = (SAMPLES / f"{sample}.mlir").read_text()
    args, results = read_slots(text)
    generator = np.random.default_rng(0)
    classes = CLASSES[sample.split("_")[1]]
    values = {slot.key: draw(slot, classes, generator) for slot in args}
    expected, gradients = reference(sample, args, values)
    assert {slot.key for slot in results} == set(expected)

    got = run_step(tmp_path, text, values, 1, f"--schedule={schedule}")
    lr = OPTIMIZERS[sample.rsplit("_", 1)[1]][1]["lr"]
    first_moments = {s.key for s in args if s.state and s.state[0] in ("exp_avg", "momentum_buffer")}
    for key, value in expected.items():
        largest = np.abs(value).max()
        tolerance = 1e-5 * largest + 1e-6 * (key in first_moments)
        if key in gradients:
            tolerance = lr * 1e-5 * max(1, gradients[key])
            tolerance += 4 * np.spacing(np.float32(largest))
            change = np.abs(value - values[key]).max()
            assert change > 20 * tolerance or gradients[key] < 1e-12, f"{key} has not moved"
        assert np.abs(got[key] - value).max() <= tolerance, key


#: Copies left. CNN: images that are padded (JAX's also tile by tile, within a loop),
#: of a stride for each of its phases, which are put among each other, and in
#: PyTorch's the running statistics (8 and 16 numbers each); transformer block: the
#: gradients of q, k and v put side by side.
COPIES = {"torch_cnn": 11, "jax_cnn": 7, "torch_block": 3}

needs_plait_opt = pytest.mark.skipif(
    "PLAIT_OPT" not in os.environ, reason="PLAIT_OPT is not set: NOT verified"
)


def plait_opt(sample: str, passes: str, *options: str) -> tuple[str, str]:
    """What plait-opt prints, and its remarks."""
    command = [
        os.environ["PLAIT_OPT"],
        str(SAMPLES / f"{sample}.mlir"),
        f"-pass-pipeline=builtin.module({passes})",
        *options,
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout, run.stderr


def buffers(sample: str, policy: str) -> str:
    """The buffers that the pipeline of plait-run makes of @main."""
    _, dump = plait_opt(
        sample,
        f"plait-to-llvm{{policy={policy}}}",
        "--mlir-print-ir-after=train-finalize-abi",
        "-o",
        os.devnull,
    )
    return dump[dump.index("@main(") :]


@needs_plait_opt
@all_samples
def test_every_update_is_raised_and_moved(sample):
    args, _ = read_slots((SAMPLES / f"{sample}.mlir").read_text())
    text, remarks = plait_opt(
        sample,
        "plait-schedule{policy=backward}",
        "--remarks-filter=train-.*",
        "--remark-format=emitRemark",
    )
    parameters = [slot for slot in args if slot.role == "param"]
    assert text.count('train.update "raised"') == len(parameters)
    assert text.count("#train.placement<backward>") == len(parameters)
    for slot in parameters:
        placed = rf'update of "{re.escape(slot.name)}" waits for .*; placed: backward'
        assert re.search(placed, remarks), slot.name
        # States of the parameter's shape, and torch's counters, come along.
        own = [s for s in args if s.state and s.state[1] == slot.name]
        pattern = rf'update of "{re.escape(slot.name)}" raised: .* states: {len(own)}"'
        assert re.search(pattern, remarks), slot.name
    for name in (slot.name for slot in parameters if "tok" in slot.name):
        assert re.search(rf'"{re.escape(name)}" raised: .* gradients: 2,', remarks)
    assert "is not raised" not in remarks and "leaves out a state" not in remarks


@needs_plait_opt
@pytest.mark.parametrize("policy", ["baseline", "backward", "forward"])
@all_samples
def test_everything_carried_is_in_place(sample, policy):
    # train-finalize-abi fails where a next value is not its argument's buffer;
    # it may have been copied there.
    text = buffers(sample, policy)
    args, _ = read_slots((SAMPLES / f"{sample}.mlir").read_text())
    copies = re.findall(r"memref.copy %\w+, %(\w+)", text)
    if policy != "forward":  # where gradients of biases are copied, to wait
        assert len(copies) == COPIES.get(sample.rsplit("_", 1)[0], 0)
    trained = {f"arg{s.index}" for s in args if s.role == "param" or s.state}
    assert not trained & set(copies)
    # A step writes to each parameter and state.
    for name in trained:
        assert re.search(rf"outs\([^)]*%{name}\b|memref.subview %{name}\b", text), name


@needs_plait_opt
@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_gradient_of_a_weight_is_stored(framework, optimizer):
    sample = f"{framework}_mlp_{optimizer}"
    args, _ = read_slots((SAMPLES / f"{sample}.mlir").read_text())
    weights = ["x".join(map(str, s.shape)) for s in args if s.role == "param" and len(s.shape) == 2]

    def stored(policy: str) -> list[str]:
        shapes = re.findall(r"memref.alloc\(\).* : memref<(.*)xf32>", buffers(sample, policy))
        return [shape for shape in shapes if shape in weights]

    def reported(policy: str) -> list[int]:
        """What the compiler says of them."""
        written = re.search(r"plait.gradient_bytes = {([^}]*)}", buffers(sample, policy))
        counts = dict(re.findall(r'(?:^|, )"?([^",]+)"? = (\d+) : i64', written.group(1)))
        return [int(counts[s.name]) for s in args if s.role == "param" and len(s.shape) == 2]

    assert sorted(stored("baseline")) == sorted(weights)
    assert stored("backward") == []
    sizes = [4 * s.shape[0] * s.shape[1] for s in args if s.role == "param" and len(s.shape) == 2]
    assert reported("baseline") == sizes
    # Under forward, what went in and what came back wait: 8 rows of each.
    assert reported("backward") == reported("forward") == [0] * len(sizes)
