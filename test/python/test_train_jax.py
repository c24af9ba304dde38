# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a JAX training step to trained parameters: models.

Tolerances are those of jax_steps.py.
"""

import pytest
from plait_run import needs_plait_run

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to export")
optax = pytest.importorskip("optax", reason="optax is not installed: nothing to export")

import jax.numpy as jnp  # noqa: E402
from jax_steps import SCHEDULES, STEPS, compare_steps  # noqa: E402

pytestmark = [needs_plait_run, pytest.mark.parametrize("schedule", SCHEDULES)]

BATCH = 8
OPTIMIZERS = {
    "sgd": (0.05, lambda lr: optax.sgd(lr)),
    "momentum": (0.05, lambda lr: optax.sgd(lr, momentum=0.9)),
    "adam": (1e-3, lambda lr: optax.adam(lr)),
}


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def stepped(tx, params, key=7):
    """An optimizer state as after some steps: no square near zero, where Adam
    would magnify the rounding of small gradients."""

    def at(x):
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x + 3
        return 0.1 + 0.05 * jnp.abs(jax.random.normal(jax.random.key(key), x.shape))

    return jax.tree.map(at, tx.init(params))


def train_step(loss_fn, tx):
    """step(params, opt_state, x, y) -> (loss, params, opt_state)."""

    def step(params, opt_state, x, y):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        updates, opt_state = tx.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state

    return step


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def labels(key, *shape, classes):
    return jax.random.randint(key, (STEPS, *shape), 0, classes)


# --- multilayer perceptron -------------------------------------------------


def mlp():
    k = keys(4)
    params = {
        "fc1": {"w": 0.2 * jax.random.normal(k[0], (20, 33)), "b": jnp.zeros(33)},
        "fc2": {"w": 0.2 * jax.random.normal(k[1], (33, 5)), "b": jnp.zeros(5)},
    }

    def loss(params, x, y):
        hidden = jax.nn.relu(x @ params["fc1"]["w"] + params["fc1"]["b"])
        return cross_entropy(hidden @ params["fc2"]["w"] + params["fc2"]["b"], y)

    x = jax.random.normal(k[2], (STEPS, BATCH, 20))
    return loss, params, (x, labels(k[3], BATCH, classes=5))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_mlp(tmp_path, name, schedule):
    loss, params, data = mlp()
    lr, make = OPTIMIZERS[name]
    tx = make(lr)
    carried = (params, stepped(tx, params))
    compare_steps(tmp_path, train_step(loss, tx), carried, data, lr, schedule)
