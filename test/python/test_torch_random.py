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
def test_two_layers_draw_apart(tmp_path):
    mask = factors(tmp_path, nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)), (64, 64), seed=1)[0]
    # The same mask twice would keep a half.
    assert abs((mask == 4).mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 64**2)


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
