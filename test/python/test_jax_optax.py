# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""optax: ten steps of each optimizer and chain in plait-run, beside jitted JAX.

Tolerances are those of jax_steps.py. Optimizers start as after some steps, with
moments that are not near zero.
"""

import pytest
from plait_run import needs_plait_run

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to export")
optax = pytest.importorskip("optax", reason="optax is not installed: nothing to export")

import jax.numpy as jnp  # noqa: E402
from jax_steps import SCHEDULES, STEPS, compare_steps  # noqa: E402
from optax import contrib  # noqa: E402

pytestmark = [needs_plait_run, pytest.mark.parametrize("schedule", SCHEDULES)]

KEYS = jax.random.split(jax.random.key(3), 6)
PARAMS = {
    "fc1": {"w": 0.5 * jax.random.normal(KEYS[0], (6, 9)), "b": jnp.full(9, 0.1)},
    "fc2": {"w": 0.5 * jax.random.normal(KEYS[1], (9, 3)), "b": jnp.full(3, 0.1)},
}
DATA = (
    jax.random.normal(KEYS[2], (STEPS, 8, 6)),
    jax.random.randint(KEYS[3], (STEPS, 8), 0, 3),
)
WEIGHTS = {"fc1": {"w": True, "b": False}, "fc2": {"w": True, "b": False}}


def loss_fn(params, x, y):
    hidden = jnp.tanh(x @ params["fc1"]["w"] + params["fc1"]["b"])
    logits = hidden @ params["fc2"]["w"] + params["fc2"]["b"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def labelled(weights, biases):
    """One transformation for weights, and one for biases."""
    labels = jax.tree.map(lambda is_weight: "w" if is_weight else "b", WEIGHTS)
    return optax.multi_transform({"w": weights, "b": biases}, labels)


def clipped(clip, tx):
    return optax.chain(clip, tx)


# Name: the step's size, and the transformation. The size is the rate, or what
# moves the parameters in its place.
OPTIMIZERS = {
    "sgd": (0.1, optax.sgd(0.1)),
    "momentum": (0.1, optax.sgd(0.1, 0.9)),
    "nesterov": (0.1, optax.sgd(0.1, 0.9, nesterov=True)),
    "adam": (1e-2, optax.adam(1e-2)),
    "adam with nesterov": (1e-2, optax.nadam(1e-2)),
    "adamw": (1e-2, optax.adamw(1e-2, weight_decay=0.1)),
    "adamw masked": (1e-2, optax.adamw(1e-2, weight_decay=0.1, mask=WEIGHTS)),
    "amsgrad": (1e-2, optax.amsgrad(1e-2)),
    "adamax": (1e-2, optax.adamax(1e-2)),
    "radam": (1e-2, optax.radam(1e-2)),
    "adabelief": (1e-2, optax.adabelief(1e-2)),
    "yogi": (1e-2, optax.yogi(1e-2)),
    "adan": (1e-2, optax.adan(1e-2)),
    "adagrad": (0.1, optax.adagrad(0.1)),
    "rmsprop": (1e-2, optax.rmsprop(1e-2)),
    "rmsprop centered": (1e-2, optax.rmsprop(1e-2, centered=True, momentum=0.9)),
    "adadelta": (1.0, optax.adadelta(1.0)),
    "lion": (1e-2, optax.lion(1e-2)),
    "lamb": (1e-2, optax.lamb(1e-2, weight_decay=0.1)),
    "lars": (1e-2, optax.lars(1e-2)),
    "adafactor": (1e-2, optax.adafactor(1e-2)),
    "adafactor factored": (1e-2, optax.adafactor(1e-2, min_dim_size_to_factor=2)),
    "novograd": (1e-2, optax.novograd(1e-2)),
    "sm3": (1e-2, optax.sm3(1e-2)),
    "fromage": (1e-2, optax.fromage(1e-2)),
    "sign": (1e-2, optax.sign_sgd(1e-2)),
    "rprop": (1e-2, optax.rprop(1e-2)),
    "optimistic": (0.1, optax.optimistic_gradient_descent(0.1)),
    "noisy": (0.1, optax.noisy_sgd(0.1, key=1)),
    "muon": (1e-2, contrib.muon(1e-2)),
    "schedule free": (0.1, contrib.schedule_free_sgd(0.1)),
    "ademamix": (1e-2, contrib.ademamix(1e-2)),
    # Chains.
    "clip by global norm": (1e-2, clipped(optax.clip_by_global_norm(0.5), optax.adam(1e-2))),
    "clip": (0.1, clipped(optax.clip(0.05), optax.sgd(0.1))),
    "clip by block": (0.1, clipped(optax.clip_by_block_rms(0.05), optax.sgd(0.1))),
    "adaptive clip": (1e-2, clipped(optax.adaptive_grad_clip(0.1), optax.sgd(0.1))),
    "centralize": (0.1, clipped(optax.centralize(), optax.sgd(0.1))),
    "noise": (0.1, clipped(optax.add_noise(0.1, 0.5, key=0), optax.sgd(0.1))),
    "decay": (0.1, clipped(optax.add_decayed_weights(0.1, mask=WEIGHTS), optax.sgd(0.1))),
    "average of updates": (1e-2, optax.chain(optax.adam(1e-2), optax.ema(0.9))),
    # Schedules: the rate follows the carried count of steps.
    "cosine": (0.1, optax.sgd(optax.cosine_decay_schedule(0.1, 20))),
    "warmup": (0.1, optax.sgd(optax.warmup_cosine_decay_schedule(0.0, 0.1, 5, 20))),
    "exponential": (0.1, optax.sgd(optax.exponential_decay(0.1, 3, 0.5, staircase=True))),
    "piecewise": (0.1, optax.sgd(optax.piecewise_constant_schedule(0.1, {5: 0.1}))),
    "joined": (0.1, optax.sgd(optax.join_schedules(
        [optax.linear_schedule(0.01, 0.1, 5), optax.constant_schedule(0.1)], [6]))),
    "injected": (1e-2, optax.inject_hyperparams(optax.adam)(
        learning_rate=optax.cosine_decay_schedule(1e-2, 20))),
    # Others for some parameters, or for some steps.
    "by label": (1e-2, labelled(optax.adam(1e-2), optax.sgd(1e-2))),
    "frozen": (1e-2, labelled(optax.adam(1e-2), optax.set_to_zero())),
    "masked": (1e-2, optax.masked(optax.scale_by_adam(), WEIGHTS)),
    "accumulated": (1e-2, optax.MultiSteps(optax.adam(1e-2), 3)),
    "if finite": (1e-2, optax.apply_if_finite(optax.adam(1e-2), 3)),
}  # fmt: skip
FROZEN = {"frozen": ("fc1.b", "fc2.b")}
# Those whose states are not all moments.
AS_THEY_ARE = ("accumulated", "if finite", "schedule free", "muon")


def stepped(opt_state):
    """As after some steps."""

    def at(x):
        if x.dtype == jnp.int32:
            return x + 3
        if x.ndim == 0 or not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        return x + 0.1 + 0.05 * jnp.abs(jax.random.normal(KEYS[4], x.shape))

    return jax.tree.map(at, opt_state)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(tmp_path, name, schedule):
    size, tx = OPTIMIZERS[name]
    opt_state = tx.init(PARAMS)
    if name not in AS_THEY_ARE:
        opt_state = stepped(opt_state)

    def step(params, opt_state, x, y):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        updates, opt_state = tx.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state

    still = FROZEN.get(name, ())
    compare_steps(tmp_path, step, (PARAMS, opt_state), DATA, size, schedule, still=still)
