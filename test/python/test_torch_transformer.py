# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Embeddings and attention: ten steps of plait-run beside ten of torch."""

import re

import pytest
from plait_run import needs_plait_run

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from training import STEPS, compare_training  # noqa: E402

from plait.torch import export_step  # noqa: E402

VOCABULARY, WIDTH, LENGTH, BATCH = 11, 8, 5, 2


def tokens(rows=STEPS * BATCH, seed=1):
    """Rows of a text, and the same one token on."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(0, VOCABULARY, (rows, LENGTH + 1), generator=generator)
    return text[:, :-1].clone(), text[:, 1:].clone()


def next_token_loss(logits, target):
    return functional.cross_entropy(logits.flatten(0, 1), target.flatten())


class Attention(nn.Module):
    """Causal self-attention by scaled_dot_product_attention."""

    def __init__(self, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(*parts.unbind(), is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, width))


class GPT(nn.Module):
    """One block, learned positions, and a head tied to the embedding."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.tok = nn.Embedding(VOCABULARY, WIDTH)
        self.pos = nn.Embedding(LENGTH, WIDTH)
        self.ln1, self.ln2, self.ln3 = (nn.LayerNorm(WIDTH) for _ in range(3))
        self.attention = Attention()
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tok.weight

    def forward(self, x):
        h = self.tok(x) + self.pos(torch.arange(x.shape[1]))
        h = h + self.attention(self.ln1(h))
        h = h + self.down(functional.gelu(self.up(self.ln2(h)), approximate="tanh"))
        return self.head(self.ln3(h))


@needs_plait_run
@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
def test_gpt_with_tied_head(tmp_path, schedule):
    step = compare_training(tmp_path, GPT(), next_token_loss, tokens(), schedule=schedule)
    assert step.ties == {"head.weight": "tok.weight"}
    assert step.module_text.count('#train.param<"tok.weight">') == 1


class Multihead(nn.Module):
    """Self- and cross-attention by nn.MultiheadAttention."""

    def __init__(self, weights):
        super().__init__()
        torch.manual_seed(0)
        self.weights = weights
        self.tok = nn.Embedding(VOCABULARY, WIDTH)
        self.own = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.cross = nn.MultiheadAttention(WIDTH, 4, kdim=3, vdim=5)
        self.k, self.v = nn.Linear(WIDTH, 3), nn.Linear(WIDTH, 5)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x):
        h = self.tok(x)
        mask = torch.triu(torch.full((LENGTH, LENGTH), -torch.inf), diagonal=1)
        h = h + self.own(h, h, h, attn_mask=mask, need_weights=self.weights)[0]
        padding = x == 3
        t = h.transpose(0, 1)
        y, _ = self.cross(t, self.k(t), self.v(t), key_padding_mask=padding.detach())
        return self.head(h + y.transpose(0, 1))


@needs_plait_run
@pytest.mark.parametrize("weights", [False, True])
def test_multihead_attention(tmp_path, weights):
    x, y = tokens()
    x[:, 0] = 4  # no row may be all padding
    # The key's bias adds the same to all scores of a query: it has no influence.
    # Its neighbours in in_proj_bias do move.
    compare_training(tmp_path, Multihead(weights), next_token_loss, (x, y), still=["k.bias"])


CAUSAL = torch.triu(torch.ones(LENGTH, LENGTH, dtype=torch.bool), diagonal=1)


@needs_plait_run
@pytest.mark.parametrize("is_causal", [False, True])
def test_constant_boolean_mask(tmp_path, is_causal):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.tok = nn.Embedding(VOCABULARY, WIDTH)
            self.own = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
            self.head = nn.Linear(WIDTH, VOCABULARY)

        def forward(self, x):
            h = self.tok(x)
            options = dict(attn_mask=CAUSAL, is_causal=is_causal, need_weights=False)
            return self.head(h + self.own(h, h, h, **options)[0])

    compare_training(tmp_path, Masked(), next_token_loss, tokens())


@needs_plait_run
def test_grouped_query_attention(tmp_path):
    class Grouped(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.tok = nn.Embedding(VOCABULARY, WIDTH)
            self.q, self.kv = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY)

        def forward(self, x):
            h = self.tok(x)
            # 4 heads of 2 query 2 heads of keys and values.
            q = self.q(h).unflatten(-1, (4, 2)).transpose(1, 2)
            k, v = self.kv(h).unflatten(-1, (2, 2, 2)).permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            return self.head(h + y.transpose(1, 2).flatten(2))

    compare_training(tmp_path, Grouped(), next_token_loss, tokens())


@needs_plait_run
@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer(tmp_path, norm_first):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        WIDTH, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
    )
    model = nn.Sequential(nn.Embedding(VOCABULARY, WIDTH), layer, nn.Linear(WIDTH, VOCABULARY))
    compare_training(tmp_path, model, next_token_loss, tokens())


@needs_plait_run
def test_decoder_layer(tmp_path):
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.tok = nn.Embedding(VOCABULARY, WIDTH)
            self.layer = nn.TransformerDecoderLayer(WIDTH, 2, 16, dropout=0.0, batch_first=True)
            self.head = nn.Linear(WIDTH, VOCABULARY)

        def forward(self, x):
            mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)
            h = self.tok(x)
            return self.head(self.layer(h, h.flip(1), tgt_mask=mask, tgt_is_causal=True))

    compare_training(tmp_path, Decoder(), next_token_loss, tokens())


@needs_plait_run
@pytest.mark.parametrize("options", [{}, dict(padding_idx=3), dict(scale_grad_by_freq=True)])
def test_embedding(tmp_path, options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(VOCABULARY, WIDTH, **options), nn.Linear(WIDTH, VOCABULARY))
    step = compare_training(tmp_path, model, next_token_loss, tokens())
    assert "scf.for" in step.module_text


def test_embedding_of_a_large_vocabulary_has_no_one_hot():
    model = nn.Sequential(nn.Embedding(50_000, 4), nn.Flatten(), nn.Linear(12, 2))
    inputs = torch.randint(0, 50_000, (8, 3)), torch.tensor([0, 1] * 4)
    step = export_step(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters()), inputs)
    # The table, its gradient and nothing that is as large for each row.
    assert set(re.findall(r"tensor<[^>]*50000[^>]*>", step.module_text)) == {"tensor<50000x4xf32>"}


@needs_plait_run
def test_selection_by_index(tmp_path):
    class Select(nn.Module):
        """The row at the place that an input names, counted from the end."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.fc = nn.Linear(3, 4)

        def forward(self, x, place):
            h = self.fc(x)
            rows = torch.arange(len(place))
            picked = h[rows, -1 - place]
            gathered = h.gather(1, place.view(-1, 1, 1).expand(-1, 1, 4)).squeeze(1)
            scattered = torch.zeros_like(h).scatter(1, place.view(-1, 1, 1).expand(-1, 1, 4), h[:, :1])
            return picked + gathered + h[:, [0, -1]].sum(1) + h.max(1).values + scattered.sum(1)

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(STEPS * 2, 5, 3, generator=generator)
    place = torch.randint(0, 5, (STEPS * 2,), generator=generator)
    y = torch.randint(0, 4, (STEPS * 2,), generator=generator)
    compare_training(tmp_path, Select(), nn.CrossEntropyLoss(), (x, place, y))


@needs_plait_run
def test_ignored_label_is_no_error(tmp_path):
    x, y = tokens()
    y[:, 2] = -100
    compare_training(tmp_path, GPT(), next_token_loss, (x, y))
