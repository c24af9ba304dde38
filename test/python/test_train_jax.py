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
from jax import lax  # noqa: E402
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


def run(tmp_path, model, schedule, name="adam", still=()):
    loss, params, data = model
    lr, make = OPTIMIZERS[name]
    tx = make(lr)
    carried = (params, stepped(tx, params))
    return compare_steps(
        tmp_path, train_step(loss, tx), carried, data, lr, schedule, still=still
    )


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
    run(tmp_path, mlp(), schedule, name)


def test_learning_rate_as_an_input(tmp_path, schedule):
    loss_fn, params, data = mlp()

    def step(params, x, y, lr):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        return loss, jax.tree.map(lambda p, g: p - lr * g, params, grads)

    rates = jnp.linspace(0.1, 0.01, STEPS)
    exported = compare_steps(tmp_path, step, (params,), (*data, rates), 0.05, schedule)
    assert exported.inputs["lr"].shape == ()


def test_weight_decay_by_hand(tmp_path, schedule):
    loss_fn, params, data = mlp()

    def step(params, x, y, lr):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        return loss, jax.tree.map(lambda p, g: p * (1 - lr * 0.1) - lr * g, params, grads)

    rates = jnp.linspace(0.1, 0.01, STEPS)
    exported = compare_steps(tmp_path, step, (params,), (*data, rates), 0.05, schedule)
    assert {*exported.tensors} == {"fc1.b", "fc1.w", "fc2.b", "fc2.w"}


def test_a_copy_of_the_old_parameters(tmp_path, schedule):
    # The next value of `old` is the old value of what is overwritten.
    loss_fn, params, data = mlp()

    def step(params, old, x, y):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        new = jax.tree.map(lambda p, o, g: p + 0.5 * (p - o) - 0.1 * g, params, old, grads)
        return loss, new, params

    carry = {0: 1, 1: 2}
    exported = compare_steps(tmp_path, step, (params, params), data, 0.1, schedule, carry=carry)
    assert '#train.state<"fc1.w", "old">' in exported.module_text


# --- convolutions ----------------------------------------------------------


def conv(x, w, strides=(1, 1), padding="SAME", **options):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, w, strides, padding, dimension_numbers=numbers, **options
    )


def max_pool(x, window, strides, padding="VALID"):
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (1, *window, 1), (1, *strides, 1), padding
    )


def avg_pool(x, window, strides, padding="VALID"):
    ones = lax.reduce_window(
        jnp.ones_like(x), 0.0, lax.add, (1, *window, 1), (1, *strides, 1), padding
    )
    return lax.reduce_window(x, 0.0, lax.add, (1, *window, 1), (1, *strides, 1), padding) / ones


def convolution_model(body, shapes, features):
    """body(params, x) -> [batch, features], on images of 9 x 9 x 4."""
    k = keys(len(shapes) + 3)
    params = {
        name: 0.3 * jax.random.normal(key, shape)
        for (name, shape), key in zip(shapes.items(), k[3:])
    }
    params["head"] = 0.2 * jax.random.normal(k[0], (features, 5))

    def loss(params, x, y):
        hidden = body(params, x)
        return cross_entropy(hidden.reshape(len(x), -1) @ params["head"], y)

    x = jax.random.normal(k[1], (STEPS, 4, 9, 9, 4))
    return loss, params, (x, labels(k[2], 4, classes=5))


CONVOLUTIONS = {
    "strides": ((3, 3, 4, 6), 150, dict(strides=(2, 2))),
    "groups": ((3, 3, 2, 6), 486, dict(feature_group_count=2)),
    "depthwise": ((3, 3, 1, 8), 648, dict(feature_group_count=4)),
    "dilated": ((3, 3, 4, 6), 150, dict(padding="VALID", rhs_dilation=(2, 2))),
    "transposed": ((3, 3, 4, 2), 648, dict(padding=((2, 1), (2, 1)), lhs_dilation=(2, 2))),
    "padded": ((3, 2, 4, 6), 360, dict(padding=((1, 2), (0, 3)), strides=(1, 2))),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolution(tmp_path, kind, schedule):
    shape, features, options = CONVOLUTIONS[kind]

    # Two of them, so that one has a gradient of its input.
    def body(params, x):
        return conv(jnp.tanh(conv(x, params["first"])), params["second"], **options)

    shapes = {"first": (3, 3, 4, 4), "second": shape}
    run(tmp_path, convolution_model(body, shapes, features), schedule)


POOLS = {
    "max": (4 * 4 * 4, lambda x: max_pool(x, (2, 2), (2, 2))),
    "max overlapping": (5 * 5 * 4, lambda x: max_pool(x, (3, 3), (2, 2), "SAME")),
    "max of each": (7 * 8 * 4, lambda x: max_pool(x, (3, 2), (1, 1))),
    "average": (4 * 4 * 4, lambda x: avg_pool(x, (2, 2), (2, 2))),
    "average overlapping": (5 * 5 * 4, lambda x: avg_pool(x, (3, 3), (2, 2), "SAME")),
    "global": (4, lambda x: x.mean((1, 2))),
}


@pytest.mark.parametrize("kind", POOLS)
def test_pool(tmp_path, kind, schedule):
    features, pool = POOLS[kind]

    def body(params, x):
        return pool(conv(x, params["conv"]))

    run(tmp_path, convolution_model(body, {"conv": (3, 3, 4, 4)}, features), schedule)


def test_max_pool_of_ties(tmp_path, schedule):
    # Where several values of a window are the largest, the first gets all.
    def body(params, x):
        return max_pool(jax.nn.relu(conv(jnp.round(x), jnp.round(3 * params["conv"]))
                                    + conv(x, params["conv"])), (3, 3), (2, 2), "SAME")  # fmt: skip

    run(tmp_path, convolution_model(body, {"conv": (3, 3, 4, 4)}, 100), schedule)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_cnn_with_batch_norm(tmp_path, name, schedule):
    k = keys(6)
    params = {
        "c1": 0.3 * jax.random.normal(k[0], (3, 3, 3, 8)),
        "b1": jnp.zeros(8),  # Before a norm: its gradient is zero.
        "scale1": jnp.ones(8),
        "shift1": jnp.zeros(8),
        "c2": 0.2 * jax.random.normal(k[1], (3, 3, 8, 16)),
        "scale2": jnp.ones(16),
        "shift2": jnp.zeros(16),
        "head": 0.2 * jax.random.normal(k[2], (256, 10)),
    }
    statistics = {f"{kind}{i}": jnp.full(n, kind == "var", jnp.float32)
                  for i, n in ((1, 8), (2, 16)) for kind in ("mean", "var")}  # fmt: skip

    def norm(i, x, params, statistics):
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        new = {
            f"mean{i}": 0.9 * statistics[f"mean{i}"] + 0.1 * mean,
            f"var{i}": 0.9 * statistics[f"var{i}"] + 0.1 * var,
        }
        x = (x - mean) * lax.rsqrt(var + 1e-5)
        return x * params[f"scale{i}"] + params[f"shift{i}"], new

    def loss_fn(params, statistics, x, y):
        x, new1 = norm(1, conv(x, params["c1"]) + params["b1"], params, statistics)
        x = max_pool(jax.nn.relu(x), (2, 2), (2, 2))
        x, new2 = norm(2, conv(x, params["c2"], (2, 2)), params, statistics)
        logits = jax.nn.relu(x).reshape(len(x), -1) @ params["head"]
        return cross_entropy(logits, y), new1 | new2

    lr, make = OPTIMIZERS[name]
    tx = make(lr)

    def step(params, opt_state, statistics, x, y):
        value_and_grad = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, statistics), grads = value_and_grad(params, statistics, x, y)
        updates, opt_state = tx.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state, statistics

    data = (jax.random.normal(k[3], (STEPS, 4, 16, 16, 3)), labels(k[4], 4, classes=10))
    carried = (params, stepped(tx, params), statistics)
    exported = compare_steps(tmp_path, step, carried, data, lr, schedule, still=("b1",))
    assert '#train.next<"", "statistics.var2">' in exported.module_text


# --- transformers and loops ------------------------------------------------

WORDS, WIDTH, HEADS, LENGTH = 64, 32, 4, 16


def norm(x, scale):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * scale


def block(p, x):
    """A transformer block: x [batch, LENGTH, WIDTH]."""
    q, k, v = jnp.split(norm(x, p["norm1"]) @ p["qkv"], 3, -1)

    def heads(t):
        return t.reshape(len(x), LENGTH, HEADS, -1).transpose(0, 2, 1, 3)

    scores = heads(q) @ heads(k).swapaxes(-1, -2) * (WIDTH // HEADS) ** -0.5
    scores = jnp.where(jnp.tril(jnp.ones((LENGTH, LENGTH), bool)), scores, -jnp.inf)
    mixed = (jax.nn.softmax(scores) @ heads(v)).transpose(0, 2, 1, 3).reshape(x.shape)
    x = x + mixed @ p["proj"]
    return x + jax.nn.gelu(norm(x, p["norm2"]) @ p["up"]) @ p["down"]


def block_params(key, *stack):
    k = jax.random.split(key, 4)
    shapes = {
        "qkv": (WIDTH, 3 * WIDTH),
        "proj": (WIDTH, WIDTH),
        "up": (WIDTH, 4 * WIDTH),
        "down": (4 * WIDTH, WIDTH),
    }
    params = {
        name: 0.2 * jax.random.normal(key, (*stack, *shape))
        for (name, shape), key in zip(shapes.items(), k)
    }
    return params | {name: jnp.ones((*stack, WIDTH)) for name in ("norm1", "norm2")}


def transformer(body, blocks):
    """With a tied embedding."""
    k = keys(4)
    params = {
        "words": 0.5 * jax.random.normal(k[0], (WORDS, WIDTH)),
        "places": 0.5 * jax.random.normal(k[1], (LENGTH, WIDTH)),
        "blocks": blocks,
    }

    def loss(params, x, y):
        hidden = body(params["blocks"], params["words"][x] + params["places"])
        return cross_entropy(hidden @ params["words"].T, y)

    text = jax.random.randint(k[2], (STEPS, 2, LENGTH + 1), 0, WORDS)
    return loss, params, (text[..., :-1], text[..., 1:])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_transformer(tmp_path, name, schedule):
    exported = run(tmp_path, transformer(block, block_params(keys(1)[0])), schedule, name)
    # The gradient of the embedding is a loop over the words of the batch: it
    # does not compare each with all words of the vocabulary.
    assert exported.module_text.count("scf.for") == 1


def test_a_scan_over_layers_is_a_loop(tmp_path, schedule):
    layers = 3

    def body(stacked, x):
        return lax.scan(lambda x, p: (block(p, x), None), x, stacked)[0]

    exported = run(tmp_path, transformer(body, block_params(keys(1)[0], layers)), schedule)
    # One loop forward and one backward, and one for the embedding's gradient;
    # each product is there once.
    assert exported.module_text.count("scf.for") == 3
    assert "scf.while" not in exported.module_text


def test_checkpointed_layers(tmp_path, schedule):
    def body(stacked, x):
        return lax.scan(jax.checkpoint(lambda x, p: (block(p, x), None)), x, stacked)[0]

    run(tmp_path, transformer(body, block_params(keys(1)[0], 2)), schedule)


def test_lstm(tmp_path, schedule):
    k = keys(5)
    width, length = 12, 7
    params = {
        "in": 0.4 * jax.random.normal(k[0], (6, 4 * width)),
        "hidden": 0.4 * jax.random.normal(k[1], (width, 4 * width)),
        "bias": jnp.zeros(4 * width),
        "head": 0.4 * jax.random.normal(k[2], (width, 3)),
    }

    def loss(params, x, y):
        def cell(carry, now):
            h, c = carry
            gates = now @ params["in"] + h @ params["hidden"] + params["bias"]
            i, f, g, o = jnp.split(gates, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = (jnp.zeros((BATCH, width)), jnp.zeros((BATCH, width)))
        (h, _), outputs = lax.scan(cell, start, x.swapaxes(0, 1))
        return cross_entropy((h + outputs.mean(0)) @ params["head"], y)

    data = (jax.random.normal(k[3], (STEPS, BATCH, length, 6)), labels(k[4], BATCH, classes=3))
    exported = run(tmp_path, (loss, params, data), schedule)
    assert exported.module_text.count("scf.for") == 2
