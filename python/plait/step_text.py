# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The text of a training step, made from the text of its gradient function.

A frontend's own MLIR bindings know neither the `train` dialect nor its
attributes, so the step is composed as text: `compose_step` writes `@step` around the
body of a printed function (printed.py).
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from plait.printed import VALUE, Function


@dataclass(frozen=True)
class Update:
    """One named optimizer op, for one parameter.

    Attributes:
        parameter: the parameter's name.
        op: the op's name without the dialect (`adam`).
        attributes: in the order they are to be written. A float is written as
            an f64 attribute, a tuple as an array of f64, True as a unit
            attribute; False is left out.
        states: the type of each state by its name, in operand order.
        lr_input: the name of the input that holds the learning rate, if it is
            not an attribute.
    """

    parameter: str
    op: str
    attributes: dict[str, float | bool | tuple[float, ...]]
    states: dict[str, str] = field(default_factory=dict)
    lr_input: str | None = None


@dataclass(frozen=True)
class TracedUpdate:
    """An update that the function itself computes, for one parameter.

    Attributes:
        parameter: the parameter's name.
        states: the names of its states.
    """

    parameter: str
    states: Sequence[str] = ()


@dataclass(frozen=True)
class IndexRange:
    """What the values of an integer argument may be.

    Attributes:
        low, high: low <= value < high.
        others: further values (a loss's ignore_index).
    """

    low: int
    high: int
    others: tuple[int, ...] = ()

    def contains(self, low: int, high: int) -> bool:
        """Whether all of low <= value < high may be."""
        inside = self.low <= low and high <= self.high
        return inside or (high == low + 1 and low in self.others)

    def meet(self, other: "IndexRange") -> "IndexRange":
        """What is in both."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        both = sorted({*self.others, *other.others})
        others = [
            v for v in both
            if all(r.contains(v, v + 1) for r in (self, other)) and not low <= v < high
        ]  # fmt: skip
        return IndexRange(low, high, tuple(others))


@dataclass(frozen=True)
class StepCheck:
    """The function that says whether a step can run.

    Attributes:
        function: printed in the same module as the step's.
        arguments: the buffers and inputs that it takes.
        complaints: what each of its results, of type i1, says if it is true.
    """

    function: Function
    arguments: Sequence[str]
    complaints: Sequence[str]


def own_name(name: str, taken: Collection[str]) -> str:
    """The name of something that is the step's own, where a model has tensors of
    the names `taken`: `x`, or else `step.x`."""
    while name in taken:
        name = f"step.{name}"
    return name


def compose_step(
    function: Function,
    updates: Sequence[Update | TracedUpdate],
    buffers: Sequence[str],
    inputs: Sequence[str],
    ranges: Mapping[str, IndexRange] | None = None,
    model: Mapping[str, str] | None = None,
    check: StepCheck | None = None,
) -> str:
    """The module text of `@step`, and of `@step_check` if there is a check.

    `function` must take the parameters in the order of `updates`, each followed
    by its states where the update is traced, then `buffers`, then `inputs`; and
    return the loss, for each parameter its gradient or the next value of it and
    its states, and the next value of each buffer.

    The step takes each parameter followed by its states, then the buffers, the
    inputs and the learning rates; it returns the loss (`own_name` of that) and the
    next value of everything before the inputs, in the same order. `ranges` says what the
    values of a buffer or input may be, where they are indices; `model` which
    parameter or buffer each key of the model's state_dict stands for.

    Raises:
        ValueError: the function's arguments or results are not as described,
            or a name stands for two things.
    """
    _check_signature(function, updates, buffers, inputs)
    # In order, without repeats: several updates may share one learning rate.
    named = [u for u in updates if isinstance(u, Update)]
    rates = list(dict.fromkeys(u.lr_input for u in named if u.lr_input))
    _check_names(updates, buffers, [*inputs, *rates])
    step = _Step(function, updates, buffers, inputs, ranges or {})
    rate_values = {name: step.values.fresh(name) for name in rates}
    for update in updates:
        if isinstance(update, Update):
            step.add_named(update, rate_values)
        else:
            step.carry("param", (update.parameter,))
            for state in update.states:
                step.carry("state", (update.parameter, state))
    for name in buffers:
        step.carry("state", ("", name))
    for name in inputs:
        step.take(name)
    for name, value in rate_values.items():
        step.add_argument(value, "tensor<f32>", _role("input", name))
    return step.text(model or {}, _check_text(check, inputs) if check else [])


class _Step:
    """`@step` as far as it is written: arguments, results, and ops behind the
    body of the function that it is made from."""

    def __init__(
        self,
        function: Function,
        updates: Sequence[Update | TracedUpdate],
        buffers: Sequence[str],
        inputs: Sequence[str],
        ranges: Mapping[str, IndexRange],
    ) -> None:
        self.values = _Values(function.body)
        self._function, self._ranges = function, ranges
        bare = [*_taken(updates), *buffers, *inputs]
        self._renamed = {
            old: self.values.fresh(name) for old, name in zip(function.arguments, bare)
        }
        self._types = dict(zip(self._renamed.values(), function.argument_types))
        self._taken = iter(self._renamed.values())
        self._given = iter([self._renamed.get(v, v) for v in function.results])
        self._arguments: list[str] = []
        self._ops: list[str] = []
        loss = own_name("loss", {u.parameter for u in updates} | {*buffers})
        self._results = [(next(self._given), function.result_types[0], _role("output", loss))]

    def add_argument(self, value: str, value_type: str, role: str, name: str = "") -> None:
        attributes = f"train.role = {role}"
        if name in self._ranges:
            allowed = self._ranges[name]
            numbers = ", ".join(map(str, (allowed.low, allowed.high, *allowed.others)))
            attributes += f", train.index_range = array<i64: {numbers}>"
        self._arguments.append(f"{value}: {value_type} {{{attributes}}}")

    def carry(self, kind: str, names: tuple[str, ...]) -> None:
        """The function's next argument, whose next value is its next result."""
        value = next(self._taken)
        plain = names[1] if names[0] == "" else ""
        self.add_argument(value, self._types[value], _role(kind, *names), plain)
        self._results.append((next(self._given), self._types[value], _role("next", *names)))

    def take(self, name: str) -> None:
        """The function's next argument, an input."""
        value = next(self._taken)
        self.add_argument(value, self._types[value], _role("input", name), name)

    def add_named(self, update: Update, rates: Mapping[str, str]) -> None:
        """A parameter whose gradient is the function's next result."""
        outs = [next(self._taken)]
        outs += [self.values.fresh(f"{update.parameter}.{s}") for s in update.states]
        types = [self._types[outs[0]], *update.states.values()]
        parts = [(update.parameter,), *((update.parameter, s) for s in update.states)]
        nexts = [self.values.fresh(f"{out[1:]}.next") for out in outs]
        for i, (value, value_type, part) in enumerate(zip(outs, types, parts)):
            self.add_argument(value, value_type, _role("state" if i else "param", *part))
            self._results.append((nexts[i], value_type, _role("next", *part)))
        ins, in_types = [next(self._given)], [types[0]]
        if update.lr_input:
            ins.append(rates[update.lr_input])
            in_types.append("tensor<f32>")
        self._ops.append(
            f"    {', '.join(nexts)} = train.{update.op}"
            f" ins({', '.join(ins)} : {', '.join(in_types)})"
            f"\n      outs({', '.join(outs)} : {', '.join(types)})"
            f"{_attributes(update.attributes)}"
        )

    def text(self, model: Mapping[str, str], further: Sequence[str]) -> str:
        keys = ", ".join(f"{string_literal(k)} = {string_literal(n)}" for k, n in model.items())
        attributes = f"train.step, train.model = {{{keys}}}" if keys else "train.step"
        opening, arrow = "  func.func @step(", "    -> ("
        separator = ",\n" + " " * len(opening)
        result_separator = ",\n" + " " * len(arrow)
        result_roles = [f"{t} {{train.role = {role}}}" for _, t, role in self._results]
        lines = [
            *self._function.aliases,
            "module {",
            opening + separator.join(self._arguments) + ")",
            arrow + result_separator.join(result_roles) + ")",
            f"    attributes {{{attributes}}} {{",
            *(_rename(line, self._renamed) for line in self._function.body),
            *self._ops,
            f"    return {', '.join(v for v, _, _ in self._results)}"
            f" : {', '.join(t for _, t, _ in self._results)}",
            "  }",
            *further,
            "}",
            *self._function.resources,
        ]
        return "\n".join(lines) + "\n"


def _check_text(check: StepCheck, inputs: Collection[str]) -> list[str]:
    """The lines of `@step_check`."""
    function = check.function
    arguments = [
        f"{value}: {type_} {{train.role = "
        f"{_role('input', name) if name in inputs else _role('state', '', name)}}}"
        for value, type_, name in zip(
            function.arguments, function.argument_types, check.arguments, strict=True
        )
    ]
    results = [
        f"{type_} {{train.role = {_role('output', complaint)}}}"
        for type_, complaint in zip(function.result_types, check.complaints, strict=True)
    ]
    return [
        f"  func.func @step_check({', '.join(arguments)})",
        f"    -> ({', '.join(results)}) attributes {{train.step}} {{",
        *function.body,
        f"    return {', '.join(function.results)} : {', '.join(function.result_types)}",
        "  }",
    ]


def float_literal(value: float) -> str:
    """The shortest MLIR float literal that reads back as `value`.

    Raises:
        ValueError: `value` is infinite or not a number.
    """
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{value} has no decimal literal")
    literals = (f"{value:.{digits}e}" for digits in range(6, 18))
    return next(literal for literal in literals if float(literal) == value)


def string_literal(value: str) -> str:
    """An MLIR string literal: quotes, backslashes and bytes outside printable
    ASCII are written as two hexadecimal digits."""
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in value.encode())
    return f'"{"".join(plain)}"'


class _Values:
    """Gives out value names that the body of the function does not use."""

    def __init__(self, body: Iterable[str]) -> None:
        self._used = {v.split("#")[0] for line in body for v in re.findall(VALUE, line)}

    def fresh(self, name: str) -> str:
        base = re.sub(r"[^\w$.-]", "_", name, flags=re.ASCII)
        if not re.match(r"[A-Za-z$._]", base):
            base = f"_{base}"
        value, count = f"%{base}", 0
        while value in self._used:
            value, count = f"%{base}_{count}", count + 1
        self._used.add(value)
        return value


def _taken(updates: Sequence[Update | TracedUpdate]) -> list[str]:
    """The parameters and states that the function takes, by name."""
    names = []
    for update in updates:
        names.append(update.parameter)
        if isinstance(update, TracedUpdate):
            names += [f"{update.parameter}.{state}" for state in update.states]
    return names


def _check_signature(
    function: Function,
    updates: Sequence[Update | TracedUpdate],
    buffers: Sequence[str],
    inputs: Sequence[str],
) -> None:
    carried = [*_taken(updates), *buffers]
    if len(function.arguments) != len(carried) + len(inputs):
        raise ValueError(
            f"the function has {len(function.arguments)} arguments for"
            f" {len(carried) + len(inputs)} parameters, states, buffers and inputs"
        )
    if len(function.results) != 1 + len(carried):
        raise ValueError(f"the function has {len(function.results)} results, not {1 + len(carried)}")
    for name, before, after in zip(carried, function.argument_types, function.result_types[1:]):
        if before != after:
            raise ValueError(f"'{name}' is {before}, but its gradient or next value is {after}")


def _check_names(
    updates: Sequence[Update | TracedUpdate], buffers: Sequence[str], inputs: Sequence[str]
) -> None:
    # One file may hold them all.
    states = [f"state.{u.parameter}.{state}" for u in updates for state in u.states]
    count = Counter([*(u.parameter for u in updates), *states, *buffers, *inputs])
    repeated = [name for name in count if count[name] > 1]
    if repeated:
        raise ValueError(
            f"more than one tensor of the step is named '{repeated[0]}' (the state s of a"
            " parameter p is state.p.s): call what the model has of that name otherwise"
        )


def _role(kind: str, *names: str) -> str:
    return f"#train.{kind}<{', '.join(string_literal(name) for name in names)}>"


def _attributes(attributes: dict[str, float | bool | tuple[float, ...]]) -> str:
    written = []
    for name, value in attributes.items():
        if isinstance(value, bool):
            written += [name] if value else []
        elif isinstance(value, tuple):
            written.append(f"{name} = array<f64: {', '.join(map(float_literal, value))}>")
        else:
            written.append(f"{name} = {float_literal(value)} : f64")
    return f"\n      {{{', '.join(written)}}}" if written else ""


def _rename(line: str, names: dict[str, str]) -> str:
    # A match is a whole value name, so that %arg1 is left alone in %arg10.
    return re.sub(VALUE, lambda match: names.get(match[0], match[0]), line)
