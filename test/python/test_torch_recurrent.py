# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""LSTM, GRU and plain recurrent layers, which are loops: ten steps of plait-run
beside ten of torch."""

import pytest
from plait_run import needs_plait_run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from torch.nn.utils import rnn as packing  # noqa: E402
from training import STEPS, compare_training  # noqa: E402

import plait  # noqa: E402
from plait.torch import export_step  # noqa: E402

BATCH, LENGTH, INPUT, HIDDEN = 2, 5, 3, 4


def data(*shape, rows=STEPS * BATCH):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, *(shape or (LENGTH, INPUT)), generator=generator)
    return x, torch.randint(0, 3, (rows,), generator=generator)


class Classifier(nn.Module):
    """All outputs and all final states of a recurrent layer, and a linear one."""

    def __init__(self, kind, length=LENGTH, **options):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = kind(INPUT, HIDDEN, batch_first=True, **options)
        directions = 2 if options.get("bidirectional") else 1
        states = (2 if kind is nn.LSTM else 1) * options.get("num_layers", 1)
        self.head = nn.Linear(HIDDEN * directions * (length + states), 3)

    def forward(self, x):
        outputs, states = self.rnn(x)
        states = states if isinstance(states, tuple) else (states,)
        flat = [outputs.flatten(1), *(s.transpose(0, 1).flatten(1) for s in states)]
        return self.head(torch.cat(flat, 1))


KINDS = {
    "lstm": (nn.LSTM, {}),
    "lstm deep both ways": (nn.LSTM, dict(num_layers=2, bidirectional=True)),
    "lstm without bias": (nn.LSTM, dict(bias=False)),
    "gru": (nn.GRU, {}),
    "gru deep both ways": (nn.GRU, dict(num_layers=2, bidirectional=True)),
    "gru without bias": (nn.GRU, dict(bias=False)),
    "tanh": (nn.RNN, dict(bidirectional=True)),
    "relu": (nn.RNN, dict(nonlinearity="relu")),
}


@needs_plait_run
@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_layer(tmp_path, kind):
    layer, options = KINDS[kind]
    model = Classifier(layer, **options)
    # Two biases that are always added up are the same to torch.
    step = compare_training(tmp_path, model, nn.CrossEntropyLoss(), data())
    passes = 2 * options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    assert step.module_text.count("scf.for") == passes


@needs_plait_run
def test_forward_placement(tmp_path):
    compare_training(
        tmp_path, Classifier(nn.LSTM), nn.CrossEntropyLoss(), data(), schedule="forward"
    )


def test_text_does_not_grow_with_the_length():
    def lines(length):
        model = Classifier(nn.GRU, length)
        optimizer = torch.optim.SGD(model.parameters())
        inputs = data(length, INPUT, rows=BATCH)
        return export_step(model, nn.CrossEntropyLoss(), optimizer, inputs).module_text.count("\n")

    assert lines(100) == lines(10)


@needs_plait_run
def test_states_from_outside_and_time_first(tmp_path):
    class Model(nn.Module):
        """An encoder whose final states a decoder goes on with."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.tok = nn.Embedding(7, INPUT)
            self.encoder, self.decoder = nn.LSTM(INPUT, HIDDEN), nn.LSTM(INPUT, HIDDEN)
            self.head = nn.Linear(HIDDEN, 3)

        def forward(self, x):
            embedded = self.tok(x.t())
            _, states = self.encoder(embedded)
            return self.head(self.decoder(embedded.flip(0), states)[0][-1])

    x, y = data()
    x = (x[..., 0] * 10).long() % 7
    compare_training(tmp_path, Model(), nn.CrossEntropyLoss(), (x, y))


@needs_plait_run
def test_dropout_between_layers_that_is_off(tmp_path):
    model = Classifier(nn.LSTM, num_layers=2, dropout=0.5).eval()
    step = compare_training(tmp_path, model, nn.CrossEntropyLoss(), data())
    assert "rng" not in step.tensors


def test_dropout_between_layers_draws():
    model = Classifier(nn.LSTM, num_layers=2, dropout=0.5)
    optimizer = torch.optim.SGD(model.parameters())
    step = export_step(model, nn.CrossEntropyLoss(), optimizer, data(rows=BATCH))
    assert "rng" in step.tensors


@needs_plait_run
@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_are_unrolled(tmp_path, kind):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.cell, self.head = kind(INPUT, HIDDEN), nn.Linear(HIDDEN, 3)

        def forward(self, x):
            state = None
            for time in range(3):
                state = self.cell(x[:, time], state)
            return self.head(state[0] if isinstance(state, tuple) else state)

    step = compare_training(tmp_path, Model(), nn.CrossEntropyLoss(), data())
    assert "scf.for" not in step.module_text


def refuse(message, model, inputs):
    optimizer = torch.optim.SGD(model.parameters())
    with pytest.raises(plait.UnsupportedError, match=message):
        export_step(model, nn.CrossEntropyLoss(), optimizer, inputs)


def test_refuse_packed_sequences():
    class Packed(Classifier):
        def forward(self, x):
            packed = packing.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
            return self.head(self.rnn(packed)[0].data.sum(0).expand(2, -1).repeat(1, 7))

    refuse("LSTM .rnn.: packed sequences have no import", Packed(nn.LSTM, 5), data(rows=BATCH))


def test_refuse_projected_lstm():
    class Projected(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(INPUT, HIDDEN, proj_size=3, batch_first=True)

        def forward(self, x):
            return self.rnn(x)[0].sum(1)

    refuse("LSTM .rnn.: proj_size has no import", Projected(), data(rows=BATCH))
