# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A jitted step that donates its buffers: ten steps beside JAX, whoever says what
is carried: the structure of the step, or the donation alone.

JAX writes `tf.aliasing_output` for one device, and `jax.buffer_donor` where a step
is partitioned for several, which leaves to XLA which result takes the buffer. So
the text is made in a process that has two.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

jax = pytest.importorskip("jax", reason="JAX is not installed: NOT verified")
optax = pytest.importorskip("optax", reason="optax is not installed: NOT verified")

import jax.numpy as jnp  # noqa: E402
from jax.sharding import Mesh, NamedSharding, PartitionSpec  # noqa: E402
from jax_steps import STEPS, compare_steps  # noqa: E402

SCHEDULES = ["baseline", "backward", "forward"]
RATE = 1e-2
TX = optax.adam(RATE)


def train_step(params, opt_state, x, y):
    def loss_fn(params):
        hidden = jnp.tanh(x @ params["w1"] + params["b1"])
        return jnp.mean((hidden @ params["w2"] + params["b2"] - y) ** 2)

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, opt_state = TX.update(grads, opt_state, params)
    return loss, optax.apply_updates(params, updates), opt_state


def start():
    """Parameters, and moments as after some steps."""
    k = jax.random.split(jax.random.key(0), 4)
    params = {
        "b1": jnp.full(5, 0.1), "b2": jnp.full(3, 0.1),
        "w1": jax.random.normal(k[0], (6, 5)), "w2": jax.random.normal(k[1], (5, 3)),
    }  # fmt: skip
    adam, rest = TX.init(params)
    moments = jax.tree.map(lambda p: 0.05 + 0.01 * p**2, params)
    return params, (adam._replace(count=jnp.int32(4), mu=moments, nu=moments), rest)


def batches():
    k = jax.random.split(jax.random.key(1), 2)
    return jax.random.normal(k[0], (STEPS, 8, 6)), jax.random.normal(k[1], (STEPS, 8, 3))


@needs_plait_run
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_structure_of_a_step_that_donates(tmp_path, schedule):
    jitted = jax.jit(train_step, donate_argnums=(0, 1))
    # Nothing says what is carried, and the example arguments are not used up.
    carried = start()
    exported = compare_steps(tmp_path, jitted, carried, batches(), RATE, schedule)
    assert not carried[0]["w1"].is_deleted()
    assert {"w1", "state.w1.mu", "opt_state.0.count"} <= {*exported.tensors}


def lower(directory: Path, partitions: int) -> str:
    """The step in linalg as JAX's lowering has it, with no roles."""
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={partitions}",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    code = f"import test_donation_jax as t; t.write({str(directory)!r}, {partitions})"
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return (directory / "donated.mlir").read_text()


def write(directory: str, partitions: int) -> None:
    """The body of that process."""
    from jaxlib.mlir import ir
    from jaxlib.mlir.dialects import stablehlo
    from jaxlib.mlir.passmanager import PassManager

    from plait.jax.lower import PIPELINE, lower_to_stablehlo

    mesh = Mesh(np.array(jax.devices()), "d")
    everywhere, rows = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), ("d",)))
    carried = jax.device_put(start(), everywhere)
    batch = jax.device_put([b[0] for b in batches()], rows)
    jitted = jax.jit(train_step, donate_argnums=(0, 1))
    module = lower_to_stablehlo(jitted.trace(*carried, *batch))
    stablehlo.register_stablehlo_passes()
    with module.context, ir.Location.unknown():
        PassManager.parse(PIPELINE).run(module)
        for name in list(module.attributes):
            del module.attributes[name]
        for op in [op.operation for op in module.regions[0].blocks[0].operations]:
            if op.name != "func.func" or ir.StringAttr(op.attributes["sym_name"]).value != "main":
                op.erase()
                continue
            # Of what JAX noted, only the donation: shardings are not known here.
            kept = [
                ir.DictAttr.get({a.name: a.attr for a in given if "sharding" not in a.name})
                for given in map(ir.DictAttr, ir.ArrayAttr(op.attributes["arg_attrs"]))
            ]
            op.attributes["arg_attrs"] = ir.ArrayAttr.get(kept)
            del op.attributes["res_attrs"]
    (Path(directory) / "donated.mlir").write_text(module.get_asm())


@needs_plait_run
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("partitions", "attribute"), [(1, "tf.aliasing_output"), (2, "jax.buffer_donor")]
)
def test_donation_alone_says_what_is_carried(tmp_path, partitions, attribute, schedule):
    text = lower(tmp_path, partitions)
    carried, data = start(), batches()
    count = len(jax.tree.leaves(carried))
    assert text.count(attribute) == count and "train." not in text
    values = [*jax.tree.leaves(carried), *(b.reshape(-1, *b.shape[2:]) for b in data)]
    tensors = {f"arg{i}": np.array(value) for i, value in enumerate(values)}
    results = run_step(tmp_path, text, tensors, STEPS, f"--schedule={schedule}")

    jitted, after = jax.jit(train_step), carried
    for i in range(STEPS):
        loss, *after = jitted(*after, *(b[i] for b in data))
    np.testing.assert_allclose(results["output0"], loss, rtol=1e-4)
    parameters = len(carried[0])
    for i, (before, value) in enumerate(zip(jax.tree.leaves(carried), jax.tree.leaves(after))):
        value, result = np.array(value), results[f"arg{i}"]
        # Of a parameter, a thousandth of the way it may have gone.
        tolerance = 1e-3 * RATE * STEPS if i < parameters else 1e-4 * np.abs(value).max()
        if i < parameters:
            assert np.abs(value - before).max() > 10 * tolerance, f"arg{i} has not moved"
        np.testing.assert_allclose(result, value, rtol=0, atol=tolerance, err_msg=f"arg{i}")
