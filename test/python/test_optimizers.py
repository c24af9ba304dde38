# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The named optimizers against torch.optim, over their options.

The step has no model: its input is the gradient, so that nothing but the
update can differ. Each case runs from fresh states and from those of an
optimizer that has stepped, in several steps of one process.

Tolerances. A parameter moves by about lr in each step (SGD: lr * |grad|), and
each of the dozen f32 operations of an update errs by a half ulp, so that a
parameter may differ by 1e-5 of what lr moves it in all steps, plus a few ulps
of its own size. A state may differ by 1e-5 of its largest value. Wrong formulas
(eps inside the root, a missed bias correction) are at least 100 times larger;
`test_a_wrong_option_is_found` holds that this is so.
"""

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

from plait.step_text import float_literal

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")

from plait.torch.optimizers import optimizer_ops  # noqa: E402

pytestmark = needs_plait_run

SHAPE = (4, 6)
STEPS = 5

SGD, Adagrad, RMSprop = torch.optim.SGD, torch.optim.Adagrad, torch.optim.RMSprop
Adadelta, Adam, AdamW = torch.optim.Adadelta, torch.optim.Adam, torch.optim.AdamW

CASES = [
    (SGD, dict()),
    (SGD, dict(weight_decay=0.1)),
    (SGD, dict(maximize=True)),
    (SGD, dict(momentum=0.9)),
    (SGD, dict(momentum=0.9, dampening=0.5)),
    (SGD, dict(momentum=0.9, nesterov=True)),
    (SGD, dict(momentum=0.9, weight_decay=0.1)),
    (SGD, dict(momentum=0.9, maximize=True)),
    (SGD, dict(momentum=0.9, dampening=0.5, weight_decay=0.1, maximize=True)),
    (SGD, dict(momentum=0.9, nesterov=True, weight_decay=0.1, maximize=True)),
    (Adagrad, dict()),
    (Adagrad, dict(lr_decay=0.1)),
    (Adagrad, dict(weight_decay=0.1)),
    (Adagrad, dict(initial_accumulator_value=0.5)),
    (Adagrad, dict(eps=1e-2)),
    (Adagrad, dict(maximize=True)),
    (Adagrad, dict(lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, maximize=True)),
    (RMSprop, dict()),
    (RMSprop, dict(alpha=0.9, eps=1e-2)),
    (RMSprop, dict(centered=True)),
    (RMSprop, dict(momentum=0.9)),
    (RMSprop, dict(weight_decay=0.1)),
    (RMSprop, dict(maximize=True)),
    (RMSprop, dict(centered=True, momentum=0.9)),
    (RMSprop, dict(centered=True, momentum=0.9, weight_decay=0.1, maximize=True)),
    (Adadelta, dict()),
    (Adadelta, dict(rho=0.8, eps=1e-2)),
    (Adadelta, dict(weight_decay=0.1)),
    (Adadelta, dict(maximize=True)),
    (Adadelta, dict(weight_decay=0.1, maximize=True)),
    *(
        (kind, options)
        for kind in (Adam, AdamW)
        for options in (
            dict(),
            dict(betas=(0.8, 0.9), eps=1e-2),
            dict(amsgrad=True),
            dict(weight_decay=0.1),
            dict(maximize=True),
            dict(amsgrad=True, weight_decay=0.1),
            dict(weight_decay=0.1, maximize=True),
            dict(amsgrad=True, weight_decay=0.1, maximize=True),
        )
    ),
]


def case_id(value):
    if isinstance(value, type):
        return value.__name__
    return ",".join(f"{k}={v}" for k, v in value.items()) or "defaults"


def attribute(name, value):
    if value is True:
        return name
    if isinstance(value, tuple):
        return f"{name} = array<f64: {', '.join(map(float_literal, value))}>"
    return f"{name} = {float_literal(value)} : f64"


def tensor_type(value):
    return f"tensor<{''.join(f'{size}x' for size in value.shape)}f32>"


def step_text(op, lr_operand):
    """A module whose step applies `op` to the gradient it is given."""
    full = f"tensor<{SHAPE[0]}x{SHAPE[1]}xf32>"
    names = ["w", *op.states]
    types = [full, *map(tensor_type, op.states.values())]
    roles = ['param<"w">', *(f'state<"w", "{s}">' for s in op.states)]
    nexts = ['next<"w">', *(f'next<"w", "{s}">' for s in op.states)]
    arguments = [f"%{n}: {t} {{train.role = #train.{r}}}" for n, t, r in zip(names, types, roles)]
    batched = f"tensor<1x{SHAPE[0]}x{SHAPE[1]}xf32>"
    arguments.append(f'%gs: {batched} {{train.role = #train.input<"g">}}')
    ins, in_types = "%g", full
    attributes = [attribute(n, v) for n, v in op.attributes.items() if v is not False]
    if lr_operand:
        arguments.append('%lr: tensor<f32> {train.role = #train.input<"lr">}')
        ins, in_types = "%g, %lr", f"{full}, tensor<f32>"
    else:
        attributes.insert(0, attribute("lr", op.lr))
    results = [f"{t} {{train.role = #train.{n}}}" for t, n in zip(types, nexts)]
    next_values = [f"%{n}_next" for n in names]
    return f"""\
func.func @step({", ".join(arguments)})
    -> (tensor<f32> {{train.role = #train.output<"loss">}}, {", ".join(results)})
    attributes {{train.step}} {{
  %loss = arith.constant dense<0.0> : tensor<f32>
  %g = tensor.collapse_shape %gs [[0, 1], [2]] : {batched} into {full}
  {", ".join(next_values)} = train.{op.op} ins({ins} : {in_types})
      outs({", ".join("%" + n for n in names)} : {", ".join(types)})
      {{{", ".join(attributes)}}}
  return %loss, {", ".join(next_values)} : tensor<f32>, {", ".join(types)}
}}
"""


def torch_steps(optimizer, w, gradients, rates=None):
    for i, gradient in enumerate(gradients):
        if rates is not None:
            optimizer.param_groups[0]["lr"] = float(rates[i])
        w.grad = torch.from_numpy(gradient.copy())
        optimizer.step()


def run_case(directory, kind, options, *, stepped=False, rates=None, corrupt=None):
    """Plait and torch from the same start; the largest error in tolerances."""
    generator = np.random.default_rng(0)
    lr = {SGD: 0.1, Adadelta: 1.0}.get(kind, 0.01)
    start = generator.standard_normal(SHAPE).astype(np.float32)
    gradients = generator.standard_normal((STEPS, *SHAPE)).astype(np.float32)
    w = torch.nn.Parameter(torch.from_numpy(start.copy()))
    # foreach=False: torch's reference implementation of the formula.
    optimizer = kind([w], lr=lr, foreach=False, **options)
    if stepped:
        torch_steps(optimizer, w, generator.standard_normal((3, *SHAPE)).astype(np.float32))
    op = optimizer_ops(optimizer)[w]
    before = w.detach().numpy().copy()
    tensors = {"w": before, "g": gradients, **{f"state.w.{n}": v for n, v in op.states.items()}}
    if rates is not None:
        tensors["lr"] = rates
    text = step_text(op, rates is not None)
    if corrupt:
        assert corrupt[0] in text
        text = text.replace(*corrupt)
    results = run_step(directory, text, tensors, STEPS, "--schedule=baseline")

    torch_steps(optimizer, w, gradients, rates)
    expected = {"w": w.detach().numpy()}
    for name, value in optimizer_ops(optimizer)[w].states.items():
        expected[f"state.w.{name}"] = value
    largest_rate = lr if rates is None else float(rates.max())
    errors = {}
    for name, value in expected.items():
        result = results[name]
        assert result.shape == value.shape and np.isfinite(result).all(), name
        if name == "w":
            tolerance = 1e-5 * largest_rate * STEPS + 4 * np.spacing(np.abs(value).max())
        else:
            tolerance = 1e-5 * np.abs(value).max() + 1e-30
        errors[name] = float(np.abs(result.astype(np.float64) - value).max() / tolerance)
    # The parameter has moved: the comparison is not of two untouched copies.
    assert np.abs(expected["w"] - before).max() > largest_rate * 1e-3
    return errors


@pytest.mark.parametrize("stepped", [False, True], ids=["fresh", "stepped"])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=case_id)
def test_like_torch(tmp_path, kind, options, stepped):
    errors = run_case(tmp_path, kind, options, stepped=stepped)
    assert max(errors.values()) <= 1, errors


LR_CASES = [
    (SGD, dict()),
    (SGD, dict(momentum=0.9, nesterov=True, weight_decay=0.1)),
    (Adagrad, dict(lr_decay=0.1)),
    (RMSprop, dict(centered=True, momentum=0.9)),
    (Adadelta, dict(weight_decay=0.1)),
    (Adam, dict(amsgrad=True, weight_decay=0.1)),
    (AdamW, dict(weight_decay=0.1)),
]


@pytest.mark.parametrize(("kind", "options"), LR_CASES, ids=case_id)
def test_learning_rate_of_each_step(tmp_path, kind, options):
    rates = np.array([0.1, 0.05, 0.2, 0.0, 0.01], np.float32)
    errors = run_case(tmp_path, kind, options, rates=rates)
    assert max(errors.values()) <= 1, errors


@pytest.mark.parametrize(
    ("kind", "options", "attribute_name", "wrong"),
    [
        (SGD, dict(momentum=0.9), "momentum", 0.9001),
        (SGD, dict(weight_decay=0.1), "weight_decay", 0.101),
        (Adagrad, dict(lr_decay=0.1), "lr_decay", 0.101),
        (RMSprop, dict(), "alpha", 0.9901),
        (Adadelta, dict(), "rho", 0.901),
        (Adam, dict(), "eps", 1e-4),
        (AdamW, dict(weight_decay=0.1), "weight_decay", 0.101),
    ],
    ids=str,
)
def test_a_wrong_option_is_found(tmp_path, kind, options, attribute_name, wrong):
    w = torch.nn.Parameter(torch.zeros(SHAPE))
    right = optimizer_ops(kind([w], **options))[w].attributes[attribute_name]
    corrupt = (attribute(attribute_name, right), attribute(attribute_name, wrong))
    errors = run_case(tmp_path, kind, options, corrupt=corrupt)
    assert max(errors.values()) > 1, errors
