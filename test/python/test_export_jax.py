# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Export of JAX training steps: roles, names, refusals.

With PLAIT_OPT set to a built plait-opt, each text is parsed and verified.
"""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import plait

ROOT = Path(__file__).parents[2]


def import_without(module: str) -> str:
    """What the ImportError of plait.jax says where there is no `module`."""
    script = (
        f"import sys; sys.modules['{module}'] = None\n"
        "import plait\n"
        "try: plait.jax\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        check=True,
    )
    return run.stdout


def test_missing_jax_is_an_error_that_says_how():
    message = import_without("jax")
    assert 'plait.jax needs JAX: pip install "jax==0.10.2" "jaxlib==0.10.2"' in message


jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to export")
optax = pytest.importorskip("optax", reason="optax is not installed: nothing to export")

import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402
from jax_steps import parse  # noqa: E402

from plait.jax import export_step  # noqa: E402

X, Y = jnp.ones((4, 6)), jnp.ones((4, 3))
PARAMS = {"fc": {"w": jnp.full((6, 3), 0.5), "b": jnp.zeros(3)}}


def loss_fn(params, x, y):
    return ((x @ params["fc"]["w"] + params["fc"]["b"] - y) ** 2).mean()


def sgd(params, x, y):
    loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
    return loss, jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)


def with_optax(tx):
    def step(params, opt_state, x, y):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    return step, tx.init(PARAMS)


def roles(step: plait.ExportedStep) -> tuple[list[str], list[str]]:
    """The roles of arguments and results as they are in the text."""
    parse(step.module_text)
    (header,) = re.findall(r"func\.func @step\((.*)\) -> \((.*)\) attributes \{train\.step\}", step.module_text)
    return tuple(re.findall(r"\{train\.role = #train\.(.*?>)\}", part) for part in header)


# --- roles and names -------------------------------------------------------


def test_plain_step():
    step = export_step(sgd, (PARAMS, X, Y))
    taken, returned = roles(step)
    assert taken == ['param<"fc.b">', 'param<"fc.w">', 'input<"x">', 'input<"y">']
    assert returned == ['output<"loss">', 'next<"fc.b">', 'next<"fc.w">']
    assert list(step.tensors) == ["fc.b", "fc.w"] and list(step.inputs) == ["x", "y"]
    np.testing.assert_array_equal(step.tensors["fc.w"], PARAMS["fc"]["w"])
    np.testing.assert_array_equal(step.inputs["x"], X)


def test_jitted_step_is_the_same():
    # Also with donated arguments, which are jax's way to update in place.
    plain = export_step(sgd, (PARAMS, X, Y))
    assert export_step(jax.jit(sgd, donate_argnums=0), (PARAMS, X, Y)).module_text == plain.module_text


def test_moments_are_states_of_their_parameters():
    step, opt_state = with_optax(optax.adam(1e-3))
    exported = export_step(step, (PARAMS, opt_state, X, Y))
    taken, returned = roles(exported)
    assert taken[2:7] == [
        'state<"", "opt_state.0.count">',
        'state<"fc.b", "mu">',
        'state<"fc.w", "mu">',
        'state<"fc.b", "nu">',
        'state<"fc.w", "nu">',
    ]
    assert returned[:3] == ['next<"fc.b">', 'next<"fc.w">', 'next<"", "opt_state.0.count">']
    assert returned[-1] == 'output<"loss">'
    assert "state.fc.w.mu" in exported.tensors and "opt_state.0.count" in exported.tensors


def test_states_of_one_name_are_told_apart():
    tx = optax.chain(optax.trace(0.9), optax.trace(0.5))
    step, opt_state = with_optax(tx)
    names = list(export_step(step, (PARAMS, opt_state, X, Y)).tensors)
    assert "state.fc.w.opt_state.0.trace" in names and "state.fc.w.opt_state.1.trace" in names


def test_masked_states_have_owners_too():
    tx = optax.masked(optax.trace(0.9), {"fc": {"w": True, "b": False}})
    step, opt_state = with_optax(tx)
    taken, _ = roles(export_step(step, (PARAMS, opt_state, X, Y)))
    assert 'state<"fc.w", "trace">' in taken and not any('state<"fc.b"' in role for role in taken)


def test_factored_states_have_owners_too():
    params = {"fc": {"w": jnp.full((128, 128), 0.5), "b": jnp.zeros(128)}}
    tx = optax.scale_by_factored_rms(min_dim_size_to_factor=128)

    def step(params, opt_state, x):
        grads = jax.grad(loss_fn)(params, x, 0.0)
        updates, opt_state = tx.update(grads, opt_state, params)
        return params | jax.tree.map(jnp.add, params, updates), opt_state

    exported = export_step(step, (params, tx.init(params), jnp.ones((4, 128))))
    assert exported.tensors["state.fc.w.v_row"].shape == (128,)


def test_a_copy_of_the_parameters_is_a_state():
    def step(params, average, x, y):
        loss, params = sgd(params, x, y)
        return loss, params, jax.tree.map(lambda a, p: 0.9 * a + 0.1 * p, average, params)

    carry = {0: 1, "average": 2}
    taken, _ = roles(export_step(step, (PARAMS, PARAMS, X, Y), carry=carry))
    assert taken[2:4] == ['state<"fc.b", "average">', 'state<"fc.w", "average">']


def test_a_single_array_is_a_parameter_by_its_argument_name():
    def step(w, opt_state, x):
        loss, grad = jax.value_and_grad(lambda w: ((x @ w) ** 2).mean())(w)
        updates, opt_state = tx.update(grad, opt_state, w)
        return loss, w + updates, opt_state

    tx = optax.adam(1e-3)
    w = jnp.ones((6, 3))
    taken, _ = roles(export_step(step, (w, tx.init(w), X)))
    assert taken == [
        'param<"w">',
        'state<"", "opt_state.0.count">',
        'state<"w", "mu">',
        'state<"w", "nu">',
        'input<"x">',
    ]


def test_inputs_in_trees_and_varargs():
    def step(params, batch, *weights):
        x, y = batch["x"] * weights[0], batch["y"] + weights[1]
        return sgd(params, x, y)

    arguments = (PARAMS, {"x": X, "y": Y}, 2.0, 3.0)
    exported = export_step(step, arguments, carry={0: 1})
    assert list(exported.inputs) == ["batch.x", "batch.y", "weights.0", "weights.1"]
    assert exported.inputs["weights.1"].shape == () and exported.inputs["weights.1"] == 3


def test_outputs_in_a_dict_keep_their_names():
    def step(params, x, y):
        loss, params = sgd(params, x, y)
        return {"params": params, "metrics": {"loss": loss, "size": jnp.abs(x).max()}}

    _, returned = roles(export_step(step, (PARAMS, X, Y)))
    assert returned == [
        'output<"metrics.loss">',
        'output<"metrics.size">',
        'next<"fc.b">',
        'next<"fc.w">',
    ]


def test_several_outputs_without_names():
    def step(params, x, y):
        loss, params = sgd(params, x, y)
        return params, x @ params["fc"]["w"], loss, loss * 2

    _, returned = roles(export_step(step, (PARAMS, X, Y), carry={0: 0}))
    assert returned[2:] == ['output<"output1">', 'output<"loss">', 'output<"output3">']


def test_a_partial_has_the_rest_of_the_arguments():
    def step(scale, params, x, y):
        return sgd(params, x * scale, y)

    exported = export_step(functools.partial(step, 2.0), (PARAMS, X, Y))
    assert list(exported.inputs) == ["x", "y"]


def test_parameters_in_a_part_of_an_argument():
    def step(state, x, y):
        loss, params = sgd(state["weights"], x, y)
        return loss, {"weights": params, "count": state["count"] + 1}

    state = {"weights": PARAMS, "count": jnp.array(0.0)}
    taken, _ = roles(export_step(step, (state, X, Y), params="state.weights"))
    assert taken[:3] == ['state<"", "state.count">', 'param<"fc.b">', 'param<"fc.w">']
    # All of it, without a word.
    taken, _ = roles(export_step(step, (state, X, Y)))
    assert taken[:2] == ['param<"count">', 'param<"weights.fc.b">']


def test_parameters_in_two_arguments():
    def step(encoder, decoder, x, y):
        def loss(encoder, decoder):
            return loss_fn(decoder, jnp.tanh(x @ encoder["fc"]["w"]), y)

        value, grads = jax.value_and_grad(loss, argnums=(0, 1))(encoder, decoder)
        new = jax.tree.map(lambda p, g: p - 0.1 * g, (encoder, decoder), grads)
        return value, *new

    encoder = {"fc": {"w": jnp.ones((6, 6))}}
    exported = export_step(step, (encoder, PARAMS, X, Y), params=(0, "decoder"))
    taken, _ = roles(exported)
    assert taken[:3] == ['param<"encoder.fc.w">', 'param<"decoder.fc.b">', 'param<"decoder.fc.w">']


def test_step_is_the_only_function():
    # An inner jitted function of that name is inlined, as all are.
    @jax.jit
    def step(params, x, y):
        return sgd(params, x, y)

    def outer(params, x, y):
        return step(params, jax.nn.relu(x), y)

    text = export_step(outer, (PARAMS, X, Y)).module_text
    assert text.count("func.func") == 1 and "call" not in text


# --- what is carried -------------------------------------------------------


def test_nothing_to_carry_in_an_empty_state():
    step, opt_state = with_optax(optax.sgd(0.1))
    assert list(export_step(step, (PARAMS, opt_state, X, Y)).tensors) == ["fc.b", "fc.w"]


def test_a_rate_is_not_taken_for_the_loss():
    def step(params, x, y, lr):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        return jax.tree.map(lambda p, g: p - lr * g, params, grads), loss

    # Both are float32[], but the loss does not depend on the rate.
    assert list(export_step(step, (PARAMS, X, Y, 0.1)).inputs) == ["x", "y", "lr"]


def test_a_state_may_be_replaced_by_what_does_not_depend_on_it():
    tx = optax.optimistic_gradient_descent(0.1)
    step, opt_state = with_optax(tx)
    names = list(export_step(step, (PARAMS, opt_state, X, Y)).tensors)
    assert "state.fc.w.previous_gradient" in names and "opt_state.0.is_initial_step" in names


def test_refuse_to_guess_about_lone_arrays():
    def step(params, x, y, scale):
        return sgd(params, x, y * scale)

    arguments = (PARAMS, X, Y, 0.5)
    message = r"argument 3 'scale' and result 0 look alike \(float32\[\]\).*"
    message += r"say carry=\{0: 1, 3: 0\} or carry=\{0: 1\}"
    with pytest.raises(ValueError, match=message):
        export_step(step, arguments)
    assert "scale" in export_step(step, arguments, carry={0: 1}).inputs
    assert "scale" in export_step(step, arguments, carry={0: 1, "scale": 0}).tensors


def test_refuse_to_choose_between_equal_trees():
    def step(params, average, x, y):
        loss, params = sgd(params, x, y)
        return loss, params, jax.tree.map(lambda a, p: a + p, average, params)

    message = "argument 0 'params' and result 1 and argument 0 'params' and result 2"
    with pytest.raises(ValueError, match=message):
        export_step(step, (PARAMS, PARAMS, X, Y))


def test_refuse_a_step_that_carries_nothing():
    with pytest.raises(ValueError, match="no result of the step is the next value"):
        export_step(lambda params, x, y: loss_fn(params, x, y), (PARAMS, X, Y))


@pytest.mark.parametrize(
    ("carry", "message"),
    [
        ({5: 1}, "there is no argument 5, only 0 'params', 1 'x', 2 'y'"),
        ({"p": 1}, "there is no argument 'p'"),
        ({0: 7}, r"there is no result 7, only \[0, 1\]"),
        ({0: 1, "params": 1}, "is there twice"),
        ({0: 0}, "result 0 has not the structure of argument 'params'"),
        ({"x": 0}, r"'x' is float32\[4,6\], but its next value in result 0 is float32\[\]"),
        ({}, "carry is empty"),
    ],
)
def test_refuse_a_carry_that_does_not_fit(carry, message):
    with pytest.raises(ValueError, match=message):
        export_step(sgd, (PARAMS, X, Y), carry=carry)


def test_refuse_parameters_that_are_not_there():
    with pytest.raises(ValueError, match="'x' is no part of a carried argument; carried are 0 'params'"):
        export_step(sgd, (PARAMS, X, Y), params="x")


# --- refusals --------------------------------------------------------------


def refuse(message, function, value=None):
    """The step w - grad(function)(w) has no import."""

    def step(w):
        loss, grad = jax.value_and_grad(function)(w)
        return loss, w - grad

    with pytest.raises(plait.UnsupportedError, match=message):
        export_step(step, (jnp.arange(6.0) if value is None else value,))


def test_refuse_an_op_with_its_place():
    # The line of the call below.
    line = sys._getframe().f_lineno + 1
    refuse(rf"stablehlo.sort .*\(.*test_export_jax.py:{line} in ", lambda w: (jnp.sort(w) * w).sum())


@pytest.mark.parametrize(
    ("message", "function"),
    [
        ("custom_call @lapack_spotrf_ffi", lambda w: jnp.linalg.cholesky(jnp.diag(w + 1)).sum()),
        ("custom_call @xla_ffi_python", lambda w: (w * jax.pure_callback(np.asarray, w, lax.stop_gradient(w))).sum()),
        ("debug_print has side effects", lambda w: (jax.debug.print("{}", w[0]), w.sum())[1]),
        ("complex numbers", lambda w: jnp.abs(jnp.fft.fft(w)).sum()),
        ("linalg.dot is on booleans", lambda w: w.sum() * ((w > 0) @ (w > 1))),
        ("a condition per element", lambda w: (w * jax.vmap(halved)(lax.stop_gradient(w))).sum()),
    ],
)  # fmt: skip
def test_refuse(message, function):
    refuse(message, function)


def halved(x):
    return lax.while_loop(lambda v: v > 1, lambda v: v / 2, x)


def test_refuse_a_side_effect_in_a_loop():
    def body(i, total):
        jax.debug.print("{}", i)
        return total * 2

    refuse("debug_print has side effects", lambda w: lax.fori_loop(0, 3, body, w.sum()))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_refuse_half_precision_at_the_boundary(dtype):
    half = jax.tree.map(lambda p: p.astype(dtype), PARAMS)
    with pytest.raises(plait.UnsupportedError, match=rf"'params.fc.b' is of {dtype}"):
        export_step(sgd, (half, X, Y))


def test_refuse_parameters_that_are_not_float32():
    step, opt_state = with_optax(optax.adam(1e-3))

    def swapped(opt_state, params, x, y):
        params, opt_state, loss = step(params, opt_state, x, y)
        return opt_state, params, loss

    message = r"'opt_state.0.count' is int32\[\]: parameters are float32.*params=1"
    with pytest.raises(plait.UnsupportedError, match=message):
        export_step(swapped, (opt_state, PARAMS, X, Y))
    taken, _ = roles(export_step(swapped, (opt_state, PARAMS, X, Y), params=1))
    assert 'param<"fc.w">' in taken and 'state<"fc.w", "mu">' in taken


def test_refuse_what_is_not_an_array():
    def step(params, x, y, mode):
        return sgd(params, x, y)

    with pytest.raises(TypeError, match="'mode' is a str.*functools.partial"):
        export_step(step, (PARAMS, X, Y, "train"))
    with pytest.raises(TypeError, match="'x' is a jax.ShapeDtypeStruct"):
        export_step(sgd, (PARAMS, jax.ShapeDtypeStruct((4, 6), jnp.float32), Y))


def test_the_place_of_an_op_in_a_package_is_the_line_that_uses_it():
    line = simplex.__code__.co_firstlineno + 1
    refuse(rf"stablehlo.sort .*test_export_jax.py:{line} in simplex", lambda w: simplex(w).max())


def simplex(w):
    return optax.projections.projection_simplex(w)


# --- jax itself ------------------------------------------------------------


def test_another_jax_is_an_error_that_says_which():
    message = import_without("jaxlib.mlir.dialects.scf")
    assert f"private parts of JAX, which {jax.__version__} has not: pip install" in message


def test_jax_lowers_as_before():
    def function(table, rows, key):
        # A gather with its scatter, a scan, a branch, random numbers.
        def loss(table):
            x = table[rows] * jax.random.bernoulli(key, 0.5, (3, 2))
            x = lax.scan(lambda c, a: (c * a, c), x[0], x)[0]
            return lax.cond(x[0] > 0, lambda: x.sum(), lambda: x.max())

        return table - jax.grad(loss)(table)

    arguments = (jnp.ones((5, 2)), jnp.array([0, 4, 4]), jax.random.key(0))
    before = jax.jit(function).lower(*arguments).as_text()
    assert all(op in before for op in ("stablehlo.scatter", "stablehlo.while", "stablehlo.case"))
    exported = export_step(function, arguments)
    assert "scf.for" in exported.module_text
    assert jax.jit(function).lower(*arguments).as_text() == before
    jax.clear_caches()
    assert jax.jit(function).lower(*arguments).as_text() == before


def test_exporting_twice_gives_the_same_text():
    step = jax.jit(sgd)
    assert export_step(step, (PARAMS, X, Y)).module_text == export_step(step, (PARAMS, X, Y)).module_text


def test_nothing_traced_outlives_the_trace():
    with jax.checking_leaks():
        export_step(sgd, (PARAMS, X, Y))
