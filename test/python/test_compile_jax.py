# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`plait.jax.compile` beside the jitted step, in the same loop."""

from functools import cache

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to compile")
optax = pytest.importorskip("optax", reason="optax is not installed: nothing to compile")
pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

import jax.numpy as jnp  # noqa: E402

import plait.jax  # noqa: E402

BATCH, STEPS, LR = 8, 20, 1e-3
TX = optax.adamw(LR, weight_decay=0.1)


def start():
    keys = jax.random.split(jax.random.key(0), 2)
    params = {
        "fc1": {"w": 0.2 * jax.random.normal(keys[0], (20, 33)), "b": jnp.full(33, 0.1)},
        "fc2": {"w": 0.2 * jax.random.normal(keys[1], (33, 5)), "b": jnp.full(5, 0.1)},
    }
    # As after some steps: no square near zero, where Adam magnifies rounding.
    state = jax.tree.map(lambda x: x + jnp.asarray(3 if x.dtype == jnp.int32 else 0.1, x.dtype),
                         TX.init(params))  # fmt: skip
    return params, state


def train_step(params, opt_state, x, y):
    def loss_fn(params):
        hidden = jax.nn.relu(x @ params["fc1"]["w"] + params["fc1"]["b"])
        logits = hidden @ params["fc2"]["w"] + params["fc2"]["b"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = TX.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss


def batches(count=STEPS, seed=1):
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield (
            generator.standard_normal((BATCH, 20), np.float32),
            generator.integers(0, 5, BATCH, dtype=np.int32),
        )


@cache
def imported():
    return plait.jax.import_step(train_step, (*start(), *next(batches())), None, None)


def compiled(**options):
    """`plait.jax.compile` of the step; the import is done once."""
    return plait.jax.JaxStep(imported(), **options)


def reference(params, opt_state, count=STEPS, seed=1):
    jitted, losses = jax.jit(train_step), []
    for x, y in batches(count, seed):
        params, opt_state, loss = jitted(params, opt_state, x, y)
        losses.append(float(loss))
    return params, opt_state, losses


def compare(got, expected, steps):
    """Within 1e-3 of what the learning rate moves a parameter in all steps;
    states within 1e-3 of their size."""
    assert jax.tree.structure(got) == jax.tree.structure(tuple(expected))
    for i, tolerance in enumerate((lambda _: 1e-3 * LR * steps, lambda v: 1e-3 * abs(v).max())):
        for mine, theirs in zip(jax.tree.leaves(got[i]), jax.tree.leaves(expected[i])):
            assert isinstance(mine, jax.Array)
            assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
            theirs = np.asarray(theirs)
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=tolerance(theirs))


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
def test_loop(schedule):
    *expected, expected_losses = reference(*start())
    step = compiled(schedule=schedule)
    losses = []
    for x, y in batches():
        loss = step(x, jnp.asarray(y))
        assert isinstance(loss, jax.Array) and loss.shape == ()
        losses.append(float(loss))
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    moved = jax.tree.map(lambda a, b: float(abs(a - b).max()), step.carried()[0], start()[0])
    assert min(jax.tree.leaves(moved)) > 10 * 1e-3 * LR * STEPS
    compare(step.carried(), expected, STEPS)
    # On with JAX from what was carried, and back.
    *after, _ = reference(*step.carried(), 5, seed=2)
    for x, y in batches(5, seed=2):
        step(x, y)
    compare(step.carried(), after, 5)
    step.load_carried(*start())
    assert [float(step(x, y)) for x, y in batches()] == losses


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
def test_scanned_layers(schedule):
    """Stacked gradients are filled by a loop. Under `forward` that is in the buffer
    of the pending ones, which bufferization took for a conflict."""
    keys = jax.random.split(jax.random.key(0), 2)
    layers = (0.4 * jax.random.normal(keys[0], (4, 20, 20)), jnp.zeros((4, 20)))
    params = {"layers": layers, "head": 0.2 * jax.random.normal(keys[1], (20, 5))}
    optimizer = optax.sgd(0.05, momentum=0.9)

    def layer(hidden, weights):
        w, b = weights
        return hidden + jnp.tanh(hidden @ w + b), jnp.square(hidden).mean()

    def step(params, opt_state, x, y):
        def loss_fn(params):
            hidden, sizes = jax.lax.scan(layer, x, params["layers"])
            logits = hidden @ params["head"]
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()
            return loss + 1e-3 * sizes.sum()

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state

    carried, jitted = (params, optimizer.init(params)), jax.jit(step)
    own = plait.jax.compile(step, (*carried, *next(batches())), schedule=schedule)
    for x, y in batches(10):
        loss, *carried = jitted(*carried, x, y)
        np.testing.assert_allclose(own(x, y), loss, rtol=1e-4)
    for mine, theirs in zip(jax.tree.leaves(own.carried()), jax.tree.leaves(carried)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_compile_is_import_and_step():
    step = plait.jax.compile(train_step, (*start(), *next(batches())), schedule="forward")
    other = compiled(schedule="backward")
    for x, y in batches(4):
        assert step(x, y) == other(x, y)
    assert step.schedule == "forward" and step.report()["steps"] == 4
    assert set(step.state_dict()) == {"fc1.w", "fc1.b", "fc2.w", "fc2.b", "opt_state.0.count"}
    assert "state.fc1.w.mu" in step.optimizer_state_dict()
    step.load_state_dict(other.state_dict())
    with pytest.raises(plait.CompileError, match="unknown schedule"):
        compiled(schedule="sideways")


def test_wrong_arguments():
    step = compiled()
    x, y = next(batches())
    with pytest.raises(ValueError, match=r"takes 2 arguments \(x, y\), not 3"):
        step(x, y, y)
    with pytest.raises(ValueError, match=r"input 'x' has shape \[5, 20\].*\[8, 20\]"):
        step(x[:5], y[:5])
    with pytest.raises(TypeError, match="input 'y' is float32, the step was compiled for int32"):
        step(x, x[:, 0])
    with pytest.raises(TypeError, match="argument 'y' is PyTreeDef"):
        step(x, {"labels": y})
    with pytest.raises(ValueError, match=r"carries 2 arguments \(params, opt_state\)"):
        step.load_carried(start()[0])
    assert step.report()["steps"] == 0
    # As jit does: numpy's int64 labels become int32.
    assert step(x, y.astype(np.int64)) == compiled()(x, y)


def test_keys_numbers_and_dicts():
    """Random keys and Python numbers go in, a dict of trees comes out."""

    def step(w, key, scale, batch):
        noise = jax.random.normal(key, w.shape)
        loss, grad = jax.value_and_grad(lambda w: jnp.sum((w * batch["x"] + noise) ** 2))(w)
        return {"w": w - 0.1 * scale * grad, "loss": loss, "extra": {"noise": noise, "n": 3}}

    w = jnp.arange(4, dtype=jnp.float32)
    example = (w, jax.random.key(0), 0.5, {"x": jnp.ones(4)})
    mine = plait.jax.compile(step, example, carry={"w": "w"})
    for seed, scale in ((1, 0.5), (2, 1), (3, np.float32(0.25))):
        key, batch = jax.random.key(seed), {"x": np.full(4, seed, np.float32)}
        expected = jax.jit(step)(w, key, scale, batch)
        got = mine(key, scale, batch)
        w = expected.pop("w")
        assert jax.tree.structure(got) == jax.tree.structure(expected)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(mine.carried()[0], w, rtol=1e-5, atol=1e-6)


def test_nnx_objects():
    """Compiled from objects, which stay as they are; their states come back."""
    nnx = pytest.importorskip("flax.nnx", reason="flax is not installed: NOT verified")

    class Model(nnx.Module):
        def __init__(self, seed):
            rngs = nnx.Rngs(seed)
            self.fc1 = nnx.Linear(8, 16, rngs=rngs)
            self.fc2 = nnx.Linear(16, 1, rngs=rngs)

        def __call__(self, x):
            return self.fc2(jax.nn.relu(self.fc1(x)))

    def step(model, optimizer, x, y):
        loss, grads = nnx.value_and_grad(lambda m: ((m(x) - y) ** 2).mean())(model)
        optimizer.update(model, grads)
        return loss

    model = Model(0)
    optimizer = nnx.Optimizer(model, optax.adam(LR), wrt=nnx.Param)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 8), np.float32), rng.standard_normal((4, 1), np.float32)
    mine = plait.jax.compile(step, (model, optimizer, x, y))
    losses = [float(mine(x, y)) for _ in range(5)]
    expected = [float(nnx.jit(step)(model, optimizer, x, y)) for _ in range(5)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    other = Model(1)
    nnx.update(other, mine.carried()[0])
    np.testing.assert_allclose(
        other.fc1.kernel[...], model.fc1.kernel[...], rtol=0, atol=5 * LR * 1e-3
    )
    mine.load_carried(*mine.carried())
    assert float(mine(x, y)) == pytest.approx(float(step(model, optimizer, x, y)), rel=1e-5)


@pytest.mark.parametrize("schedule", ["backward", "forward"])
def test_optimizer_without_state(schedule):
    tx, rate = optax.sgd(0.1), 0.1

    def step(params, opt_state, x, y):
        loss, grads = jax.value_and_grad(lambda p: jnp.mean((x @ p["w"] - y) ** 2))(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state

    params = {"w": jnp.full((3, 2), 0.5)}
    data = np.random.default_rng(0).standard_normal((10, 4, 5), np.float32)
    example = params, tx.init(params), data[0, :, :3], data[0, :, 3:]
    mine = plait.jax.compile(step, example, schedule=schedule)
    state = params, tx.init(params)
    for row in data:
        loss, *state = jax.jit(step)(*state, row[:, :3], row[:, 3:])
        assert abs(float(mine(row[:, :3], row[:, 3:])) - float(loss)) < 1e-5
    got = mine.carried()
    assert jax.tree.structure(got) == jax.tree.structure(tuple(state))
    np.testing.assert_allclose(got[0]["w"], state[0]["w"], atol=1e-3 * rate * 10)
    mine.load_carried(*state)


def test_line_search():
    """The loss is what the search begins with, and what the step returns."""
    tx = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(5))

    def step(params, opt_state, x, y):
        def loss_fn(params):
            return jnp.mean((x @ params["w"] - y) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(
            grads, opt_state, params, value=loss, grad=grads, value_fn=loss_fn
        )
        return loss, optax.apply_updates(params, updates), opt_state

    params = {"w": jnp.full((3, 2), 0.5)}
    data = np.random.default_rng(0).standard_normal((10, 4, 5), np.float32)
    for schedule in ("baseline", "backward", "forward"):
        state = params, tx.init(params)
        mine = plait.jax.compile(step, (*state, data[0, :, :3], data[0, :, 3:]), schedule=schedule)
        for row in data:
            loss, *state = jax.jit(step)(*state, row[:, :3], row[:, 3:])
            np.testing.assert_allclose(float(mine(row[:, :3], row[:, 3:])), float(loss), rtol=1e-4)
        for got, expected in zip(jax.tree.leaves(mine.carried()), jax.tree.leaves(tuple(state))):
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)
