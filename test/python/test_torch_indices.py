# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Which indices a step accepts: those that torch accepts."""

import os
import re
import subprocess
from contextlib import nullcontext

import numpy as np
import pytest
from compiled_models import torch
from plait_run import needs_plait_run
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional
from training import compare_training

import plait
import plait.torch
from plait.torch import export_step
from plait.torch.probe import Probed

ROWS = 5


class Lookup(nn.Module):
    """An embedding of indices that a function makes from the input."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.tok = nn.Embedding(ROWS, 3)
        self.small = nn.Embedding(2, 3)
        self.register_buffer("table", torch.tensor([0, 1, 4, 7]))

    def forward(self, x):
        index = self.function(self, x)
        return self.tok(index) if isinstance(index, torch.Tensor) else index[0]


def mean(y):
    return y.square().mean()


def arguments(function, x):
    model = Lookup(function)
    return model, mean, torch.optim.SGD(model.parameters(), lr=0.1), [x]


def ranges(step):
    """The ranges in the text, by input."""
    found = re.findall(
        r'#train\.(?:input<"|state<"", ")([^"]*)">, train\.index_range = array<i64: ([^>]*)>',
        step.module_text,
    )
    return {name: [int(n) for n in numbers.split(", ")] for name, numbers in found}


#: From an input of shape [2, 3] and small numbers.
FUNCTIONS = {
    "as it is": lambda m, x: x,
    "all of it, elsewhere": lambda m, x: torch.cat([x.T.flip(0).reshape(-1), x[:].flatten()]),
    "replaced": lambda m, x: torch.where(x > 2, 2, x),
    "replaced by what is no row": lambda m, x: torch.where(x > 6, 6, x),
    "masked": lambda m, x: x.masked_fill(x == -7, 1),
    "a row": lambda m, x: x[:1],
    "columns of several tables": lambda m, x: (m.tok(x[:, 0]) + m.small(x[:, 1]),),
    "narrowed to a part": lambda m, x: x[1:, 1:].reshape(-1).to(torch.int32),
    "narrowed type": lambda m, x: (x * (2**32 + 1)).to(torch.int32),
    "shifted": lambda m, x: x + 2,
    "shifted by place": lambda m, x: x + torch.arange(3),
    "negated": lambda m, x: 3 - x,
    "scaled": lambda m, x: x * 2,
    "divided": lambda m, x: x // 2,
    "remainder": lambda m, x: x % 7,
    "remainder in range": lambda m, x: x % 5,
    "clamped": lambda m, x: x.clamp(-1, 3),
    "clamped in range": lambda m, x: x.clamp(0, 4),
    "largest": lambda m, x: x.amax(1),
    "place of the largest": lambda m, x: x.argmax(1),
    "of a sum": lambda m, x: x.sum() - 5,
    "by floats": lambda m, x: (x.float() * 1.5).long(),
    "looked up": lambda m, x: m.table[x],
    "looked up at a computed place": lambda m, x: m.table[x + 1],
    "beside each other": lambda m, x: torch.stack([x, x - 1]),
    "gathered": lambda m, x: x.gather(1, torch.tensor([[0], [2]])),
    "gather": lambda m, x: (m.tok.weight.gather(0, x + 1),),
    "scatter": lambda m, x: (m.tok.weight.scatter(0, x[:, :1] + 1, m.small.weight[:, :1]),),
    "row from the end": lambda m, x: (m.tok.weight[-1 - x],),
    "index_select": lambda m, x: (m.tok.weight.index_select(0, x[0] - 1),),
    "index_fill": lambda m, x: (m.tok.weight.index_fill(0, x[0] - 1, 0.5),),
    "one hot": lambda m, x: (functional.one_hot(x, ROWS).float() @ m.tok.weight,),
    "one hot of a part": lambda m, x: (
        functional.one_hot(x[0] + 1, num_classes=3).float() @ m.tok.weight[:3],
    ),
    "label": lambda m, x: (functional.cross_entropy(m.tok.weight[:2], x[:, 0], reduction="sum"),),
    "computed label": lambda m, x: (functional.cross_entropy(m.tok.weight[:2], x[:, 0] - 1),),
    "ignored label": lambda m, x: (
        functional.cross_entropy(m.tok.weight[:2], x[:, 0] - 1, ignore_index=-4),
    ),
}

#: Of these no value can be out of range.
FREE = {"remainder in range", "clamped in range", "place of the largest"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_torch_accepts_and_nothing_else(name):
    def accepted(x):
        try:
            return mean(Lookup(FUNCTIONS[name])(x))
        except (IndexError, RuntimeError):
            return None

    values = range(-9, 10)
    step = plait.torch.compile(*arguments(FUNCTIONS[name], torch.ones(2, 3).long()), num_targets=0)
    start = {key: value.clone() for key, value in step.state_dict().items()}
    answers = set()
    for place in np.ndindex(2, 3):
        for value in values:
            x = torch.ones(2, 3, dtype=torch.int64)
            x[place] = value
            expected = accepted(x)
            answers.add(expected is not None)
            if expected is None:
                with pytest.raises(ValueError, match=r"index"):
                    step(x)
                assert all(torch.equal(v, start[n]) for n, v in step.state_dict().items())
            else:
                loss = step(x)
                np.testing.assert_allclose(loss, expected.detach(), rtol=1e-5, equal_nan=True)
                step.load_state_dict(start)
    assert answers == ({True} if name in FREE else {True, False})


def test_check_names_the_op_and_the_bounds():
    step = plait.torch.compile(
        *arguments(FUNCTIONS["ignored label"], torch.ones(2, 3).long()), num_targets=0
    )
    message = r"aten.nll_loss_forward.default in Lookup has an index outside \[0, 3\) and not -4"
    with pytest.raises(ValueError, match=message):
        step(torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("as it is", {"x": [0, ROWS]}),
        ("all of it, elsewhere", {"x": [0, ROWS]}),
        ("clamped in range", {}),
        ("a row", {}),
    ],
)
def test_ranges_in_the_text(name, expected):
    step = export_step(*arguments(FUNCTIONS[name], torch.ones(2, 3).long()), num_targets=0)
    assert ranges(step) == expected
    assert ("@step_check" in step.module_text) == (name == "a row")


def test_range_of_a_buffer():
    step = export_step(*arguments(lambda m, x: m.table[:3], torch.ones(2)), num_targets=0)
    assert ranges(step) == {} and "@step_check" in step.module_text
    with pytest.raises(IndexError):
        Lookup(lambda m, x: m.table)(torch.ones(2))


def test_index_from_a_buffer_that_changes():
    """Each step checks the value that it begins with."""

    class Counting(Lookup):
        def forward(self, x):
            self.table += x
            return self.tok(self.table[:2])

    model = Counting(None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.ones((), dtype=torch.int64)
    step = plait.torch.compile(model, mean, optimizer, [x], num_targets=0)
    for _ in range(3):
        step(x)
    with pytest.raises(ValueError, match="Embedding 'tok' has an index outside"):
        step(x)
    assert step.state_dict()["table"].tolist() == [3, 4, 7, 10]
    step(x * 0)
    with pytest.raises(plait.UnsupportedError, match="computed from what the step changes"):
        export_step(model, mean, optimizer, [x], num_targets=0, accumulation_steps=2)


def test_refuse_index_computed_from_parameters():
    function = lambda m, x: m.tok.weight.detach().abs().long()  # noqa: E731
    message = r"'tok' has an index outside \[0, 5\), or may have: it is computed from"
    with pytest.raises(plait.UnsupportedError, match=message):
        export_step(*arguments(function, torch.ones(2)), num_targets=0)


def test_refuse_one_hot_of_as_many_classes_as_there_are():
    function = lambda m, x: (functional.one_hot(x).float() @ m.tok.weight[:2],)  # noqa: E731
    with pytest.raises(plait.UnsupportedError, match="Lookup: one_hot .* give it num_classes="):
        export_step(*arguments(function, torch.ones(2).long()), num_targets=0)


def test_refuse_selection_by_mask():
    function = lambda m, x: (m.tok.weight.index_put((x > 2,), m.small.weight[0, 0]),)  # noqa: E731
    with pytest.raises(plait.UnsupportedError, match="in Lookup selects by a mask: use torch"):
        export_step(*arguments(function, torch.ones(ROWS, 3)), num_targets=0)


def test_refuse_index_that_no_value_satisfies():
    # A row of nothing. The eager run would refuse any example first.
    function = lambda m, x: (m.tok(x) + m.tok.weight[:0][x],)  # noqa: E731
    seen = nullcontext(Probed({"model.tok.weight"}, {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("plait.torch.probed", lambda *_: seen)
        with pytest.raises(plait.UnsupportedError, match="index 'x' is used in ways that no value"):
            export_step(*arguments(function, torch.ones(2).long()), num_targets=0)


def test_each_micro_batch_is_checked():
    options = {"num_targets": 0, "accumulation_steps": 3}
    step = plait.torch.compile(
        *arguments(FUNCTIONS["a row"], torch.ones(2, 3).long()), **options
    )
    x = torch.full((6, 3), ROWS)
    x[::2] = 1
    step(x)
    for row in (0, 2, 4):
        bad = x.clone()
        bad[row, 1] = ROWS
        with pytest.raises(ValueError, match="Embedding 'tok' has an index outside"):
            step(bad)


@needs_plait_run
@pytest.mark.parametrize("schedule", ["backward", "forward"])
def test_computed_indices_train(tmp_path, schedule):
    x = torch.arange(60).reshape(20, 3) % 9
    model = Lookup(lambda m, x: torch.where(x > 2, 2, x))
    loss = lambda z, y: functional.cross_entropy(z.sum(1), y)  # noqa: E731
    still = ["small.weight"]
    compare_training(tmp_path, model, loss, (x, x[:, 0] % 3), schedule=schedule, still=still)


def run(directory, step, data):
    step.save(directory)
    save_file(data, directory / "data.safetensors")
    command = [os.environ["PLAIT_RUN"], directory / "step.mlir", "--steps=2"]
    command += [f"--inputs={directory / n}.safetensors" for n in ("state", "data")]
    return subprocess.run(command, capture_output=True, text=True)


@needs_plait_run
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", ROWS, r"'x': element 3 is 5, which is outside \[0, 5\)"),
        ("x", -1, r"'x': element 3 is -1, which is outside \[0, 5\)"),
        ("y", 3, r"'y': element 3 is 3, which is outside \[0, 3\) and not -100"),
    ],
)
def test_bad_index_is_an_error_before_the_first_step(tmp_path, name, value, message):
    model = Lookup(lambda m, x: x)
    data = {"x": torch.ones(8, dtype=torch.int64), "y": torch.ones(8, dtype=torch.int64)}
    optimizer = torch.optim.SGD(model.parameters())
    step = export_step(model, functional.cross_entropy, optimizer, [v[:4] for v in data.values()])
    data[name][3] = value
    result = run(tmp_path, step, {n: v.numpy() for n, v in data.items()})
    assert result.returncode == 2 and re.search(message, result.stderr), result.stderr
    with pytest.raises(IndexError):  # torch's answer to the same
        functional.cross_entropy(model(data["x"]), data["y"])


@needs_plait_run
def test_bad_computed_index_is_an_error_of_its_step(tmp_path):
    step = export_step(*arguments(FUNCTIONS["a row"], torch.ones(2, 3).long()), num_targets=0)
    x = np.full((4, 3), 9)
    x[0] = 1
    result = run(tmp_path, step, {"x": x})
    assert result.returncode == 2, result.stderr
    assert "Embedding 'tok' has an index outside [0, 5)" in result.stderr
    assert "step 2" in result.stderr, result.stderr
