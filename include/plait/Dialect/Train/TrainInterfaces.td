//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// UpdateOpInterface: what every parameter update can be asked.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DIALECT_TRAIN_TRAININTERFACES_TD
#define PLAIT_DIALECT_TRAIN_TRAININTERFACES_TD

include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/IR/OpBase.td"

def Train_UpdateOpInterface : OpInterface<"UpdateOpInterface", [
    DestinationStyleOpInterface]> {
  let cppNamespace = "::plait::train";
  let description = [{
    An op that replaces a parameter and its optimizer states by their next
    values. Its inputs are the gradient followed by scalars (a learning rate, a
    clip scale); its destinations are the parameter followed by the states, and
    result `i` is the next value of destination `i`.
  }];
  let methods = [
    InterfaceMethod<"The old value of the parameter.", "::mlir::Value",
      "getParam", (ins), "", "return $_op.getOutputs().front();">,
    InterfaceMethod<"The gradient.", "::mlir::Value", "getGradient", (ins), "",
      "return $_op.getInputs().front();">,
    InterfaceMethod<"The inputs after the gradient.", "::mlir::ValueRange",
      "getScalars", (ins), "", "return $_op.getInputs().drop_front();">,
    InterfaceMethod<"The old values of the optimizer states.",
      "::mlir::ValueRange", "getStates", (ins), "",
      "return $_op.getOutputs().drop_front();">,
    InterfaceMethod<[{
        True where element i of each result depends only on element i of the
        gradient, parameter and states, and on rank-0 values.}],
      "bool", "isElementwise", (ins), "", "return true;">,
    InterfaceMethod<[{
        True where the update reads a norm or a matrix of the whole tensor, so
        that it cannot be applied tile by tile.}],
      "bool", "needsWholeTensor", (ins), "",
      "return !$_op.isElementwise();">
  ];
}

#endif // PLAIT_DIALECT_TRAIN_TRAININTERFACES_TD
