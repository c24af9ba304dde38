# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What only looks like the next value of an argument: gradients, and metrics."""

import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: NOT verified")

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
    def update(params, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        return loss, jax.tree.map(lambda p, g: p * 0.99 - 0.1 * g, params, grads)

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
    # Scaled as a gradient of weight decay is: this one has to be said.
    with pytest.raises(ValueError, match="none of them is the old parameter plus something"):
        export_step(update, linear_batch())
    assert set(export_step(update, linear_batch(), carry={0: 1}).tensors) == {"w", "b"}


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
