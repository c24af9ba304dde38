# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""flax.linen and flax.nnx models in plait-run, beside jitted JAX.

Tolerances are those of jax_steps.py.
"""

import pytest
from plait_run import needs_plait_run

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to export")
optax = pytest.importorskip("optax", reason="optax is not installed: nothing to export")
pytest.importorskip("flax", reason="flax is not installed: nothing to export")

import jax.numpy as jnp  # noqa: E402
from flax import linen as nn  # noqa: E402
from flax import nnx  # noqa: E402
from flax.training.train_state import TrainState  # noqa: E402
from jax_steps import SCHEDULES, STEPS, compare_steps, compare_training  # noqa: E402

import plait  # noqa: E402
from plait.jax import export_step  # noqa: E402

pytestmark = [needs_plait_run, pytest.mark.parametrize("schedule", SCHEDULES)]

LR, BATCH = 1e-2, 4
TX = optax.adam(LR)
KEYS = jax.random.split(jax.random.key(5), 8)


def cross_entropy(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def data(*shape, classes=5, words=None):
    """STEPS batches of inputs, or of words, and labels."""
    x = jax.random.normal(KEYS[0], (STEPS, BATCH, *shape))
    if words:
        x = jax.random.randint(KEYS[0], (STEPS, BATCH, *shape), 0, words)
    return x, jax.random.randint(KEYS[1], (STEPS, BATCH), 0, classes)


def moments(opt_state):
    """As after some steps: no square near zero."""

    def at(x):
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x + 3 if x.dtype == jnp.int32 else x
        return x + 0.1 + 0.05 * jnp.abs(jax.random.normal(KEYS[2], x.shape))

    return jax.tree.map(at, opt_state)


# --- linen -----------------------------------------------------------------


class Statistics(TrainState):
    """flax's own, with the statistics of batch-norm."""

    batch_stats: dict


def compare_linen(tmp_path, schedule, model, batches, still=()):
    """With flax's TrainState, which is one argument with everything in it."""
    x, y = batches
    variables = model.init(KEYS[3], x[0])
    statistics = variables.get("batch_stats", {})
    state = Statistics.create(
        apply_fn=model.apply, params=variables["params"], tx=TX, batch_stats=statistics
    )
    state = state.replace(opt_state=moments(state.opt_state))

    def step(state, x, y):
        def loss_fn(params):
            logits, updates = state.apply_fn(
                {"params": params, "batch_stats": state.batch_stats}, x, mutable=["batch_stats"]
            )
            return cross_entropy(logits, y), updates.get("batch_stats", {})

        (loss, statistics), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        state = state.apply_gradients(grads=grads)
        return loss, state.replace(batch_stats=statistics)

    return compare_steps(tmp_path, step, (state,), batches, LR, schedule, still=still)


class Convolutions(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Conv(6, (3, 3))(x)
        x = nn.max_pool(nn.relu(nn.BatchNorm(use_running_average=False)(x)), (3, 3), (2, 2), "SAME")
        x = nn.Conv(8, (3, 3), strides=2, feature_group_count=2)(x)
        x = nn.avg_pool(nn.gelu(nn.GroupNorm(2)(x)), (2, 2), (1, 1))
        return nn.Dense(5)(x.reshape(len(x), -1))


def test_linen_convolutions(tmp_path, schedule):
    # The bias before a norm has no gradient.
    still = ("Conv_0.bias",)
    exported = compare_linen(tmp_path, schedule, Convolutions(), data(9, 9, 3), still)
    assert '#train.param<"BatchNorm_0.scale">' in exported.module_text
    assert '#train.state<"", "state.batch_stats.BatchNorm_0.mean">' in exported.module_text
    assert '#train.state<"Dense_0.kernel", "mu">' in exported.module_text


class Attention(nn.Module):
    @nn.compact
    def __call__(self, words):
        embed = nn.Embed(23, 16)
        x = embed(words) + self.param("places", nn.initializers.normal(0.5), (6, 16))
        mask = nn.make_causal_mask(words)
        x += nn.MultiHeadDotProductAttention(num_heads=4)(nn.LayerNorm()(x), mask=mask)
        x += nn.Dense(16)(nn.silu(nn.Dense(32)(nn.RMSNorm()(x))))
        return embed.attend(x).mean(1)


def test_linen_attention(tmp_path, schedule):
    # A bias of all keys moves no softmax.
    still = ("MultiHeadDotProductAttention_0.key.bias",)
    compare_linen(tmp_path, schedule, Attention(), data(6, words=23, classes=23), still)


class Recurrent(nn.Module):
    cell: type

    @nn.compact
    def __call__(self, x):
        return nn.Dense(5)(nn.RNN(self.cell(7))(x)[:, -1])


@pytest.mark.parametrize("cell", [nn.OptimizedLSTMCell, nn.GRUCell], ids=["lstm", "gru"])
def test_linen_recurrent(tmp_path, cell, schedule):
    exported = compare_linen(tmp_path, schedule, Recurrent(cell), data(6, 3))
    assert "scf.for" in exported.module_text


class Layer(nn.Module):
    @nn.compact
    def __call__(self, x, _):
        return x + nn.Dense(8)(nn.tanh(nn.Dense(8)(x))), None


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, x):
        stack = nn.scan(nn.remat(Layer), {"params": 0}, split_rngs={"params": True}, length=3)
        return nn.Dense(5)(stack()(x, None)[0])


def test_linen_scanned_layers(tmp_path, schedule):
    exported = compare_linen(tmp_path, schedule, Scanned(), data(8))
    assert exported.module_text.count("scf.for") == 2


class Dropping(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dropout(0.3, deterministic=False)(nn.relu(nn.Dense(16)(x)))
        return nn.Dense(5)(x)


def dropping():
    """A loss with dropout, and parameters."""
    model = Dropping()
    params = model.init({"params": KEYS[3], "dropout": KEYS[4]}, data(8)[0][0])["params"]

    def loss_fn(params, key, x, y):
        return cross_entropy(model.apply({"params": params}, x, rngs={"dropout": key}), y)

    return loss_fn, params


def test_linen_dropout_with_a_carried_key(tmp_path, schedule):
    loss_fn, params = dropping()

    def step(params, opt_state, key, x, y):
        key, now = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_fn)(params, now, x, y)
        updates, opt_state = TX.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state, key

    carried = (params, moments(TX.init(params)), jax.random.key(9))
    exported = compare_steps(tmp_path, step, carried, data(8), LR, schedule)
    assert exported.tensors["key"].shape == (2,)


def test_linen_dropout_with_keys_as_inputs(tmp_path, schedule):
    loss_fn, params = dropping()

    def step(params, opt_state, x, y, seed):
        key = jax.random.fold_in(jax.random.key(0), seed)
        loss, grads = jax.value_and_grad(loss_fn)(params, key, x, y)
        updates, opt_state = TX.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state

    carried = (params, moments(TX.init(params)))
    seeds = jnp.arange(STEPS, dtype=jnp.int32)
    compare_steps(tmp_path, step, carried, (*data(8), seeds), LR, schedule)


# --- nnx -------------------------------------------------------------------


class Everything(nnx.Module):
    def __init__(self, rngs):
        self.embed = nnx.Embed(23, 16, rngs=rngs)
        self.norm = nnx.LayerNorm(16, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, 16, decode=False, rngs=rngs)
        self.conv = nnx.Conv(16, 8, (3,), rngs=rngs)
        self.batch_norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])
        self.head = nnx.Linear(8, 5, rngs=rngs)

    def __call__(self, words):
        x = self.embed(words)
        x = x + self.attention(self.norm(x))
        x = self.dropout(nnx.relu(self.batch_norm(self.conv(x))))
        for layer in self.layers:
            x = jnp.tanh(layer(x))
        return self.head(x.mean(1))


STILL = ("attention.key.bias", "conv.bias")


def nnx_model():
    model = Everything(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, TX, wrt=nnx.Param)
    optimizer.opt_state = moments(optimizer.opt_state)
    return model, optimizer


def train_step(model, optimizer, x, y):
    loss, grads = nnx.value_and_grad(lambda model: cross_entropy(model(x), y))(model)
    optimizer.update(model, grads)
    return loss


@pytest.mark.parametrize("jitted", [True, False], ids=["jitted", "plain"])
def test_nnx_objects_are_updated_in_place(tmp_path, jitted, schedule):
    model, optimizer = nnx_model()
    step = nnx.jit(train_step) if jitted else train_step
    batches = data(6, words=23)
    before = jax.tree.leaves(nnx.state((model, optimizer)))

    def train():
        after = jax.tree.leaves(nnx.state((model, optimizer)))
        assert all(a is b for a, b in zip(before, after, strict=True)), "export changed them"
        jitted_step = nnx.jit(train_step)
        for i in range(STEPS):
            loss = jitted_step(model, optimizer, *(x[i] for x in batches))
        return loss, nnx.state((model, optimizer))

    exported = compare_training(
        tmp_path, step, (model, optimizer), batches, train, LR, schedule, STILL
    )
    assert list(exported.inputs) == ["x", "y"]
    assert '#train.param<"layers.1.kernel">' in exported.module_text
    assert '#train.state<"layers.1.kernel", "mu">' in exported.module_text
    assert '#train.state<"", "model.batch_norm.mean">' in exported.module_text
    assert '#train.state<"", "model.dropout.rngs.count">' in exported.module_text


def test_nnx_split_by_the_user(tmp_path, schedule):
    graph, params, rest = nnx.split(Everything(nnx.Rngs(0)), nnx.Param, ...)

    def step(params, opt_state, rest, x, y):
        def loss_fn(params):
            # The statistics change inside of the gradient: they must be its own.
            model = nnx.merge(graph, params, rest, copy=True)
            loss = cross_entropy(model(x), y)
            return loss, nnx.state(model, nnx.Not(nnx.Param))

        (loss, rest), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = TX.update(grads, opt_state, params)
        return loss, optax.apply_updates(params, updates), opt_state, rest

    carried = (params, moments(TX.init(params)), rest)
    batches = data(6, words=23)
    exported = compare_steps(tmp_path, step, carried, batches, LR, schedule, still=STILL)
    assert '#train.state<"embed.embedding", "mu">' in exported.module_text
    assert '#train.state<"", "rest.batch_norm.var">' in exported.module_text


def test_two_nnx_models_are_told_apart_by_their_argument(tmp_path, schedule):
    first, second = nnx.Linear(6, 5, rngs=nnx.Rngs(0)), nnx.Linear(5, 5, rngs=nnx.Rngs(1))
    optimizers = [nnx.Optimizer(model, TX, wrt=nnx.Param) for model in (first, second)]
    for optimizer in optimizers:
        optimizer.opt_state = moments(optimizer.opt_state)
    objects = (first, second, *optimizers)

    def step(first, second, first_optimizer, second_optimizer, x, y):
        def loss_fn(first, second):
            return cross_entropy(second(jnp.tanh(first(x))), y)

        loss, grads = nnx.value_and_grad(loss_fn, argnums=(0, 1))(first, second)
        first_optimizer.update(first, grads[0])
        second_optimizer.update(second, grads[1])
        return loss

    batches = data(6)

    def train():
        jitted = nnx.jit(step)
        for i in range(STEPS):
            loss = jitted(*objects, *(x[i] for x in batches))
        return loss, nnx.state(objects)

    exported = compare_training(tmp_path, step, objects, batches, train, LR, schedule, ())
    for name in ("first.kernel", "second.kernel"):
        assert f'#train.param<"{name}">' in exported.module_text
    # Both have a kernel, and nothing says whose moment one is.
    assert '#train.state<"", "first_optimizer.opt_state.0.mu.kernel">' in exported.module_text


def test_refuse_an_object_that_changes_what_it_consists_of(schedule):
    def step(model, optimizer, x, y):
        model.last = nnx.Variable(x)
        return train_step(model, optimizer, x, y)

    model, optimizer = nnx_model()
    x, y = (batch[0] for batch in data(6, words=23))
    with pytest.raises(plait.UnsupportedError, match="changes what a flax.nnx object consists of"):
        export_step(step, (model, optimizer, x, y))
