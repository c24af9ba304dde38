# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Norms, activations and losses: ten steps of plait-run beside ten of torch."""

import pytest
from plait_run import needs_plait_run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from training import STEPS, compare_training  # noqa: E402

pytestmark = needs_plait_run

BATCH = 4


def rows(*shape, seed=1):
    return torch.randn(STEPS * BATCH, *shape, generator=torch.Generator().manual_seed(seed))


def labels(*shape, classes=3, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, (STEPS * BATCH, *shape), generator=generator)


def around(*layers):
    """6 -> 8, the layers, 8 -> 3."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), *layers, nn.Linear(8, 3))


# --- norms -------------------------------------------------------------------

NORMS = {
    "layer": nn.LayerNorm(8),
    "layer plain": nn.LayerNorm(8, elementwise_affine=False, eps=1e-2),
    "rms": nn.RMSNorm(8),
    "rms eps": nn.RMSNorm(8, eps=1e-3),
    "group": nn.GroupNorm(2, 8),
    "batch": nn.BatchNorm1d(8, momentum=0.3),
    "batch without statistics": nn.BatchNorm1d(8, track_running_stats=False, affine=False),
    "batch in eval mode": nn.BatchNorm1d(8).eval(),
}


@pytest.mark.parametrize("kind", NORMS)
def test_norm(tmp_path, kind):
    model = around(NORMS[kind], nn.Tanh())
    still = ["0.bias"] if kind in ("batch", "batch without statistics") else []
    compare_training(tmp_path, model, nn.CrossEntropyLoss(), (rows(6), labels()), still=still)
    if kind == "batch":
        assert model[1].num_batches_tracked == STEPS


IMAGE_NORMS = {
    "layer": nn.LayerNorm((4, 5, 3)),
    "group": nn.GroupNorm(2, 4),
    "instance": nn.InstanceNorm2d(4, affine=True),
    "instance with statistics": nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    "batch": nn.BatchNorm2d(4),
    "local response": nn.LocalResponseNorm(3),
}


@pytest.mark.parametrize("kind", IMAGE_NORMS)
def test_norm_of_images(tmp_path, kind):
    torch.manual_seed(0)
    layers = (nn.Conv2d(2, 4, 1), IMAGE_NORMS[kind], nn.Tanh(), nn.Flatten(), nn.Linear(60, 3))
    still = ["0.bias"] if kind.startswith(("instance", "batch")) else []
    data = rows(2, 5, 3), labels()
    compare_training(tmp_path, nn.Sequential(*layers), nn.CrossEntropyLoss(), data, still=still)


# --- activations -------------------------------------------------------------

ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.PReLU(), nn.PReLU(8),
    nn.ELU(0.7), nn.CELU(1.3), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(),
    nn.Tanh(), nn.Hardtanh(-0.5, 0.7), nn.Sigmoid(), nn.Hardsigmoid(), nn.Hardswish(),
    nn.LogSigmoid(), nn.Softplus(2.0, 1.0), nn.Softsign(), nn.Softshrink(0.1), nn.Hardshrink(0.1),
    nn.Tanhshrink(), nn.Threshold(0.1, 0.2), nn.Softmax(-1), nn.Softmin(-1), nn.LogSoftmax(-1),
]  # fmt: skip


@pytest.mark.parametrize("first", range(0, len(ACTIVATIONS), 4))
def test_activations(tmp_path, first):
    """Four at a time, side by side, each with layers of its own."""

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.branches = nn.ModuleList(around(a) for a in ACTIVATIONS[first : first + 4])

        def forward(self, x):
            return sum(branch(x) for branch in self.branches)

    compare_training(tmp_path, Beside(), nn.CrossEntropyLoss(), (rows(6), labels()))


def test_gated_units_and_reshaping(tmp_path):
    layers = (
        nn.Unflatten(1, (4, 2)), nn.Linear(2, 4), nn.GLU(), nn.Flatten(),
        nn.Linear(8, 16), nn.GLU(), nn.Identity(),
    )  # fmt: skip
    compare_training(tmp_path, around(*layers), nn.CrossEntropyLoss(), (rows(6), labels()))


# --- losses ------------------------------------------------------------------

WEIGHTS = torch.tensor([1.0, 2.0, 0.5])


def ignoring(target):
    target = target.clone()
    target[::3] = -100
    return target


PROBABILITIES = rows(3, seed=3).softmax(-1)
LOSSES = {
    "cross entropy": (nn.CrossEntropyLoss(), labels()),
    "cross entropy weighted": (nn.CrossEntropyLoss(weight=WEIGHTS), labels()),
    "cross entropy smoothed": (
        nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.2), ignoring(labels())),
    "cross entropy ignoring": (nn.CrossEntropyLoss(ignore_index=1), labels()),
    "cross entropy sum": (nn.CrossEntropyLoss(reduction="sum"), ignoring(labels())),
    "cross entropy of probabilities": (
        nn.CrossEntropyLoss(weight=WEIGHTS, label_smoothing=0.1), PROBABILITIES),
    "nll": (lambda z, y: functional.nll_loss(z.log_softmax(-1), y, ignore_index=0), labels()),
    "mse": (nn.MSELoss(), rows(3, seed=3)),
    "mse sum": (nn.MSELoss(reduction="sum"), rows(3, seed=3)),
    "l1": (nn.L1Loss(), rows(3, seed=3)),
    "smooth l1": (nn.SmoothL1Loss(beta=0.3), rows(3, seed=3)),
    "huber": (nn.HuberLoss(delta=0.3), rows(3, seed=3)),
    "bce": (lambda z, y: functional.binary_cross_entropy(z.sigmoid(), y), PROBABILITIES),
    "bce weighted": (
        lambda z, y: functional.binary_cross_entropy(z.sigmoid(), y, weight=y + 1), PROBABILITIES),
    "bce with logits": (nn.BCEWithLogitsLoss(pos_weight=WEIGHTS), PROBABILITIES),
    "kl": (lambda z, y: functional.kl_div(z.log_softmax(-1), y, reduction="batchmean"), PROBABILITIES),
    "soft margin": (nn.SoftMarginLoss(), rows(3, seed=3).sign()),
    "hinge": (nn.HingeEmbeddingLoss(), rows(3, seed=3).sign()),
    "poisson": (nn.PoissonNLLLoss(), PROBABILITIES),
    "cosine": (
        lambda z, y: functional.cosine_embedding_loss(z, y, y[:, 0].sign()), rows(3, seed=3)),
    "of each row": (
        lambda z, y: functional.cross_entropy(z, y, reduction="none").square().mean(), labels()),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOSSES)
def test_loss(tmp_path, kind):
    loss_fn, target = LOSSES[kind]
    compare_training(tmp_path, around(nn.Tanh()), loss_fn, (rows(6), target))


def test_cross_entropy_of_images(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 1))
    data = rows(2, 3, 4), ignoring(labels(3, 4))
    loss_fn = nn.CrossEntropyLoss(weight=WEIGHTS)
    compare_training(tmp_path, model, loss_fn, data)


# --- what models do besides --------------------------------------------------


def test_constants_and_stopped_gradients(tmp_path):
    table = rows(8, seed=5)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.up, self.down = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            h = torch.tanh(self.up(x)) @ (table.t() @ table) / 50 + torch.tensor([0.5, -0.5] * 4)
            with torch.no_grad():
                scale = h.square().mean().sqrt()
            return self.down(h / scale) + self.down(h).detach()

    def loss_fn(z, y):
        return functional.nll_loss(z.log_softmax(-1), y, weight=WEIGHTS)

    step = compare_training(tmp_path, Model(), loss_fn, (rows(6), labels()))
    assert set(step.tensors) >= set(Model().state_dict())


def test_input_changed_in_place(tmp_path):
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 3))
    torch.manual_seed(0)
    compare_training(tmp_path, model, nn.CrossEntropyLoss(), (rows(6), labels()))


def _columns(x):
    x = x.clone()
    x[:, 0] = x[:, 1] * 2
    x[:, 3] *= 2
    return x


def _rows_and_steps(x):
    x = x.reshape(4, 2, 4).clone()
    x[1:3, :, ::2] = 0.5
    x[0, 1] = x[3, 0]
    return x.reshape(4, 8)


def _filled(x):
    columns = torch.empty_like(x)
    for i in range(8):
        columns[:, i] = x[:, 7 - i] * i
    return columns


@pytest.mark.parametrize("write", [_columns, _rows_and_steps, _filled])
def test_slices_written_in_place(tmp_path, write):
    """The gradient of such a write is as_strided_scatter, of fewer dimensions."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.up, self.down = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.down(write(torch.tanh(self.up(x))))

    compare_training(tmp_path, Model(), nn.CrossEntropyLoss(), (rows(6), labels()))


@pytest.mark.parametrize("norm", ["weight", "spectral"])
def test_parametrized_weights(tmp_path, norm):
    torch.manual_seed(0)
    apply = getattr(nn.utils.parametrizations, f"{norm}_norm")
    model = nn.Sequential(apply(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 3))
    step = compare_training(tmp_path, model, nn.CrossEntropyLoss(), (rows(6), labels()))
    assert "0.parametrizations.weight.original" + ("0" if norm == "weight" else "") in step.tensors
