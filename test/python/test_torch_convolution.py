# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutional models: ten steps of plait-run beside ten of torch."""

import pytest
from plait_run import needs_plait_run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from training import STEPS, compare_training  # noqa: E402

pytestmark = needs_plait_run

BATCH = 3


@pytest.fixture(autouse=True)
def seeded():
    """From some weights these trainings diverge, and magnify rounding."""
    torch.manual_seed(0)


def images(channels=2, size=(9, 8), classes=4):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(STEPS * BATCH, channels, *size, generator=generator)
    return x, torch.randint(0, classes, (STEPS * BATCH,), generator=generator)


def classifier(*layers, data, classes=4):
    """The layers, then Flatten and Linear."""
    torch.manual_seed(0)
    body = nn.Sequential(*layers)
    width = body.eval()(data[0][:2]).flatten(1).shape[1]
    return nn.Sequential(body, nn.Flatten(), nn.Linear(width, classes)).train()


def check(directory, *layers, data=None, **options):
    data = data or images()
    model = classifier(*layers, data=data)
    return compare_training(directory, model, nn.CrossEntropyLoss(), data, **options)


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
def test_lenet_with_batch_norm(tmp_path, schedule):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(24, 10), nn.BatchNorm1d(10), nn.Tanh(), nn.Linear(10, 4),
    )  # fmt: skip
    # A bias before batch-norm has no influence.
    still = ["0.bias", "4.bias", "9.bias"]
    data = images(1, (12, 12))
    step = compare_training(
        tmp_path, model, nn.CrossEntropyLoss(), data, still=still, schedule=schedule
    )
    assert "train.sgd" in step.module_text


class Residual(nn.Module):
    """Two convolutions with batch-norm, the first strided, and a strided way around."""

    def __init__(self, channels, width, groups=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, groups=groups, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.short = nn.Sequential(nn.Conv2d(channels, width, 1, 2, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return torch.relu(self.body(x) + self.short(x))


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
def test_residual_network(tmp_path, schedule):
    layers = (
        nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
        Residual(6, 8), Residual(8, 12, groups=12),
    )  # fmt: skip
    check(tmp_path, *layers, data=images(size=(13, 12)), schedule=schedule)


CONVOLUTIONS = {
    "strided": lambda: nn.Conv2d(2, 3, (3, 2), stride=(2, 3), padding=(1, 0)),
    "dilated": lambda: nn.Conv2d(2, 3, 3, dilation=(2, 3), padding=3, bias=False),
    "grouped": lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2),
    "same": lambda: nn.Conv2d(2, 3, (2, 3), padding="same"),
    "valid": lambda: nn.Conv2d(2, 3, (3, 2), stride=2, padding="valid"),
    "circular": lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="circular"),
    "replicate": lambda: nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="replicate"),
    "reflect": lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect"),
    "pointwise": lambda: nn.Conv2d(2, 3, 1),
    "transposed": lambda: nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolution(tmp_path, kind):
    # A second layer below, so that the input has a gradient.
    check(tmp_path, nn.Conv2d(2, 2, 1), nn.Tanh(), CONVOLUTIONS[kind]())


def test_depthwise_separable(tmp_path):
    layers = (
        nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU6(),
        nn.Conv2d(4, 8, 3, stride=2, groups=4), nn.Conv2d(8, 3, 1),
    )  # fmt: skip
    check(tmp_path, *layers)


def test_one_dimensional(tmp_path):
    layers = (
        nn.Conv1d(2, 4, 3, stride=2, padding=1), nn.BatchNorm1d(4), nn.ELU(),
        nn.Conv1d(4, 4, 2, groups=2, dilation=2), nn.MaxPool1d(3, 2, 1),
        nn.ConvTranspose1d(4, 2, 3), nn.AvgPool1d(2),
    )  # fmt: skip
    check(tmp_path, *layers, data=images(size=(17,)), still=["0.0.bias"])


POOLS = {
    "max": nn.MaxPool2d(2),
    "max overlap": nn.MaxPool2d(3, stride=2, padding=1),
    "max dilated ceil": nn.MaxPool2d((2, 3), stride=(1, 2), dilation=2, ceil_mode=True),
    "avg overlap": nn.AvgPool2d(3, stride=2, padding=1),
    "avg ceil": nn.AvgPool2d((2, 3), ceil_mode=True, count_include_pad=False, padding=(1, 0)),
    "adaptive avg": nn.AdaptiveAvgPool2d((4, 3)),
    "adaptive avg even": nn.AdaptiveAvgPool2d((3, 2)),
    "adaptive avg to more": nn.AdaptiveAvgPool2d((18, 12)),
    "adaptive avg to more and fewer": nn.AdaptiveAvgPool2d((13, 5)),
    "adaptive avg of one side": nn.AdaptiveAvgPool2d((None, 11)),
    "global avg": nn.AdaptiveAvgPool2d(1),
    "adaptive max": nn.AdaptiveMaxPool2d((4, 3)),
    "adaptive max even": nn.AdaptiveMaxPool2d((3, 2)),
    "adaptive max to more and fewer": nn.AdaptiveMaxPool2d((11, 5)),
}


@pytest.mark.parametrize("count", [3, 5, 7, 17, 20, 34])
@pytest.mark.parametrize("kind", [nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d])
def test_adaptive_pool_of_sequences(tmp_path, kind, count):
    check(tmp_path, nn.Conv1d(2, 3, 1), nn.Tanh(), kind(count), data=images(size=(17,)))


@pytest.mark.parametrize("kind", POOLS)
def test_pool(tmp_path, kind):
    check(tmp_path, nn.Conv2d(2, 3, 2, padding=(1, 0)), nn.Identity(), POOLS[kind], data=images(size=(8, 9)))
