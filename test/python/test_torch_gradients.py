# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What changes how gradients are computed: hooks, checkpoints, functions with a
gradient of their own, gradients in the forward pass; and torch.compile."""

import pytest
from exported import Tied, batch, mlp, same_as_eager, torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from training import compare_training

from plait.torch import compile as compile_step
from plait.torch import export_step

CROSS_ENTROPY = nn.CrossEntropyLoss()


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class OldStyle(torch.autograd.Function):
    """Saves what it computed on the way, and a number."""

    @staticmethod
    def forward(ctx, x):
        result = x.exp()
        ctx.save_for_backward(x, result)
        ctx.factor = 3
        return result

    @staticmethod
    def backward(ctx, grad):
        x, result = ctx.saved_tensors
        return ctx.factor * grad * result * x.sign()


class NewStyle(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.sign()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        return torch.where(ctx.saved_tensors[0].abs() < 1, grad, 0)


@pytest.mark.parametrize("function", [OldStyle.apply, NewStyle.apply])
def test_functions_with_a_gradient_of_their_own(function):
    same_as_eager(mlp(activation=Apply(function)), CROSS_ENTROPY, batch())


def double(module, grads, *_):
    return tuple(2 * grad for grad in grads)


@pytest.mark.parametrize(
    "register", ["register_full_backward_hook", "register_full_backward_pre_hook"]
)
def test_hooks_of_modules(register):
    model = mlp()
    getattr(model.act, register)(double)
    same_as_eager(model, CROSS_ENTROPY, batch())


def test_forward_hooks_of_modules():
    model = mlp()
    model.act.register_forward_pre_hook(lambda module, values: (values[0] + 1,))
    model.act.register_forward_hook(lambda module, values, result: 3 * result)
    same_as_eager(model, CROSS_ENTROPY, batch())


def test_hooks_of_tensors():
    def forward(x):
        x.register_hook(lambda grad: grad.clamp(-0.01, 0.01))
        return x.tanh()

    same_as_eager(mlp(activation=Apply(forward)), CROSS_ENTROPY, batch())


def data(rows=40):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 6, generator=generator)
    return x, torch.randint(0, 3, (rows,), generator=generator)


def test_hooks_of_parameters(tmp_path):
    model = Tied()
    model.up.weight.register_hook(lambda grad: grad / 2)
    model.up.bias.register_hook(lambda grad: grad.clamp(-0.01, 0.01))
    compare_training(tmp_path, model, CROSS_ENTROPY, data())


def test_gradients_in_the_forward_pass():
    class Penalty(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.inner = nn.Linear(6, 3)

        def forward(self, x):
            x = x.detach().requires_grad_()
            (grad,) = torch.autograd.grad(self.inner(x).tanh().sum(), x, create_graph=True)
            return self.inner(x) + grad.square().sum(1, keepdim=True)

    same_as_eager(Penalty(), CROSS_ENTROPY, batch())


class Checkpointed(nn.Module):
    """Which computes the running statistics twice, as torch does."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)
        self.norm = nn.BatchNorm1d(6)

    def block(self, x):
        return self.norm(self.first(x).tanh()).relu()

    def forward(self, x):
        return self.last(checkpoint(self.block, x, use_reentrant=False))


def test_checkpoints(tmp_path):
    model = Checkpointed()
    compare_training(tmp_path, model, CROSS_ENTROPY, data())
    assert model.norm.num_batches_tracked == 20


def test_checkpoints_of_accumulated_batches(tmp_path):
    def train(model, loss_fn, optimizer, data, rows, steps):
        losses = []
        for i in range(steps):
            x, y = (d[i * n : (i + 1) * n] for d, n in zip(data, rows))
            optimizer.zero_grad()
            parts = [loss_fn(model(a), b) / 2 for a, b in zip(x.chunk(2), y.chunk(2))]
            for part in parts:
                part.backward()
            optimizer.step()
            losses.append(sum(part.item() for part in parts))
        return losses

    model = Checkpointed()
    model.norm = nn.LayerNorm(6)
    compare_training(
        tmp_path, model, CROSS_ENTROPY, data(), reference=train, accumulation_steps=2
    )


# --- torch.compile ---------------------------------------------------------------


def compiled_models():
    plain = mlp()
    inner = mlp()
    inner.act = torch.compile(inner.act, backend="eager")
    in_place = mlp()
    in_place.compile(backend="eager")
    return {"whole": torch.compile(plain, backend="eager"), "inner": inner, "in place": in_place}


@pytest.mark.parametrize("which", ["whole", "inner", "in place"])
def test_compiled_modules_are_imported_as_they_were_written(which):
    model, (x, y) = compiled_models()[which], batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = compile_step(model, CROSS_ENTROPY, optimizer, (x, y))
    plain = mlp()
    reference = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(3):
        reference.zero_grad()
        loss = functional.cross_entropy(plain(x), y)
        loss.backward()
        reference.step()
        torch.testing.assert_close(step(x, y), loss.detach())
    # The names are those of the module that was given.
    assert list(step.state_dict()) == list(model.state_dict())
    step.copy_to(model, optimizer)
    for value, expected in zip(model.state_dict().values(), plain.state_dict().values()):
        torch.testing.assert_close(value, expected)


def test_compiled_loss():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_fn = torch.compile(functional.cross_entropy, backend="eager")
    texts = [export_step(model, f, optimizer, batch()).module_text
             for f in (loss_fn, functional.cross_entropy)]  # fmt: skip
    assert texts[0] == texts[1]
