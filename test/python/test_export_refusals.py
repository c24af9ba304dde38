# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the export from PyTorch refuses, and what it says."""

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import pytest
from exported import Tied, batch, export, mlp, same_as_eager, torch
from torch import Tensor, nn

import plait
from plait.torch import backend, export_step
from plait.torch.decompositions import geometry


def refuse(message, model, optimizer=None, loss_fn=None, inputs=None, **options):
    optimizer = optimizer or torch.optim.SGD(model.parameters())
    with pytest.raises(plait.UnsupportedError, match=message):
        export_step(model, loss_fn or nn.CrossEntropyLoss(), optimizer, inputs or batch(), **options)


def test_refuse_undrawable_random_numbers():
    class Noise(nn.Module):
        def forward(self, x):
            return x * torch.randint(2, x.shape)

    refuse(r"aten\.randint\.\w+ in Noise 'act' draws random numbers", mlp(activation=Noise()))


def test_refuse_optimizer_hooks():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters())
    optimizer.register_step_post_hook(lambda *_: None)
    refuse("step hooks", model, optimizer)


def test_refuse_hooks_after_accumulation():
    model = mlp()
    model.fc1.weight.register_post_accumulate_grad_hook(lambda p: None)
    refuse("'fc1.weight' has hooks that follow.* register_hook", model)


def test_refuse_parameter_of_another_model():
    refuse("not one of the model's", mlp(), torch.optim.SGD(mlp().parameters()))


def test_refuse_all_frozen():
    refuse("no trainable parameter", mlp().requires_grad_(False))


def test_refuse_shared_memory_without_a_tie():
    model = Tied()
    model.down.weight = nn.Parameter(model.up.weight.data)
    refuse("'down.weight' shares memory with 'up.weight'", model)


def test_refuse_half_precision():
    model = mlp().bfloat16()
    x, y = batch()
    refuse("'fc1.weight' is torch.bfloat16", model, inputs=(x.bfloat16(), y))


def test_refuse_float64_training():
    # The train ops compute in f32, as plait-opt's verifier says.
    model = mlp().double()
    x, y = batch()
    refuse("'fc1.weight' is torch.float64", model, inputs=(x.double(), y))


@pytest.mark.parametrize(
    ("op", "function"),
    [
        ("floor_divide", lambda x: x // 0.1),
        ("div", lambda x: torch.div(x, 0.1, rounding_mode="floor")),
        ("fmod", lambda x: torch.fmod(x, 0.1)),
        ("remainder", lambda x: x % 0.1),
    ],
)
def test_refuse_the_rest_of_a_division_of_float64(op, function):
    class Rest(nn.Module):
        def forward(self, x):
            return x * function(x.detach().double()).float()

    model = mlp(activation=Rest())
    message = rf"aten\.{op}.*Rest 'act' of float64 has no exact import: convert to float32, or"
    refuse(message, model)


def test_refuse_sparse_gradients():
    model = nn.Sequential(OrderedDict(tok=nn.Embedding(7, 3, sparse=True)))
    refuse("Embedding 'tok'", model, inputs=(torch.tensor([1, 2]), torch.tensor([0, 1])))


def test_refuse_op_without_lowering():
    class Bessel(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x.detach()) * x

    refuse(r"cannot lower aten\.special_bessel_j0\.default in Bessel 'act'.*torch\.aten\.special_bessel_j0",
           mlp(activation=Bessel()))  # fmt: skip


class Apply(nn.Module):
    """A function of the activations as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        result = self.function(x)
        return result if isinstance(result, torch.Tensor) else result.values


@pytest.mark.parametrize("op", [Tensor.cummax, Tensor.sort, Tensor.topk])
def test_refuse_op_that_torch_mlir_keeps_or_aborts_on(op):
    message = r"aten\.\w+\.\w+ in Apply 'act' has no lowering .*: argmax and amax have an import"
    refuse(message, mlp(activation=Apply(lambda x: x * op(x.detach(), 1).values.sum())))


def test_refuse_op_outside_upstream_dialects(monkeypatch):
    monkeypatch.setattr("plait.torch.backend._UNLOWERED", frozenset())
    refuse(r"tm_tensor\.sort", mlp(activation=Apply(lambda x: x * x.detach().sort(0).values)))


def test_refuse_op_that_torch_mlir_crashes_on(monkeypatch, tmp_path):
    # It has such ops, but which ones changes with its version.
    tool = tmp_path / "tool"
    tool.write_text(
        "#!/bin/sh\ncat > " + str(tmp_path / "in") + f"""
        if grep -q aten.atan {tmp_path}/in; then kill -SEGV $$; fi
        exec {backend._tool()} "$1" {tmp_path}/in"""
    )
    tool.chmod(0o755)
    monkeypatch.setattr(backend, "_tool", lambda: tool)
    model = mlp()
    export(model, torch.optim.SGD(model.parameters()))
    refuse(r"torch-mlir crashes when it lowers aten\.atan\.default in Apply 'act'",
           mlp(activation=Apply(torch.atan)))  # fmt: skip


def test_refuse_branch_on_values():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    refuse("cannot trace Branch 'act'", mlp(activation=Branch()))


class Holding(nn.Module):
    """A tensor that is neither parameter nor buffer, and what is done with it."""

    def __init__(self, function, tensor=None):
        super().__init__()
        self.function = function
        self.held = [torch.arange(1.0, 6.0) if tensor is None else tensor]

    def forward(self, x):
        return self.function(self.held[0], x)


def test_tensor_that_is_no_buffer_is_a_constant():
    model = mlp(activation=Holding(lambda held, x: x * held + torch.tensor([0.5] * 5)))
    step = export(model, torch.optim.SGD(model.parameters()))
    assert set(step.tensors) == set(model.state_dict())
    same_as_eager(model, nn.CrossEntropyLoss(), batch())


def test_refuse_writing_to_a_tensor_that_is_no_buffer():
    for change in (torch.Tensor.add_, torch.no_grad()(torch.Tensor.add_)):
        model = mlp(activation=Holding(lambda held, x: x * change(held[1:], 1).sum()))
        refuse(r"aten\.add_\.Tensor in Holding 'act' writes to a tensor that is neither", model)
        assert torch.equal(model.act.held[0], torch.arange(1.0, 6.0))


def test_refuse_tensor_that_needs_a_gradient():
    held = torch.ones(5, requires_grad=True)
    refuse("in Holding 'act' uses a tensor that needs a gradient but is no parameter",
           mlp(activation=Holding(lambda held, x: x * held, held)))  # fmt: skip


def test_refuse_parameter_that_is_captured():
    model = mlp()
    weight = model.fc1.weight

    def loss_fn(z, y):
        return nn.functional.cross_entropy(z, y) + weight.square().sum()

    refuse("uses 'fc1.weight' as a tensor of its own, so it would not change", model, loss_fn=loss_fn)


def test_parameter_in_the_loss():
    model = mlp()

    def loss_fn(z, y):
        return nn.functional.cross_entropy(z, y) + model.fc1.weight.square().sum()

    same_as_eager(model, loss_fn, batch())


def test_refuse_loss_of_a_vector():
    refuse(r"scalar.*\[4\]", mlp(), loss_fn=nn.CrossEntropyLoss(reduction="none"))


def test_wrong_arguments():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(ValueError, match="2 targets"):
        export_step(model, nn.CrossEntropyLoss(), optimizer, batch(), num_targets=2)
    with pytest.raises(TypeError, match="ndarray"):
        export_step(model, nn.CrossEntropyLoss(), optimizer, [t.numpy() for t in batch()])


def test_hint_about_values_where_it_is_the_cause():
    branch = Apply(lambda x: x if x.sum() > 0 else -x)
    refuse(r"'act': .*must not branch on values.*\(test_export_refusals.py, line \d+\)",
           mlp(activation=branch))  # fmt: skip
    model = mlp()
    model.act.register_full_backward_hook(lambda _, grads, __: grads if grads[0].sum() > 0 else None)
    refuse(r"gradients: .*values.*\(test_export_refusals.py, line \d+\)", model)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_refusal_leaves_nothing_on_stderr(capfd):
    for _ in range(2):
        refuse("must not branch", mlp(activation=Apply(lambda x: x if x.sum() > 0 else -x)))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(4, 6).half(), r"input 'x' is torch\.float16.*x\.float\(\)"),
        (torch.zeros(4, 6).bfloat16(), r"input 'x' is torch\.bfloat16"),
        (torch.zeros(4, 6).to_sparse(), r"input 'x' is torch\.sparse_coo: convert it with to_dense"),
    ],
)
def test_refuse_inputs(x, message):
    refuse(message, mlp(), inputs=(x, batch()[1]))


def test_refuse_arguments_in_another_order():
    model, loss = mlp(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(TypeError, match="optimizer must be a torch.optim.Optimizer, not CrossEntropyLoss|"
                       "loss_fn must be a function or module, not SGD"):  # fmt: skip
        export_step(model, optimizer, loss, batch())
    with pytest.raises(TypeError, match="example_inputs must be a sequence.*one Tensor"):
        export_step(model, loss, optimizer, batch()[0])


def test_refuse_unsigned_buffer():
    model = mlp()
    model.register_buffer("seen", torch.zeros(3, dtype=torch.uint8))
    refuse("'seen' is torch.uint8, which a step does not carry", model)


def test_refuse_numpy_view_of_a_parameter():
    """It shares the parameter's memory, but is no tensor that torch knows of."""
    model = mlp()
    view = model.fc1.weight.detach().numpy()

    def loss_fn(z, y):
        return nn.functional.cross_entropy(z * torch.from_numpy(view).sum(), y)

    refuse("uses 'fc1.weight' as a tensor of its own", model, loss_fn=loss_fn)


calls = 0


def test_refuse_global_counter():
    def loss_fn(z, y):
        global calls
        calls += 1
        return nn.functional.cross_entropy(z, y) * (1 if calls < 5 else 2)

    refuse("changes loss_fn: calls", mlp(), loss_fn=loss_fn)
    assert calls == 0


def test_refuse_scripted_module():
    refuse("ScriptModule is made by torch.jit.script", torch.jit.script(nn.Linear(6, 3)))


def checkpointed(function, reentrant=False):
    return Apply(lambda x: torch.utils.checkpoint.checkpoint(function, x, use_reentrant=reentrant))


def test_refuse_checkpoints():
    refuse("use_reentrant=True has no import: use_reentrant=False has",
           mlp(activation=checkpointed(torch.tanh, reentrant=True)))  # fmt: skip
    # What is drawn again would be another mask than the loss was computed with.
    refuse("draws random numbers for the gradients, .* leave out torch.utils.checkpoint",
           mlp(activation=checkpointed(nn.functional.dropout)))  # fmt: skip
    lstm = nn.LSTM(5, 5)
    refuse("LSTM, GRU, RNN and one_hot within torch.utils.checkpoint",
           mlp(activation=checkpointed(lambda x: lstm(x[None])[0][0])))  # fmt: skip


@pytest.mark.parametrize("option", ["accumulation_steps", "seed"])
@pytest.mark.parametrize("value", [1.5, "1", True])
def test_refuse_options_that_are_no_integers(option, value):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(TypeError, match=f"{option} must be an int"):
        export_step(model, nn.CrossEntropyLoss(), optimizer, batch(), **{option: value})


@pytest.mark.parametrize(
    ("function", "advice"),
    [
        (lambda x: x @ torch.linalg.inv(x.T @ x + torch.eye(5)), r"@ \(2 \* eye - a @ x\)"),
        (lambda x: torch.fft.fft(x).real, "cosines and sines"),
        (lambda x: torch.cdist(x, x) @ x, r"a\[:, None\] - b\[None\]"),
        (lambda x: torch.lgamma(x), "with other ops, or compute it before the step"),
        (lambda x: x * torch.view_as_real(torch.view_as_complex(x[:, :2].clone())).sum(), "apart"),
    ],
)
def test_refusals_say_what_to_write(function, advice):
    refuse(advice, mlp(activation=Apply(function)))


@pytest.mark.parametrize(
    ("loss_fn", "advice"),
    [
        (nn.MultiMarginLoss(), r"gather\(1, y\[:, None\]\)"),
        (
            lambda z, y: nn.functional.ctc_loss(
                z.log_softmax(-1)[:, None], y[None, :2] * 0 + 1, torch.tensor([4]), torch.tensor([2])
            ),
            "logsumexp",
        ),
    ],
)
def test_refusals_of_losses_say_what_to_write(loss_fn, advice):
    refuse(advice, mlp(), loss_fn=loss_fn)


def test_refuse_op_that_torch_mlir_cannot_lower_by_name(monkeypatch):
    """Its complaint is about a number, and says no op."""
    for op in (torch.ops.aten.diagonal_backward, torch.ops.aten.diagonal_scatter):
        monkeypatch.delitem(geometry.DECOMPOSITIONS, op.default)
    diagonal = Apply(lambda x: x + torch.diag(x[:4, :4]).sum())
    refuse(r"cannot lower (aten|prims)\.", mlp(activation=diagonal))


def test_exports_in_several_threads():
    """Tracing replaces functions of torch's modules, so that one waits for another."""
    model = mlp()
    arguments = (model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters()), batch())
    with ThreadPoolExecutor(2) as pool:
        exports = [pool.submit(export_step, *arguments) for _ in range(4)]
    assert len({export.result().module_text for export in exports}) == 1


def test_export_under_inference_mode_and_anomaly_detection():
    model = mlp()
    arguments = (model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters()), batch())
    expected = export_step(*arguments).module_text
    for mode in (torch.inference_mode(), torch.autograd.set_detect_anomaly(True)):
        with mode:
            assert export_step(*arguments).module_text == expected
