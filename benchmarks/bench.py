# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Times Plait beside PyTorch and JAX: whole training steps, and single kernels.

Each table has the machine's limits, measured while it is made, and every way under
plain malloc and under one that keeps its memory (GLIBC_TUNABLES): much of a gain over
the former may be page faults. Read ratios within one table; times belong to one
machine and one hour. All results are compared; a kernel of Plait's that is wrong or
does not run makes the exit code 1.

Cases are whole steps, kernels, or families of kernels:
    mlp_a:adamw:1          workload:optimizer:batch
    gemm:nt:8x4096x4096    A B^T (nn, nt, tn), MxNxK
    update:sgd:4096:32     dW and its update, of a square weight, by rows of a batch
    conv:resnet-64-64:dW   forward, relu, dX, dW of a layer
    gemm, update, conv     all of these in the standing set

For example, what fusion alone does, and the fused optimizer of torch:
    scripts/bench mlp_b:adamw:1 update:adamw:4096:1 \\
        --ways plait-baseline plait-backward fused torch-fused
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import kernels
import steps
from peers import NAMES

PARTS = ("steps", "kernels")


def main() -> None:
    options = parse_arguments()
    if options.list:
        print("\n".join(chosen_names(options)))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    if options.steps:
        run_steps(options)
    if options.kernels:
        wrong = run_kernels(options)
    if wrong:
        sys.exit("\n".join(["these kernels are wrong, or do not run:", *wrong]))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, with `steps` and `kernels`: the cases of each."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    all_ways = (*NAMES, *kernels.WAYS)
    parser.add_argument("cases", nargs="*", metavar="CASE",
                        help="default: the standing set, half an hour, a quarter of it kernels")  # fmt: skip
    parser.add_argument("--only", choices=PARTS, help="one part of the standing set")
    parser.add_argument("--list", action="store_true", help="print the cases, and end")
    parser.add_argument("--threads", type=_positive, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ways", nargs="+", choices=list(dict.fromkeys(all_ways)), metavar="WAY",
                        help=f"of steps: {', '.join(NAMES)}; of kernels: {', '.join(kernels.WAYS)}."
                        " Default: all, but no foreach, and torch-compile where there is no"
                        " torch-fused")  # fmt: skip
    parser.add_argument("--no-tuned", action="store_true", help="plain malloc only")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="blocks of each way, at most;"
                        f" default: {steps.ROUNDS} of steps, {kernels.ROUNDS} of kernels")  # fmt: skip
    parser.add_argument("--block", type=_positive, default=8, metavar="N", help="counted steps in a block")
    parser.add_argument("--seconds", type=float, default=30, metavar="S",
                        help="time for a table of steps, once compiled; two rounds at least")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("bench-results"),
                        help="folder for steps and kernels, each .md, .json, .png")  # fmt: skip
    options = parser.parse_args(arguments)
    if options.only and options.cases:
        parser.error("--only chooses from the standing set: leave it out, or the cases")
    try:
        options.steps, options.kernels = cases_of(options.cases, options.only)
    except ValueError as error:
        parser.error(str(error))
    if options.ways:
        _check_ways(parser, options)
    return options


def cases_of(texts: Sequence[str], only: str | None) -> tuple[list[steps.Case], list[str]]:
    """Steps and kernels. Raises a ValueError that names what is none."""
    if not texts:
        every = [case for family in kernels.FAMILIES.values() for case in family.standing]
        return ([] if only == "kernels" else steps.STANDING), ([] if only == "steps" else every)
    of_steps, of_kernels = [], []
    for text in texts:
        if text.partition(":")[0] in kernels.FAMILIES:
            of_kernels += kernels.parse(text)
        elif ":" in text:
            of_steps.append(steps.parse(text))
        else:
            known = ", ".join(kernels.FAMILIES)
            raise ValueError(f"'{text}' is not workload:optimizer:batch, and no family of kernels ({known})")
    return list(dict.fromkeys(of_steps)), list(dict.fromkeys(of_kernels))


def chosen_names(options: argparse.Namespace) -> list[str]:
    return [":".join(map(str, case)) for case in options.steps] + options.kernels


def _check_ways(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Each table has to have one."""
    wanted = set(options.ways)
    if options.steps and not wanted & set(NAMES):
        parser.error(f"--ways has none of steps: {', '.join(NAMES)}")
    for name in {case.partition(":")[0] for case in options.kernels}:
        ways = kernels.FAMILIES[name].ways
        if not wanted & set(ways):
            parser.error(f"--ways has none of {name}: {', '.join(ways)}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return int(text)


def run_steps(options: argparse.Namespace) -> None:
    results: list[dict] = []
    for case in options.steps:
        results.append(steps.measure(case, options))
        print(steps.table(results[-1]), end="\n\n", flush=True)
        # After each table: a long run that is stopped leaves what it has.
        write(options.out / "steps", results, steps)


def run_kernels(options: argparse.Namespace) -> list[str]:
    """What is wrong with those of Plait, if anything is."""
    results: list[dict] = []
    for family in kernels.FAMILIES:
        cases = [case for case in options.kernels if case.partition(":")[0] == family]
        if cases:
            results.append(kernels.measure(family, cases, options))
            print(kernels.table(results[-1]), end="\n\n", flush=True)
            write(options.out / "kernels", results, kernels)
    return [line for result in results for line in kernels.wrong(result)]


def write(path: Path, results: list[dict], part) -> None:  # noqa: ANN001
    """`part` has `table` and `plot`."""
    path.with_suffix(".md").write_text("\n\n".join(map(part.table, results)) + "\n")
    path.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    try:
        part.plot(results, path.with_suffix(".png"))
    except ImportError:
        print("no plot: pip install matplotlib", file=sys.stderr)


if __name__ == "__main__":
    main()
