//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The `train` dialect and its attributes: who is who in a training step.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DIALECT_TRAIN_TRAINDIALECT_TD
#define PLAIT_DIALECT_TRAIN_TRAINDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/DialectBase.td"
include "mlir/IR/EnumAttr.td"

def Train_Dialect : Dialect {
  let name = "train";
  let cppNamespace = "::plait::train";
  let summary = "Parameters, their updates, and what is fused with what";
  let description = [{
    A training graph is ordinary `linalg` on tensors. This dialect adds only
    what upstream cannot say: which values are parameters and optimizer states
    (roles), what an update is, and which ops belong in one loop nest.

    A *training step* is any `FunctionOpInterface` op with the unit attribute
    `train.step`. Its arguments and results may carry a `train.role`:

    | attribute | on | meaning |
    |---|---|---|
    | `#train.param<"fc1.weight">` | argument | a trainable parameter |
    | `#train.state<"fc1.weight", "exp_avg">` | argument | an optimizer state of that parameter; with an empty owner, a buffer carried from step to step |
    | `#train.pending<"fc1.weight", "in0">` | argument, result | what forward placement carries to the next step |
    | `#train.next<"fc1.weight">`, `#train.next<"fc1.weight", "exp_avg">` | result | the next step's value of that argument; its buffer after lowering |
    | `#train.input<"x">` (default) | argument | fresh each step |
    | `#train.output<"loss">` (default) | result | returned to the caller |

    An integer argument that is used as an index carries
    `train.index_range = array<i64: low, high, others...>`: a value must be at
    least low and below high, or one of the others. A step does not check it;
    whoever fills the argument must (`plait-run` does).

    The contract is verified on the function, and only while its arguments are
    tensors: other passes owe discardable attributes nothing.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    /// Unit attribute that makes a function a training step.
    static constexpr ::llvm::StringLiteral kStepAttr = "train.step";
    /// Dictionary on a training step: for each key of the model's own table of
    /// tensors (torch's state_dict), the parameter or buffer that it names. A
    /// tied one has several keys; what no key names is not the model's.
    static constexpr ::llvm::StringLiteral kModelAttr = "train.model";
    /// Role of an argument or a result of a training step.
    static constexpr ::llvm::StringLiteral kRoleAttr = "train.role";
    /// What the values of an integer argument may be: low, high (exclusive),
    /// and others that are allowed besides.
    static constexpr ::llvm::StringLiteral kIndexRangeAttr =
        "train.index_range";
    /// Which dimension of a parameter or state lies in blocks: 0 or 1. Its type
    /// is then blocks x other dimension x elements of a block.
    static constexpr ::llvm::StringLiteral kBlockedDimAttr =
        "train.blocked_dim";
    /// Decision of `train-place` on an update: a PlacementAttr.
    static constexpr ::llvm::StringLiteral kPlacementAttr = "train.placement";
    /// Unit attribute on an update that is placed backward: it moves to its
    /// gradient, but is not one loop nest with what makes it.
    static constexpr ::llvm::StringLiteral kApartAttr = "train.apart";
  }];
}

class Train_Attr<string name, string attrMnemonic>
    : AttrDef<Train_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def Train_ParamAttr : Train_Attr<"Param", "param"> {
  let summary = "role of an argument that is a trainable parameter";
  let parameters = (ins "::mlir::StringAttr":$name);
  let assemblyFormat = "`<` $name `>`";
}

def Train_StateAttr : Train_Attr<"State", "state"> {
  let summary = "role of an argument that is an optimizer state or a buffer";
  let description = [{
    `owner` is the name of a parameter, `name` torch's name of the state. An
    empty owner makes it a buffer of the model (a running mean).
  }];
  let parameters = (ins "::mlir::StringAttr":$owner, "::mlir::StringAttr":$name);
  let assemblyFormat = "`<` $owner `,` $name `>`";
}

def Train_PendingAttr : Train_Attr<"Pending", "pending"> {
  let summary = "role of a value that waits for the next step's update";
  let description = [{
    `owner` is the parameter whose update waits; `name` says which operand of
    the update it is (`in0` is the gradient, `in1` the next scalar, ...).
  }];
  let parameters = (ins "::mlir::StringAttr":$owner, "::mlir::StringAttr":$name);
  let assemblyFormat = "`<` $owner `,` $name `>`";
}

def Train_NextAttr : Train_Attr<"Next", "next"> {
  let summary = "role of a result that is an argument's value in the next step";
  let parameters = (ins "::mlir::StringAttr":$owner,
                        OptionalParameter<"::mlir::StringAttr">:$name);
  let assemblyFormat = "`<` $owner (`,` $name^)? `>`";
}

def Train_InputAttr : Train_Attr<"Input", "input"> {
  let summary = "role of an argument that the caller gives afresh each step";
  let parameters = (ins "::mlir::StringAttr":$name);
  let assemblyFormat = "`<` $name `>`";
}

def Train_OutputAttr : Train_Attr<"Output", "output"> {
  let summary = "role of a result that the caller gets each step";
  let parameters = (ins "::mlir::StringAttr":$name);
  let assemblyFormat = "`<` $name `>`";
}

def Train_Placement : I32EnumAttr<"Placement",
    "where an update runs in the step", [
      I32EnumAttrCase<"Baseline", 0, "baseline">,
      I32EnumAttrCase<"Backward", 1, "backward">,
      I32EnumAttrCase<"Forward", 2, "forward">]> {
  let cppNamespace = "::plait::train";
  let genSpecializedAttr = 0;
}

def Train_PlacementAttr : EnumAttr<Train_Dialect, Train_Placement,
                                   "placement"> {
  let summary = "decision where an update runs, held as data";
  let assemblyFormat = "`<` $value `>`";
}

#endif // PLAIT_DIALECT_TRAIN_TRAINDIALECT_TD
