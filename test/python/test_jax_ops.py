# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Numbers of JAX's operations in plait-run, family by family.

Each family is one step that returns the value of every function in it, and its
gradient where it has one. Integers and booleans must be equal, and floats within
1e-5 of the largest value, plus 1e-6 for what is zero but for rounding: math
functions of two libraries differ by a few ulps, and sums are taken in another
order.
"""

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to export")

import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402
from jax.lax import GatherScatterMode  # noqa: E402
from jax_steps import SCHEDULES, parse  # noqa: E402

import plait  # noqa: E402
from plait.jax import export_step  # noqa: E402
from plait.jax.boundary import to_boundary  # noqa: E402

pytestmark = [needs_plait_run, pytest.mark.parametrize("schedule", SCHEDULES)]


def compare(tmp_path, schedule, functions, w, *inputs):
    """Value and gradient of each function(w, *inputs), against jitted JAX."""

    def squares(tree):
        return sum((x * x).sum() for x in jax.tree.leaves(tree))

    def is_float(tree):
        return all(jnp.issubdtype(x.dtype, jnp.floating) for x in jax.tree.leaves(tree))

    def step(w, *inputs):
        values = {name: function(w, *inputs) for name, function in functions.items()}
        grads = {
            name: jax.grad(lambda w, f=functions[name]: squares(f(w, *inputs)))(w)
            for name, value in values.items()
            if is_float(value)
        }
        total = sum(grads.values(), jnp.zeros_like(w))
        return {"loss": total.sum(), "values": values, "grads": grads, "w": w - 0.1 * total}

    exported = export_step(step, (w, *inputs), carry={0: "w"})
    parse(exported.module_text)
    results = run_step(
        tmp_path,
        exported.module_text,
        exported.tensors | exported.inputs,
        1,
        f"--schedule={schedule}",
        "--check-finite=false",
    )
    expected = jax.jit(step)(w, *inputs)
    for name, value in jax.tree_util.tree_flatten_with_path(expected)[0]:
        name = ".".join(str(getattr(key, "key", getattr(key, "idx", ""))) for key in name)
        value = np.array(to_boundary(name, value))
        if not np.issubdtype(value.dtype, np.floating):
            np.testing.assert_array_equal(results[name], value, err_msg=name)
            continue
        finite = np.abs(value[np.isfinite(value)])
        tolerance = 1e-5 * finite.max(initial=0) + 1e-6
        np.testing.assert_allclose(results[name], value, rtol=0, atol=tolerance, err_msg=name)
    return exported


W = np.linspace(-1.7, 1.9, 24, dtype=np.float32).reshape(6, 4)
W = W[:, [2, 0, 3, 1]]  # Not in order.
TABLE = np.random.default_rng(0).standard_normal((4, 50)).astype(np.float32)


def test_unary(tmp_path, schedule):
    functions = {
        name: lambda w, f=getattr(jnp, name): f(w)
        for name in "exp expm1 sin cos tan tanh sinh cosh arctan arcsinh cbrt abs sign"
        " floor ceil round square".split()
    }
    functions |= {
        name: lambda w, f=getattr(jax.nn, name): f(w)
        for name in "relu relu6 gelu silu sigmoid softplus elu selu celu mish leaky_relu"
        " log_sigmoid hard_tanh hard_sigmoid soft_sign softmax log_softmax".split()
    }
    functions |= {
        "gelu exact": lambda w: jax.nn.gelu(w, approximate=False),
        "log": lambda w: jnp.log(w * w + 0.1),
        "log1p": lambda w: jnp.log1p(w * w),
        "sqrt": lambda w: jnp.sqrt(w * w + 0.1),
        "rsqrt": lambda w: lax.rsqrt(w * w + 0.1),
        "arcsin": lambda w: jnp.arcsin(w / 2),
        "arccos": lambda w: jnp.arccos(w / 2),
        "arctanh": lambda w: jnp.arctanh(w / 2),
        "arccosh": lambda w: jnp.arccosh(w * w + 1.5),
        "erf": lax.erf,
        "erfc": lax.erfc,
        "erf_inv": lambda w: lax.erf_inv(w / 2),
        "lgamma": lambda w: lax.lgamma(w * w + 0.5),
        "digamma": lambda w: lax.digamma(w * w + 0.5),
        "bessel": lax.bessel_i0e,
    }
    compare(tmp_path, schedule, functions, W)


def test_binary_and_ternary(tmp_path, schedule):
    functions = {
        "power": lambda w: jnp.abs(w) ** 2.3,
        "integer power": lambda w: w**3,
        "arctan2": lambda w: jnp.arctan2(w, w[::-1] + 0.1),
        "hypot": lambda w: jnp.hypot(w, w[::-1] + 0.1),
        "maximum": lambda w: jnp.maximum(w, w[::-1]),
        "minimum of ties": lambda w: jnp.minimum(w, w),
        "mod": lambda w: jnp.mod(w, 0.7),
        "remainder": lambda w: lax.rem(w, jnp.float32(0.7)),
        "logaddexp": lambda w: jnp.logaddexp(w, w[::-1]),
        "clip": lambda w: jnp.clip(w, -0.5, 0.5),
        "where": lambda w: jnp.where(w > 0.3, w, w * 0.1),
        "xlogy": lambda w: jax.scipy.special.xlogy(w, w * w + 1),
        "nan_to_num": lambda w: jnp.nan_to_num(jnp.where(w > 1, jnp.nan, w)),
        "sinc": lambda w: jnp.sinc(w),
        "outer": lambda w: jnp.einsum("ij,kl->ijkl", w, w),
        "batched product": lambda w: jnp.einsum("bij,bjk->bik", w.reshape(3, 2, 4), w.reshape(3, 4, 2)),
        "chained product": lambda w: w @ w.T @ w,
        "matrix and vector": lambda w: w @ w[0],
    }  # fmt: skip
    compare(tmp_path, schedule, functions, W)


def test_reductions(tmp_path, schedule):
    functions = {
        "sum": lambda w: w.sum(0),
        "sum of a scalar": lambda w: w[0, 0].sum(),
        "mean": lambda w: w.mean(1),
        "max": lambda w: w.max(0),
        "min": lambda w: w.min((0, 1)),
        "prod": lambda w: w.prod(1),
        "var": lambda w: w.var(1, ddof=1),
        "std": lambda w: w.std(),
        "norm": jnp.linalg.norm,
        "logsumexp": lambda w: jax.scipy.special.logsumexp(w, 1),
        "argmax": lambda w: w.argmax(1),
        "argmin": lambda w: w.argmin(),
        "argmax of ties": lambda w: jnp.round(w).argmax(0),
        "any": lambda w: (w > 1.5).any(1),
        "all": lambda w: (w > -1).all(0),
        "count": lambda w: (w > 0).sum(0),
        "cumsum": lambda w: w.cumsum(0),
        "cumprod": lambda w: w.cumprod(1),
        "cummax": lambda w: lax.cummax(w, 0),
        "cumlogsumexp": lambda w: lax.cumlogsumexp(w, 1, reverse=True),
        "trace": lambda w: jnp.trace(w),
    }
    compare(tmp_path, schedule, functions, W)


def test_shapes(tmp_path, schedule):
    functions = {
        "itself": lambda w: (w, w),
        "twice": lambda w: (w * 2, w * 2),
        "constant": lambda w: w @ TABLE,
        "transpose": lambda w: w.T,
        "reshape": lambda w: w.reshape(2, 3, 4).transpose(2, 0, 1),
        "concatenate": lambda w: jnp.concatenate([w, 2 * w], 1),
        "stack": lambda w: jnp.stack([w, w * w]),
        "split": lambda w: jnp.split(w, 2, 1),
        "pad": lambda w: jnp.pad(w, ((1, 2), (0, 3)), constant_values=1.5),
        "crop": lambda w: lax.pad(w, jnp.float32(0), ((-1, 2, 1), (1, -1, 0))),
        "reflect": lambda w: jnp.pad(w, 2, mode="reflect"),
        "roll": lambda w: jnp.roll(w, 2, 1) * w,
        "flip": lambda w: w[::-1, ::2],
        "tile": lambda w: jnp.tile(w, (2, 3)),
        "repeat": lambda w: jnp.repeat(w, 3, 0),
        "triangle": jnp.tril,
        "broadcast": lambda w: jnp.broadcast_to(w[:, None], (6, 2, 4)),
        "diagonal": jnp.diagonal,
        "one hot": lambda w: w[0] @ jax.nn.one_hot(jnp.array([1, 9, -1, 0]), 5),
        "dynamic slice": lambda w: lax.dynamic_slice(w, (w.argmax(), -1), (2, 2)),
        "dynamic update": lambda w: lax.dynamic_update_slice(w, w[:2, :2], (w.argmin(), 9)),
    }
    compare(tmp_path, schedule, functions, W)


# --- indices ---------------------------------------------------------------

# In range, out of range both ways, twice the same, negative ones that wrap.
ROWS = np.array([0, 5, 3, 3, -1, 6, 99, -7, -99], np.int32)
DIMENSIONS = lax.ScatterDimensionNumbers((1,), (0,), (0,))
MODES = {
    "clip": GatherScatterMode.CLIP,
    "drop": GatherScatterMode.FILL_OR_DROP,
}


def test_gathers_keep_jax_semantics(tmp_path, schedule):
    # Clamped, filled or wrapped, as each function says; nothing is checked.
    functions = {
        "index": lambda w, rows: w[rows],
        "take": lambda w, rows: jnp.take(w, rows, axis=0, mode="clip"),
        "take fill": lambda w, rows: jnp.take(w, rows, axis=0, mode="fill", fill_value=7),
        "take nan": lambda w, rows: jnp.isnan(jnp.take(w, rows, axis=0)),
        "take wrap": lambda w, rows: jnp.take(w, rows, axis=0, mode="wrap"),
        "two indices": lambda w, rows: w[rows, rows[::-1]],
        "windows": lambda w, rows: jax.vmap(lambda r: lax.dynamic_slice(w, (r, r), (2, 3)))(rows),
        "along an axis": lambda w, rows: jnp.take_along_axis(w, rows[None, :], 1, mode="clip"),
        "batched": lambda w, rows: jax.vmap(lambda x, r: x[r])(w, rows[:6]),
        "small indices": lambda w, rows: w[rows.astype(jnp.int8)],
    }
    compare(tmp_path, schedule, functions, W, ROWS)


@pytest.mark.parametrize("mode", MODES)
def test_scatters_keep_jax_semantics(tmp_path, mode, schedule):
    kind = MODES[mode]
    updates = 0.1 * np.arange(36, dtype=np.float32).reshape(9, 4) - 1.3

    def windows(scatter):
        # Windows of 2 x 3, some of which are partly outside.
        numbers = lax.ScatterDimensionNumbers((1, 2), (), (0, 1))
        blocks = jnp.tile(updates[:, None, :3], (1, 2, 1))
        return lambda w, rows: scatter(
            w, jnp.stack([rows, rows], 1), blocks, numbers, mode=kind
        )

    def rows_of(scatter):
        return lambda w, rows: scatter(w, rows[:, None], updates, DIMENSIONS, mode=kind)

    functions = {
        "add": rows_of(lax.scatter_add),
        "sub": rows_of(lax.scatter_sub),
        "mul": lambda w, rows: lax.scatter_mul(
            w, rows[:2, None], updates[:2], DIMENSIONS, mode=kind, unique_indices=True
        ),
        "min": lambda w, rows: rows_of(lax.scatter_min)(lax.stop_gradient(w), rows),
        "max": lambda w, rows: rows_of(lax.scatter_max)(lax.stop_gradient(w), rows),
        "set": lambda w, rows: lax.scatter(
            w, rows[:2, None], w[3:5], DIMENSIONS, mode=kind, unique_indices=True
        ),
        "apply": lambda w, rows: lax.scatter_apply(
            lax.stop_gradient(w), rows[:2, None], jnp.sin, DIMENSIONS, update_shape=(2, 4), mode=kind
        ),
        "add windows": windows(lax.scatter_add),
        "one": lambda w, rows: w.at[rows[4]].add(2.0, mode=mode),
        "none": lambda w, rows: w.at[rows[:0]].add(2.0, mode=mode),
        "two indices": lambda w, rows: w.at[rows, rows].add(updates[:, 0], mode=mode),
        "in each row": lambda w, rows: jax.vmap(lambda x, r: x.at[r].add(2.0, mode=mode))(w, rows[:6]),
        "rows in each": lambda w, rows: jax.vmap(lambda x, r: x.at[r].add(x[:2], mode=mode))(
            w.reshape(3, 2, 4).swapaxes(1, 2), rows[:6].reshape(3, 2)
        ),
        "slices in each": lambda w, rows: jax.vmap(lambda x, r: x.at[:, r].add(1.0, mode=mode))(
            w.reshape(3, 2, 4), rows[:3]
        ),
        "segments": lambda w, rows: jax.ops.segment_sum(w, rows[:6], 4),
        "bools": lambda w, rows: (w[:, 0] > 9).at[rows].set(True, mode=mode),
        "integers": lambda w, rows: jnp.arange(6).at[rows].max(rows, mode=mode),
    }  # fmt: skip
    exported = compare(tmp_path, schedule, functions, W, ROWS)
    assert "scf.for" in exported.module_text


def test_one_scatter_in_each_row_is_no_loop(tmp_path, schedule):
    labels = np.array([0, 3, 1, 1, 2, 0], np.int32)

    def chosen(w, labels):
        return jnp.take_along_axis(w, labels[:, None], 1)

    exported = compare(tmp_path, schedule, {"chosen": chosen}, W, labels)
    assert "scf.for" not in exported.module_text


# --- integers and booleans -------------------------------------------------


def test_booleans_are_not_minus_one(tmp_path, schedule):
    # A product of a mask, converted, with numbers: its ones must be 1.
    functions = {
        "mask": lambda w: (w > 0).astype(jnp.float32) @ w.T,
        "masked sum": lambda w: (w * (w > 0)).sum(1),
        "equal": lambda w: (w[:, :1] == w[:, 0]).astype(jnp.float32).T @ w,
        "convolved": lambda w: jnp.convolve(w[:, 0], (w[:, 1] > 0).astype(jnp.float32)),
        "xor": lambda w: (w > 0) ^ (w > 1),
        "to integers": lambda w: (w > 0).astype(jnp.int32) - 3,
        "sum": lambda w: (w > 0).sum(),
    }
    compare(tmp_path, schedule, functions, W)


def test_floats_that_an_integer_type_does_not_hold(tmp_path, schedule):
    # XLA takes the nearest integer that it holds, and zero for NaN.
    x = np.array([0.5, -0.5, -1, 127.9, 128, -129, 255.5, 256, 32768, -32769], np.float32)
    x = np.append(x, np.float32([65536, 2**31 - 128, 2**31, -(2**31) - 256, 2**32, 1e38]))
    x = np.append(x, np.float32([-1e38, np.inf, -np.inf, np.nan]))
    types = ("int8", "uint8", "int16", "uint16", "int32", "uint32")
    functions = {name: lambda w, x, t=name: x.astype(t) for name in types}
    compare(tmp_path, schedule, functions, W, x)


def test_unsigned_integers(tmp_path, schedule):
    # Large values of each width would be negative if they were signed.
    small = np.array([[0, 1, 127, 128], [200, 250, 254, 255]], np.uint8)
    large = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 12345], np.uint32)
    functions = {
        "to float": lambda w, a, b: w[:2] * a.astype(jnp.float32),
        "large to float": lambda w, a, b: b.astype(jnp.float32) + w[:, 0],
        "from float": lambda w, a, b: (jnp.abs(w) * 1.4e9).astype(jnp.uint32),
        "widened": lambda w, a, b: a.astype(jnp.int32) - 1,
        "narrowed": lambda w, a, b: b.astype(jnp.uint8),
        "compared": lambda w, a, b: (a > 100, b >= b[::-1]),
        "divided": lambda w, a, b: (a // 3, b // jnp.uint32(10), b % jnp.uint32(7)),
        "shifted": lambda w, a, b: (b >> 4, b << 3, a >> 1),
        "largest": lambda w, a, b: (a.max(), b.min(), jnp.maximum(b, b[::-1])),
        "summed": lambda w, a, b: a.sum(),
        "product": lambda w, a, b: a @ a.T,
        "product of numbers": lambda w, a, b: w[:2] @ a.astype(jnp.float32).T,
        "wrapping": lambda w, a, b: (a + a, b * b, -b),
        "rows": lambda w, a, b: w[a],
        "scattered": lambda w, a, b: w.at[b].add(1.0),
        "bits": lambda w, a, b: lax.population_count(b) + lax.clz(b),
        "a loop": lambda w, a, b: lax.scan(lambda c, x: (c + x, c >> 1), jnp.uint32(2**31), b),
        "a branch": lambda w, a, b: lax.cond(a[0, 0] == 0, lambda: b, lambda: b + 1),
        "while": lambda w, a, b: lax.while_loop(lambda c: c > 2**30, lambda c: c >> 1, b[4]),
    }
    exported = compare(tmp_path, schedule, functions, W, small, large)
    assert exported.inputs["inputs.0"].dtype == np.int8  # The same bits.


# --- loops and branches ----------------------------------------------------


def test_loops_and_branches(tmp_path, schedule):
    functions = {
        # The carried value is stored after its next one is known.
        "fori": lambda w: lax.fori_loop(0, 3, lambda i, c: c * w, w),
        "index": lambda w: lax.fori_loop(1, 5, lambda i, c: c + w * i, w),
        "scan": lambda w: lax.scan(lambda c, x: (jnp.tanh(c + x), c * x), w[0], w),
        "reverse": lambda w: lax.scan(lambda c, x: (jnp.tanh(c + x), c * x), w[0], w, reverse=True),
        "unrolled": lambda w: lax.scan(lambda c, x: (jnp.tanh(c + x), c), w[0], w, unroll=True),
        "partly unrolled": lambda w: lax.scan(lambda c, x: (jnp.tanh(c + x), c), w[0], w, unroll=4),
        "swap": lambda w: lax.fori_loop(0, 3, lambda i, c: (c[1], c[0]), (w, 2 * w)),
        "rotation": lambda w: lax.fori_loop(
            0, 4, lambda i, c: (c[1] + c[0], c[2], c[0]), (w, 2 * w, 3 * w)
        ),
        "nested": lambda w: lax.scan(
            lambda c, x: (lax.fori_loop(0, 3, lambda i, d: d * x, c) + 1, None), w[0], w
        )[0],
        "map": lambda w: lax.map(lambda x: jnp.sin(x) * x.sum(), w),
        "no carry": lambda w: lax.scan(lambda c, x: (c, x * x), None, w)[1],
        "no iterations": lambda w: lax.scan(lambda c, x: (c * x, c), w[0], w[:0])[0],
        "associative": lambda w: lax.associative_scan(jnp.multiply, w),
        "branch in a loop": lambda w: lax.scan(
            lambda c, x: lax.cond(x[0] > 0, lambda: (c + x, c), lambda: (c, c * x)), w[0], w
        ),
        "cond": lambda w: lax.cond(w[0, 0] > 0, lambda: w * 2, lambda: w - 1),
        "cond true": lambda w: lax.cond(w[0, 0] < 0, lambda: (w * 2, w), lambda: (w - 1, w)),
        "switch": lambda w: [
            lax.switch(i, [lambda: w * 2, lambda: w - 1, lambda: w * w], )
            for i in (w.argmax() % 3, w.argmin() % 3, 99 + w.argmax(), -99 + w.argmax())
        ],
        "vmapped cond": lambda w: jax.vmap(lambda x: lax.cond(x[0] > 0, lambda: x, lambda: 2 * x))(w),
        "while": lambda w: lax.while_loop(
            lambda c: (c[1] * c[1]).sum() < 1e3, lambda c: (c[0] + 1, c[1] * 2), (0, lax.stop_gradient(w))
        )[1],
        "checkpoint": lambda w: jax.checkpoint(lambda x: jnp.sin(jnp.sin(x)))(w),
        "newton": lambda w: lax.custom_root(
            lambda x: x**3 + x - w, w, lambda f, x: lax.fori_loop(0, 8, lambda i, x: x - f(x) / (3 * x * x + 1), x),
            lambda g, y: y / g(jnp.ones_like(y)),
        ),
        "platform": lambda w: lax.platform_dependent(w, cpu=lambda x: x * 2, default=lambda x: x * 3),
    }  # fmt: skip
    compare(tmp_path, schedule, functions, W)


# --- random numbers --------------------------------------------------------


def test_random_numbers_are_those_of_jax(tmp_path, schedule):
    key = jax.random.key(42)
    functions = {
        "bits": lambda w, key: jax.random.bits(key, (5, 3)),
        "bytes": lambda w, key: jax.random.bits(key, (7,), jnp.uint8),
        "uniform": lambda w, key: jax.random.uniform(key, (6, 4)) * w,
        "normal": lambda w, key: jax.random.normal(key, (6, 4)) * w,
        "bernoulli": lambda w, key: jax.random.bernoulli(key, 0.3, (6, 4)),
        "dropout": lambda w, key: jnp.where(jax.random.bernoulli(key, 0.9, w.shape), w / 0.9, 0),
        "integers": lambda w, key: jax.random.randint(key, (9,), -5, 17),
        "categorical": lambda w, key: jax.random.categorical(key, w),
        "gumbel": lambda w, key: jax.random.gumbel(key, (5,)) * w[0, 0],
        "exponential": lambda w, key: jax.random.exponential(key, (5,)) * w[0, 0],
        "truncated": lambda w, key: jax.random.truncated_normal(key, -1, 2, (5,)) * w[0, 0],
        "split": lambda w, key: jax.random.normal(jax.random.split(key, 3)[1], (4,)),
        "folded": lambda w, key: jax.random.bits(jax.random.fold_in(key, 7), (3,)),
        "new": lambda w, key: jax.random.bits(jax.random.key(w.argmax()), (3,)),
        "of many keys": lambda w, key: jax.vmap(lambda k: jax.random.uniform(k, (2,)))(
            jax.random.split(key, 3)
        ),
        "keys in a loop": lambda w, key: lax.scan(
            lambda k, _: (jax.random.split(k)[0], jax.random.uniform(k)), key, length=3
        )[1],
        "keys of a loop": lambda w, key: lax.map(jax.random.uniform, jax.random.split(key, 3)),
        "other generator": lambda w, key: jax.random.bits(jax.random.key(3, impl="rbg"), (5,)),
    }
    compare(tmp_path, schedule, functions, W, key)


def test_key_as_words(tmp_path, schedule):
    # jax.random.PRNGKey: an array of two uint32.
    functions = {"bits": lambda w, key: jax.random.bits(key, (5,))}
    exported = compare(tmp_path, schedule, functions, W, jax.random.PRNGKey(7))
    assert exported.inputs["inputs.0"].dtype == np.int32


# --- refusals of what has wrong numbers ------------------------------------


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_refuse_half_precision(dtype, schedule):
    # A product would sum in half precision, where XLA sums in float32.
    def step(w):
        return (w.astype(dtype) @ w.T.astype(dtype)).astype(jnp.float32).sum(), w + 1

    with pytest.raises(plait.UnsupportedError, match="no mixed precision"):
        export_step(step, (W,))
