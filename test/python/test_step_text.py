# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Composing a step's text from a function of gradients; needs no framework."""

import re

import pytest

from plait.printed import parse_functions
from plait.step_text import (
    Update,
    compose_step,
    float_literal,
    string_literal,
)

GRADIENTS = """\
#map = affine_map<(d0) -> (d0)>
module {
  func.func @main(%arg0: tensor<4xf32>, %arg1: tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>) {
    %w = tensor.empty() : tensor<f32>
    %arg10 = tensor.empty() : tensor<4xf32>
    %0:2 = "test.two"(%arg0, %arg1, %arg10) : (tensor<4xf32>) -> (tensor<f32>, tensor<4xf32>)
    return %0#0, %0#1 : tensor<f32>, tensor<4xf32>
  }
}
"""


def test_compose_avoids_used_names_and_renames_whole_values():
    update = Update("w", "sgd", {"lr": 0.5})
    text = compose_step(parse_functions(GRADIENTS)["main"], [update], [], ["x"])
    assert '"test.two"(%w_0, %x, %arg10)' in text
    assert "train.sgd ins(%0#1 : tensor<4xf32>)\n      outs(%w_0 : tensor<4xf32>)" in text
    assert "    return %0#0, %w_0.next : tensor<f32>, tensor<4xf32>\n" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("module {", "module @m {", "start of a module"),
        ("  }\n}", "  }\n  %x = tensor.empty() : tensor<f32>\n}", "and nothing else"),
        ("return", "yield", "ends in a return"),
        ("-> (tensor<f32>, tensor<4xf32>)", "-> (tensor<f32>)", "types of the return"),
        ("%arg1: tensor<4xf32>", "%arg1: f32", "function argument"),
        ("    %w = tensor", "  }\n  func.func @g() {\n    %w = tensor", "ends in a return"),
    ],
)
def test_refuse_other_printed_forms(old, new, message):
    assert old in GRADIENTS
    head, _, tail = GRADIENTS.partition(old)
    with pytest.raises(ValueError, match=message):
        parse_functions(head + new + tail)


def test_refuse_two_things_of_one_name():
    with pytest.raises(ValueError, match="named 'w'"):
        function = parse_functions(
            GRADIENTS.replace("return %0#0, %0#1", "return %0#0, %0#1, %0#1")
            .replace("(tensor<f32>, tensor<4xf32>) {", "(tensor<f32>, tensor<4xf32>, tensor<4xf32>) {")
            .replace(": tensor<f32>, tensor<4xf32>\n", ": tensor<f32>, tensor<4xf32>, tensor<4xf32>\n")
        )["main"]
        compose_step(function, [Update("w", "sgd", {"lr": 0.5})], ["w"], [])


def test_literals():
    values = [1e-3, 0.1, 1.0, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 1e-08]
    assert [float(float_literal(v)) for v in values] == values
    assert all(re.fullmatch(r"-?\d\.\d+e[+-]\d+", float_literal(v)) for v in values)
    with pytest.raises(ValueError, match="inf"):
        float_literal(float("inf"))
    assert string_literal('a"\\\né') == '"a\\22\\5C\\0A\\C3\\A9"'
