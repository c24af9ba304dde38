# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pytrees whose paths are called as other things of the step are."""

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to compile")
optax = pytest.importorskip("optax", reason="optax is not installed: nothing to compile")
pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

import jax.numpy as jnp  # noqa: E402

from plait_run import needs_plait_run, run_step  # noqa: E402

import plait.jax  # noqa: E402

STEPS = 3
TX = optax.adam(1e-2)


def step(params, opt_state, x, y):
    def loss_fn(params):
        for i, leaf in enumerate(jax.tree.leaves(params)):
            z = jnp.tanh((x if i == 0 else z) @ leaf)
        return jnp.mean((z - y) ** 2)

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = TX.update(grads, opt_state, params)
    return loss, optax.apply_updates(params, updates), opt_state


def weight(seed):
    return jax.random.normal(jax.random.key(seed), (5, 5)) / 2


TREES = {
    "inputs": {"x": weight(0), "y": weight(1), "loss": weight(2), "other": weight(3)},
    "state": {"opt_state": [{"count": weight(0)}], "x": {"y": weight(1)}},
    "dots": {"a.b": weight(0), "a": {"b": weight(1)}, "c.d": weight(2)},
    "more dots": {
        "a.b": {"c": weight(0)},
        "a": {"b.c": weight(1), "b": {"c": weight(2)}},
        "a.b.c": weight(3),
    },
}
NAMES = {
    "inputs": ["params.loss", "other", "params.x", "params.y"],
    "state": ["params.opt_state.0.count", "x.y"],
    "dots": ["a.b", "'a.b'", "c.d"],
    "more dots": ["a.b.c", "a.'b.c'", "'a.b'.c", "'a.b.c'"],
}


@pytest.mark.parametrize("kind", TREES)
def test_train(kind):
    params = TREES[kind]
    # As after some steps: no square near zero, where Adam magnifies rounding.
    state = jax.tree.map(lambda v: v + jnp.asarray(0.1 if v.ndim else 3, v.dtype), TX.init(params))
    x, y = jax.random.normal(jax.random.key(9), (2, STEPS, 4, 5))
    compiled = plait.jax.compile(step, (params, state, x[0], y[0]))
    assert list(compiled.state_dict()) == [*NAMES[kind], "opt_state.0.count"]
    for i in range(STEPS):
        if i == 1:  # There and back, mid-run.
            held = compiled.carried()
            compiled(x[0], y[0])
            compiled.load_carried(*held)
        loss, params, state = jax.jit(step)(params, state, x[i], y[i])
        np.testing.assert_allclose(compiled(x[i], y[i]), loss, rtol=1e-4)
    expected = (params, state)
    assert jax.tree.structure(compiled.carried()) == jax.tree.structure(expected)
    for mine, theirs in zip(jax.tree.leaves(compiled.carried()), jax.tree.leaves(expected)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-3 * 1e-2 * STEPS)


def test_refuse_a_parameter_called_as_a_state_of_another():
    params = {"w": weight(0), "state": {"w": {"mu": weight(1)}}}
    message = r"named 'state\.w\.mu' \(.*the state s of a parameter p is state\.p\.s\): rename"
    with pytest.raises(ValueError, match=message):
        plait.jax.export_step(step, (params, TX.init(params), jnp.ones((4, 5)), jnp.ones((4, 5))))


def test_refuse_an_input_called_as_a_state():
    def step_of_batch(params, opt_state, state):
        return step(params, opt_state, state["w"]["mu"], state["y"])

    params, x = {"w": weight(0)}, jnp.ones((4, 5))
    with pytest.raises(ValueError, match=r"more than one argument is named 'state\.w\.mu'"):
        plait.jax.export_step(step_of_batch, (params, TX.init(params), {"w": {"mu": x}, "y": x}))


@needs_plait_run
def test_results_called_as_inputs(tmp_path):
    """Each has memory of its own."""

    def scaled(params, x, y, loss):
        def loss_fn(params):
            return loss * jnp.mean((x @ params["w"] - y) ** 2)

        value, grads = jax.value_and_grad(loss_fn)(params)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        return {"params": params, "loss": value, "x": x.sum() - loss, "y": y + x}

    params, (x, y) = {"w": weight(0)}, jax.random.normal(jax.random.key(9), (2, 4, 5))
    exported = plait.jax.export_step(scaled, (params, x, y, jnp.float32(2)), carry={0: "params"})
    assert set(exported.inputs) == {"x", "y", "loss"}
    results = run_step(tmp_path, exported.module_text, exported.tensors | exported.inputs, 1)
    expected = jax.jit(scaled)(params, x, y, 2.0)
    for name, value in (expected | expected["params"]).items():
        if name != "params":
            np.testing.assert_allclose(results[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
