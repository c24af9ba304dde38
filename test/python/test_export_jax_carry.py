# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What only looks like the next value of an argument: gradients, and metrics."""

import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: NOT verified")

optax = pytest.importorskip("optax", reason="optax is not installed: NOT verified")

import jax.numpy as jnp  # noqa: E402

from plait.jax import export_step  # noqa: E402


def loss_of(params, x, y):
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2) + 0.1 * sum(
        jnp.sum(p**2) for p in jax.tree.leaves(params)
    )


def linear_batch():
    params = {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}
    return params, jnp.ones((4, 3)), jnp.ones((4, 2))


def test_refuse_gradients_for_parameters():
    for loss in (loss_of, lambda p, x, y: jnp.mean((x @ p["w"] - y + p["b"]) ** 2)):
        with pytest.raises(ValueError, match=r"gradients.*carry=\{0: 1\}"):
            export_step(lambda p, x, y: jax.value_and_grad(loss)(p, x, y), linear_batch())


def test_parameters_through_branches_and_loops_are_no_gradients():
    def branch(params, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        new = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        return loss, jax.lax.cond(loss < 100, lambda: new, lambda: params)

    def loop(params, x, y):
        def body(_, p):
            return jax.tree.map(lambda p, g: p - 0.1 * g, p, jax.grad(loss_of)(p, x, y))

        return loss_of(params, x, y), jax.lax.fori_loop(0, 2, body, params)

    for step in (branch, loop, jax.jit(loop)):
        assert set(export_step(step, linear_batch()).tensors) == {"w", "b"}


RATE, DECAY = 0.1, 0.05
RATE_ARRAY = jnp.float32(RATE)


def by_hand(update):
    """A step on parameters, without states."""

    def step(params, x, y, *rest):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        return loss, jax.tree.map(lambda p, g: update(p, g, *rest), params, grads)

    return step


def with_schedule(params, count, x, y):
    loss, grads = jax.value_and_grad(loss_of)(params, x, y)
    rate = optax.cosine_decay_schedule(RATE, 100)(count)

    @jax.jit
    def update(p, g, rate):
        return p * (1 - rate * DECAY) - rate * g

    new = jax.tree.map(lambda p, g: update(p, g, rate), params, grads)
    return loss, new, count + 1


#: Weight decay as people write it.
DECAYS = {
    "numbers": by_hand(lambda p, g: p * (1 - RATE * DECAY) - RATE * g),
    "factor first": by_hand(lambda p, g: (1 - RATE * DECAY) * p - RATE * g),
    "in two steps": by_hand(lambda p, g: (p - RATE * g) * (1 - RATE * DECAY)),
    "an array outside": by_hand(lambda p, g: p * (1 - RATE_ARRAY * DECAY) - RATE_ARRAY * g),
    "a jitted step": jax.jit(by_hand(lambda p, g: p * (1 - RATE * DECAY) - RATE * g)),
    "a branch": by_hand(
        lambda p, g: jax.lax.cond(p.sum() > 0, lambda: p * 0.99 - RATE * g, lambda: p)
    ),
}


@pytest.mark.parametrize("name", DECAYS)
def test_weight_decay_by_hand(name):
    assert set(export_step(DECAYS[name], linear_batch()).tensors) == {"w", "b"}


def test_weight_decay_by_hand_with_a_rate_that_is_an_input():
    step = by_hand(lambda p, g, rate: p * (1 - rate * DECAY) - rate * g)
    exported = export_step(step, (*linear_batch(), jnp.float32(RATE)))
    assert set(exported.tensors) == {"w", "b"} and "rest.0" not in exported.tensors
    params, x, y = linear_batch()
    arguments = (params, jnp.int32(0), x, y)
    exported = export_step(with_schedule, arguments, carry={0: 1, 1: 2})
    assert set(exported.tensors) == {"w", "b", "count"}


def penalized(weight):
    def loss(params, x, y):
        return loss_of(params, x, y) + weight * sum(jnp.sum(p**2) for p in jax.tree.leaves(params))

    return lambda p, x, y: jax.value_and_grad(loss)(p, x, y)


#: What has the old parameters in it, and is no next value.
NO_UPDATES = {
    # Factors of 1.2, 1 and 0.2 before each.
    "gradients of a large penalty": penalized(0.5),
    "gradients of a penalty": penalized(0.4),
    "what optax adds": lambda *values: optax_updates(optax.adamw(RATE, weight_decay=DECAY))(*values),
    "the same by hand": by_hand(lambda p, g: -RATE * (g + DECAY * p)),
    "a half": by_hand(lambda p, g: p * 0.5 + g),
    "gradients by hand": lambda p, x, y: (
        loss_of(p, x, y),
        {"w": x.T @ (x @ p["w"] + p["b"] - y) / 4 + 0.2 * p["w"], "b": 0.2 * p["b"]}),
}  # fmt: skip


def optax_updates(tx):
    def step(params, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        return loss, tx.update(grads, tx.init(params), params)[0]

    return step


@pytest.mark.parametrize("name", NO_UPDATES)
def test_refuse_what_is_no_update(name):
    with pytest.raises(ValueError, match="none of them is the old parameter, or nearly that, plus"):
        export_step(NO_UPDATES[name], linear_batch())
    assert set(export_step(NO_UPDATES[name], linear_batch(), carry={0: 1}).tensors) == {"w", "b"}


def test_refuse_batch_that_looks_like_metrics():
    params, x, y = linear_batch()

    def step(params, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, batch["x"], batch["y"])
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        metrics = {"x": x @ jnp.ones((3, 3)), "y": batch["x"] @ params["w"]}
        return loss, params, metrics

    with pytest.raises(ValueError, match=r"argument 1 'batch' and result 2 .* say what is carried"):
        export_step(step, (params, {"x": x, "y": y}))
    assert set(export_step(step, (params, {"x": x, "y": y}), carry={0: 1}).inputs) == {"batch.x", "batch.y"}
