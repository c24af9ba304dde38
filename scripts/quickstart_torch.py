# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One run of the quickstart's job in PyTorch, in a process of its own.

The same initial weights, digits and order of batches as plait-run is given;
eager mode, with the fused AdamW: PyTorch's fastest without a compiler.
"""

import argparse
import json
import time
from pathlib import Path

import mnist
import torch
from safetensors.torch import load_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", type=Path, help="parameters, x and y")
    parser.add_argument("held_out", type=Path, help="x and y to judge by")
    parser.add_argument("report", type=Path, help="JSON to write")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    tensors, held_out = load_file(options.inputs), load_file(options.held_out)

    layers: list[torch.nn.Module] = []
    for i, (columns, rows) in enumerate(zip(mnist.WIDTHS, mnist.WIDTHS[1:]), 1):
        layer = torch.nn.Linear(columns, rows)
        layer.load_state_dict({n: tensors[f"fc{i}.{n}"] for n in ("weight", "bias")})
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=mnist.LR, weight_decay=mnist.WEIGHT_DECAY, fused=True
    )
    batches = mnist.shuffled_batches(options.seed, len(tensors["x"]), mnist.BATCH)
    losses, ms = [], []
    for _, rows in zip(range(options.steps), batches):
        # As in plait-run, gathering the batch is part of the step.
        rows = torch.from_numpy(rows)
        start = time.perf_counter()
        x, y = tensors["x"][rows], tensors["y"][rows]
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        ms.append((time.perf_counter() - start) * 1e3)
    with torch.no_grad():
        right = model(held_out["x"]).argmax(1) == held_out["y"]
    report = {
        "loss": losses,
        "ms": ms,
        "gradient_bytes": sum(p.grad.nbytes for p in model.parameters()),
        "eval": {"accuracy": right.float().mean().item()},
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    options.report.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
