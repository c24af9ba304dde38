# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Dropout and other draws: the documented generator, its statistics, and that a
step uses each draw in the backward pass as in the forward pass."""

import math

import numpy as np
import pytest
from plait_run import needs_plait_run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from training import STEPS, compare_training, run, train  # noqa: E402

import plait  # noqa: E402
from plait.torch import export_step  # noqa: E402
from plait.torch.randomness import initial_state, uniform  # noqa: E402

SEED = 12345
BITS = 2**64


def splitmix(z):
    """The finalizer of splitmix64 on Python's integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % BITS
    return z ^ (z >> 31)


def by_hand(seed, step, site, place):
    """The documented number, without torch."""
    golden = 0x9E3779B97F4A7C15
    key = splitmix((seed + golden) % BITS)
    key = splitmix((key + (step + 1) * golden) % BITS)
    key = splitmix((key + (site + 1) * golden) % BITS)
    return (splitmix((key + (place + 1) * golden) % BITS) >> 40) * 2.0**-24


@pytest.mark.parametrize("seed", [0, SEED, 2**64 - 1, -1])
def test_numbers_are_the_documented_ones(seed):
    for step, site in [(0, 0), (0, 1), (7, 0), (10**6, 3)]:
        rng = initial_state(seed) + torch.tensor([0, step])
        numbers = uniform(rng, site, (2, 3))
        expected = [by_hand(seed % BITS, step, site, place) for place in range(6)]
        assert numbers.flatten().tolist() == expected


def test_numbers_are_uniform_and_independent():
    count = 200_000
    rng = initial_state(SEED)
    streams = [uniform(rng, 0, (count,)), uniform(rng, 1, (count,)),
               uniform(rng + torch.tensor([0, 1]), 0, (count,)),
               uniform(rng + torch.tensor([1, 0]), 0, (count,))]  # fmt: skip
    for numbers in streams:
        assert 0 <= numbers.min() and numbers.max() < 1
        # Five standard deviations of each statistic.
        assert abs(numbers.mean() - 0.5) < 5 * math.sqrt(1 / 12 / count)
        bins = torch.histc(numbers, 64, 0, 1)
        chi = ((bins - count / 64) ** 2 / (count / 64)).sum().item()
        assert abs(chi - 63) < 5 * math.sqrt(2 * 63)
        for lag in (1, 2, 3, 17):
            assert abs(correlation(numbers[lag:], numbers[:-lag])) < 5 / math.sqrt(count)
    for i, one in enumerate(streams):
        for two in streams[:i]:
            assert abs(correlation(one, two)) < 5 / math.sqrt(count)


def correlation(one, two):
    return torch.corrcoef(torch.stack([one, two]))[0, 1].item()


class Weight(nn.Module):
    """The module applied to a parameter of ones, so that the gradient of the sum
    is what each element was multiplied by."""

    def __init__(self, module, shape):
        super().__init__()
        self.module, self.w = module, nn.Parameter(torch.ones(shape))

    def forward(self, x):
        return self.module(self.w) * x


def factors(directory, module, shape, steps=1, **options):
    """What the module multiplies each element by in the last of the steps, and
    the loss, which is the sum of these."""
    model = Weight(module, shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    x = torch.ones(())
    step = export_step(model, torch.sum, optimizer, [x], num_targets=0, **options)
    results, losses = run(directory, step, [x], steps=steps)
    previous = model.w.detach().numpy()
    if steps > 1:
        previous = run(directory, step, [x], steps=steps - 1)[0]["w"]
    return previous - results["w"], losses[-1], results, step


@needs_plait_run
def test_gradient_mask_is_the_forward_mask(tmp_path):
    # Powers of two, so that sums and differences are exact.
    mask, loss, results, step = factors(tmp_path, nn.Dropout(0.5), (16, 64), seed=SEED)
    assert set(np.unique(mask)) == {0.0, 2.0} and mask.sum() == loss
    numbers = uniform(initial_state(SEED), 0, (16, 64)).numpy()
    np.testing.assert_array_equal(mask, np.where(numbers < 0.5, 2.0, 0.0))
    assert results["rng"].tolist() == [SEED, 1] and step.tensors["rng"].tolist() == [SEED, 0]
    assert '#train.state<"", "rng">' in step.module_text


@needs_plait_run
def test_each_step_draws_anew_and_a_run_can_be_repeated(tmp_path):
    masks = [factors(tmp_path, nn.Dropout(0.5), (8, 32), n, seed=SEED)[0] for n in (1, 2, 2)]
    assert (masks[0] != masks[1]).mean() > 0.3
    np.testing.assert_array_equal(masks[1], masks[2])
    other = factors(tmp_path, nn.Dropout(0.5), (8, 32), seed=SEED + 1)[0]
    assert (masks[0] != other).mean() > 0.3


@needs_plait_run
@pytest.mark.parametrize("p", [0.1, 0.9, 1.0])
def test_rate_of_dropout(tmp_path, p):
    count = 100 * 200
    mask = factors(tmp_path, nn.Dropout(p), (100, 200), seed=SEED)[0]
    kept = (mask != 0).mean()
    assert abs(kept - (1 - p)) <= 5 * math.sqrt(p * (1 - p) / count)
    if p < 1:
        np.testing.assert_allclose(mask[mask != 0], 1 / (1 - p), rtol=1e-5)


@needs_plait_run
@pytest.mark.parametrize(("module", "shape"), [(nn.Dropout1d(0.5), (40, 30, 6)), (nn.Dropout2d(0.5), (40, 30, 2, 3))])
def test_dropout_of_channels(tmp_path, module, shape):
    mask = factors(tmp_path, module, shape, seed=SEED)[0].reshape(40, 30, 6)
    assert (mask == mask[..., :1]).all() and 0.4 < (mask != 0).mean() < 0.6


@needs_plait_run
def test_default_rate(tmp_path):
    """A graph does not say it; attention's dropout of 0.5 draws so."""

    class Kept(nn.Module):
        def forward(self, w):
            return w * torch.empty_like(w).bernoulli_()

    mask = factors(tmp_path, Kept(), (16, 64), seed=SEED)[0]
    numbers = uniform(initial_state(SEED), 0, (16, 64)).numpy()
    np.testing.assert_array_equal(mask, numbers < 0.5)


@needs_plait_run
def test_two_layers_draw_apart(tmp_path):
    mask = factors(tmp_path, nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)), (64, 64), seed=1)[0]
    # The same mask twice would keep a half.
    assert abs((mask == 4).mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 64**2)


@needs_plait_run
@pytest.mark.parametrize("p", [None, 0.5, 0.2])
def test_bernoulli_in_place(tmp_path, p):
    """In a trace, a probability of one half is left out, as torch's default is."""

    class Kept(nn.Module):
        def forward(self, w):
            empty = torch.zeros_like(w)
            return w * (empty.bernoulli_() if p is None else empty.bernoulli_(p))

    mask = factors(tmp_path, Kept(), (100, 200), seed=SEED)[0]
    numbers = uniform(initial_state(SEED), 0, (100, 200)).numpy()
    np.testing.assert_array_equal(mask, numbers < np.float32(p or 0.5))


@needs_plait_run
def test_noise(tmp_path):
    class Noise(nn.Module):
        def forward(self, w):
            return w * torch.randn_like(w) + torch.rand(200) * 0 * w.mean()

    values = factors(tmp_path, Noise(), (100, 200), seed=SEED)[0]
    count = values.size
    assert abs(values.mean()) < 5 / math.sqrt(count)
    assert abs(values.var() - 1) < 5 * math.sqrt(2 / count)
    assert abs((values**4).mean() - 3) < 5 * math.sqrt(96 / count)


class Documented:
    """torch's dropout, drawing from the documented generator."""

    def __init__(self, seed):
        self.rng, self.site = initial_state(seed), 0

    def dropout(self, x, p=0.5, training=True, inplace=False):
        if not training:
            return x
        kept = uniform(self.rng, self.site, x.shape) < 1 - p
        self.site += 1
        return x * (kept / (1 - p))

    def next_step(self):
        self.rng, self.site = self.rng + torch.tensor([0, 1]), 0


def rows(*shape, seed=1):
    return torch.randn(STEPS * 4, *shape, generator=torch.Generator().manual_seed(seed))


def labels():
    return torch.randint(0, 3, (STEPS * 4,), generator=torch.Generator().manual_seed(2))


@needs_plait_run
@pytest.mark.parametrize("schedule", ["backward", "forward"])
def test_training_with_dropout(tmp_path, monkeypatch, schedule):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.Dropout(0.3), nn.Tanh(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 3)
    )

    def reference(model, *arguments, **options):
        documented = Documented(SEED)
        monkeypatch.setattr(functional, "dropout", documented.dropout)
        return train(model, *arguments, after_backward=documented.next_step, **options)

    compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), (rows(6), labels()),
        reference=reference, schedule=schedule, seed=SEED,
    )  # fmt: skip


class Attention(nn.Module):
    def __init__(self, p):
        super().__init__()
        torch.manual_seed(0)
        self.attention = nn.MultiheadAttention(8, 2, dropout=p, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=p, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(self.layer(x).mean(1))


@needs_plait_run
@pytest.mark.parametrize("p", [0.0, 0.5])
def test_dropout_that_is_off_is_torch(tmp_path, p):
    model = Attention(p)
    if p:
        model.eval()
    step = compare_training(tmp_path, model, nn.CrossEntropyLoss(), (rows(5, 8), labels()))
    assert "rng" not in step.tensors


@needs_plait_run
def test_dropout_of_attention(tmp_path):
    model = Attention(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = rows(5, 8), labels()
    step = export_step(model, nn.CrossEntropyLoss(), optimizer, [d[:4] for d in data], seed=3)
    # Weights of both attentions, and three more in the layer.
    first, second = (run(tmp_path, step, data)[1] for _ in range(2))
    assert first == second and all(map(math.isfinite, first))
    step.tensors["rng"][0] += 1
    assert first != run(tmp_path, step, data)[1]


class Weighted(nn.Module):
    """Attention written by hand, with dropout of the weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (2, 3)).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-1, -2)).softmax(-1)
        y = functional.dropout(weights, 0.3) @ v
        return y.transpose(1, 2).flatten(-2).mean(1)[:, :3]


@needs_plait_run
def test_weights_made_twice_are_dropped_alike(tmp_path, monkeypatch):
    def reference(model, *arguments, **options):
        documented = Documented(SEED)
        monkeypatch.setattr(functional, "dropout", documented.dropout)
        return train(model, *arguments, after_backward=documented.next_step, **options)

    # Blocks of 48 rows, and one of 39.
    compare_training(
        tmp_path, Weighted(), nn.CrossEntropyLoss(), (rows(135, 6), labels()),
        reference=reference, seed=SEED, still=["k.bias"],
    )  # fmt: skip


def test_seed_is_that_of_torch():
    torch.manual_seed(99)
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters())
    step = export_step(model, torch.sum, optimizer, [torch.ones(2, 3)], num_targets=0)
    assert step.tensors["rng"].tolist() == [99, 0]


def test_micro_batches_draw_anew():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters())
    step = export_step(
        model, torch.sum, optimizer, [torch.ones(2, 3)], num_targets=0, accumulation_steps=4
    )
    # The state of the generator goes through the loop.
    loop = next(line for line in step.module_text.splitlines() if "scf.for" in line)
    assert "%rng" in loop


def like(name, *numbers):
    """A tensor method that fills a tensor like x."""
    return lambda x: getattr(torch.empty_like(x), name)(*numbers)


#: Draws without a form, and the numbers in what the message says to write.
UNDRAWN = {
    "exponential_": (like("exponential_", 2.0), {"rate": 2.0}),
    "cauchy_": (like("cauchy_", 1.0, 0.5), {"median": 1.0, "sigma": 0.5}),
    "log_normal_": (like("log_normal_", 0.5, 0.25), {"mean": 0.5, "std": 0.25}),
    "geometric_": (like("geometric_", 0.3), {"p": 0.3}),
    "random_": (like("random_", -2, 3), {"low": -2, "high": 3}),
    "randint": (lambda x: torch.randint(-2, 3, x.shape), {"low": -2, "high": 3}),
    "randint_like": (lambda x: torch.randint_like(x, -2, 3), {"low": -2, "high": 3}),
    "normal": (lambda x: torch.normal(0.5, 2.0, x.shape), {"mean": 0.5, "std": 2.0}),
    "multinomial": (lambda x: torch.multinomial(weights(x), 1)[:, 0], {}),
    "rrelu_with_noise": (
        lambda x: functional.rrelu(x - 1, 0.2, 0.4, training=True), {"lower": 0.2, "upper": 0.4}),
    "randperm": (lambda x: torch.randperm(len(x)), None),
    "poisson": (lambda x: torch.poisson(x.abs()), None),
    "_standard_gamma": (lambda x: torch._standard_gamma(x.abs() + 1), None),
}  # fmt: skip


def weights(x):
    return torch.tensor([0.1, 0.2, 0.3, 0.4]).expand(len(x), 4)


def written(message, x, numbers):
    """What the message says to write, evaluated."""
    expression = message.split("write ")[-1].split("a row, ")[-1]
    names = {"x": x, "shape": x.shape, "p": weights(x), "math": math, "torch": torch, **numbers}
    return eval(expression, names | {"x": x - 1} if "upper" in numbers else names)


class Draw(nn.Module):
    """One number for each row, times a parameter."""

    def __init__(self, draw):
        super().__init__()
        self.draw, self.w = draw, nn.Parameter(torch.ones(()))

    def forward(self, x):
        return (self.draw(x) * self.w).mean()


@pytest.mark.parametrize("name", UNDRAWN)
def test_draws_that_are_refused_and_what_to_write(name):
    def export(draw):
        model = nn.Sequential(Draw(draw))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        export_step(model, torch.sum, optimizer, [torch.ones(7)], num_targets=0)

    draw, numbers = UNDRAWN[name]
    message = rf"aten\.{name}\.\w+ in Draw '0' draws random numbers that a step cannot draw: \w+"
    with pytest.raises(plait.UnsupportedError, match=message) as refused:
        export(draw)
    if numbers is None:
        assert "as an input" in str(refused.value)
        return
    export(lambda x: written(str(refused.value), x, numbers))
    # The distribution is that of the op: each decile within 5 deviations.
    torch.manual_seed(0)
    x = torch.ones(50_000) / 2
    one, two = draw(x).double(), written(str(refused.value), x, numbers).double()
    for at in torch.quantile(one, torch.linspace(0.1, 0.9, 9, dtype=torch.float64)):
        parts = [(values <= at).double().mean().item() for values in (one, two)]
        assert abs(parts[0] - parts[1]) < 5 * math.sqrt(2 * 0.25 / len(x)), (at, parts)


def test_refuse_distribution_that_checks_values():
    # torch.compile, once used, makes False the default.
    model = nn.Sequential(
        Draw(lambda x: torch.distributions.Normal(x, 1.0, validate_args=True).rsample())
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(plait.UnsupportedError, match="Draw '0'.*validate_args=False"):
        export_step(model, torch.sum, optimizer, [torch.ones(7)], num_targets=0)
    model = nn.Sequential(
        Draw(lambda x: torch.distributions.Normal(x, 1.0, validate_args=False).rsample())
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    export_step(model, torch.sum, optimizer, [torch.ones(7)], num_targets=0)
