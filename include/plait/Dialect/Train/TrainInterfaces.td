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
    values. Its inputs are the gradients followed by scalars (a learning rate, a
    clip scale); its destinations are the parameter followed by the states, and
    result `i` is the next value of destination `i`.

    There is more than one gradient where the update itself adds contributions,
    as for a weight that several products share.
  }];
  let methods = [
    InterfaceMethod<"The old value of the parameter.", "::mlir::Value",
      "getParam", (ins), "", "return $_op.getOutputs().front();">,
    InterfaceMethod<[{
        The gradients: the leading inputs of the parameter's shape; always the
        first input, and only that for a parameter of rank 0.}],
      "::mlir::ValueRange", "getGradients", (ins), "", [{
        ::mlir::ValueRange inputs = $_op.getInputs();
        return inputs.take_front(countGradients(inputs, $_op.getParam()));
      }]>,
    InterfaceMethod<"The inputs after the gradients.", "::mlir::ValueRange",
      "getScalars", (ins), "", [{
        ::mlir::ValueRange inputs = $_op.getInputs();
        return inputs.drop_front(countGradients(inputs, $_op.getParam()));
      }]>,
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
