# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention as it is written in JAX, by blocks of queries."""

import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to export")

import jax.numpy as jnp  # noqa: E402
from jax_steps import STEPS, compare_steps  # noqa: E402
from plait_run import needs_plait_run  # noqa: E402
from test_attention import stores_matrix  # noqa: E402

BATCH, WIDTH, HEADS = 2, 8, 2


def split(x):
    return x.reshape(*x.shape[:-1], HEADS, -1)


def by_einsum(q, k, v):
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5
    later = jnp.triu(jnp.ones(scores.shape[-2:], bool), 1)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(jnp.where(later, -1e9, scores)), v)


def normalized_last(q, k, v):
    """Weights that are no probabilities, and a division of what they give."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k)
    weights = jnp.exp(scores - scores.max(-1, keepdims=True))
    sums = weights.sum(-1).swapaxes(1, 2)[..., None]
    return jnp.einsum("bhqk,bkhd->bqhd", weights, v) / sums


def by_library(q, k, v):
    return jax.nn.dot_product_attention(q, k, v, is_causal=True)


@needs_plait_run
@pytest.mark.parametrize("length", [7, 64, 257])
@pytest.mark.parametrize("form", [by_einsum, normalized_last, by_library])
def test_forms(tmp_path, form, length):
    keys = jax.random.split(jax.random.key(0), 3)
    qkv = jax.random.normal(keys[0], (WIDTH, 3 * WIDTH)) * WIDTH**-0.5
    # More than 4096 bytes of weights.
    size = (STEPS, BATCH if length > 7 else 64, length, WIDTH)
    x, y = (jax.random.normal(key, size) for key in keys[1:])

    def loss_of(qkv, x, y):
        heads = (split(part) for part in jnp.split(x @ qkv, 3, -1))
        return ((form(*heads).reshape(y.shape) - y) ** 2).mean()

    def step(qkv, x, y):
        loss, gradient = jax.value_and_grad(loss_of)(qkv, x, y)
        return loss, qkv - 0.1 * gradient

    exported = compare_steps(tmp_path, step, (qkv,), (x, y), lr=0.1)
    assert not stores_matrix(exported.module_text, length)
