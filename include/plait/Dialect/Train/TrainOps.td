//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ops of the `train` dialect. Optimizers are named and merged as in
// torch.optim (2.13); their formulas are given with torch's names.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DIALECT_TRAIN_TRAINOPS_TD
#define PLAIT_DIALECT_TRAIN_TRAINOPS_TD

include "plait/Dialect/Train/TrainDialect.td"
include "plait/Dialect/Train/TrainInterfaces.td"
include "mlir/Dialect/Linalg/IR/LinalgInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/OpBase.td"

class Train_Op<string mnemonic, list<Trait> traits = []>
    : Op<Train_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// The general update
//===----------------------------------------------------------------------===//

class Train_UpdateBase<string mnemonic, list<Trait> traits = []>
    : Train_Op<mnemonic, !listconcat(traits, [
        Pure, AttrSizedOperandSegments, DestinationStyleOpInterface,
        DeclareOpInterfaceMethods<AggregatedOpInterface,
                                  ["decomposeOperation"]>])> {
  let results = (outs Variadic<AnyRankedTensor>:$results);
  code baseDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return getOutputsMutable();
    }
  }];
  let hasVerifier = 1;
}

def Train_UpdateOp : Train_UpdateBase<"update", [
    DeclareOpInterfaceMethods<Train_UpdateOpInterface, ["isElementwise"]>,
    SingleBlock, IsolatedFromAbove]> {
  let summary = "replace a parameter and its states, by any upstream ops";
  let description = [{
    The general update: its region may hold any upstream ops on tensors, so a
    new optimizer needs no C++ (docs/Tutorial/new-optimizer.md). The region's
    arguments are the inputs followed by the outputs; it ends in a
    `train.yield` of the next value of each output.

    The region is isolated from above: otherwise canonicalization hoists its
    constants, and CSE shares its fills with other products.

    Example (signSGD, Bernstein et al., 2018):

    ```mlir
    %w1 = train.update "signsgd" ins(%g : tensor<4xf32>)
                                 outs(%w : tensor<4xf32>) {
    ^bb0(%gt: tensor<4xf32>, %wt: tensor<4xf32>):
      %n = linalg.map ins(%gt, %wt : tensor<4xf32>, tensor<4xf32>)
                      outs(%wt : tensor<4xf32>)
        (%gi: f32, %wi: f32, %o: f32) {
          %lr = arith.constant 1.0e-2 : f32
          %s = math.copysign %lr, %gi : f32
          %d = arith.subf %wi, %s : f32
          linalg.yield %d : f32
        }
      train.yield %n : tensor<4xf32>
    } : tensor<4xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, Variadic<AnyRankedTensor>:$inputs,
                       Variadic<AnyRankedTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name `ins` `(` $inputs `:` type($inputs) `)`
    `outs` `(` $outputs `:` type($outputs) `)` $body attr-dict
    `:` type($results)
  }];
  let extraClassDeclaration = baseDeclaration;
}

def Train_YieldOp : Train_Op<"yield", [
    Pure, Terminator,
    ParentOneOf<["UpdateOp", "ClusterOp"]>]> {
  let summary = "end the region of a train.update or train.cluster";
  let description = [{
    Its operands are the results of the enclosing op.

    Example: `train.yield %w1, %m1 : tensor<4xf32>, tensor<4xf32>`
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Train_ClusterOp : Train_Op<"cluster", [
    Pure, SingleBlock, IsolatedFromAbove]> {
  let summary = "ops that become one loop nest";
  let description = [{
    Written by the fusion passes, consumed by `train-fuse-clusters`. `kind` is
    the placement that made it: in a `backward` cluster the region computes a
    gradient and applies it, in a `forward` cluster it updates a parameter,
    whose gradient it may make too, and uses the new value in its first product.
    The region's arguments are the
    inputs. The cluster makes the decision visible, and testable, apart from
    the loops that carry it out.

    Example:

    ```mlir
    %w1 = train.cluster <backward> ins(%x, %dy, %w
        : tensor<32x4xf32>, tensor<32x8xf32>, tensor<4x8xf32>) {
    ^bb0(%xt: tensor<32x4xf32>, %dyt: tensor<32x8xf32>, %wt: tensor<4x8xf32>):
      %dw = ...
      %n = train.sgd ins(%dw : tensor<4x8xf32>)
                     outs(%wt : tensor<4x8xf32>) {lr = 0.1 : f64}
      train.yield %n : tensor<4x8xf32>
    } : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Train_PlacementAttr:$kind,
                       Variadic<AnyType>:$inputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $kind `ins` `(` $inputs `:` type($inputs) `)` $body attr-dict
    `:` type($results)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Named optimizers
//===----------------------------------------------------------------------===//

class Train_Optimizer<string mnemonic, dag attributes>
    : Train_UpdateBase<mnemonic, [InferTypeOpAdaptor,
        DeclareOpInterfaceMethods<Train_UpdateOpInterface>]> {
  let arguments = !con((ins Variadic<AnyRankedTensor>:$inputs,
                            Variadic<AnyRankedTensor>:$outputs,
                            OptionalAttr<F64Attr>:$lr), attributes);
  let assemblyFormat = [{
    `ins` `(` $inputs `:` type($inputs) `)`
    `outs` `(` $outputs `:` type($outputs) `)` attr-dict
  }];
  code optimizerDeclaration = baseDeclaration # [{
    /// The states after the parameter, by torch's names, in operand order;
    /// `isScalar` marks the rank-0 ones.
    struct StateSpec { ::llvm::StringRef name; bool isScalar; };
    ::llvm::SmallVector<StateSpec> getStateSpecs();
  }];
  let extraClassDeclaration = optimizerDeclaration;
}

class F64Default<string value> : DefaultValuedAttr<F64Attr, value>;

def Train_SGDOp : Train_Optimizer<"sgd", (ins
    F64Default<"0.0">:$momentum, F64Default<"0.0">:$dampening,
    F64Default<"0.0">:$weight_decay, UnitAttr:$nesterov,
    UnitAttr:$maximize)> {
  let summary = "stochastic gradient descent, with momentum";
  let description = [{
    As `torch.optim.SGD` (2.13); momentum after Sutskever et al., "On the
    importance of initialization and momentum in deep learning", 2013.

    ```
    g = (maximize ? -grad : grad) + weight_decay * param
    if momentum:  buf = initialized ? momentum * buf + (1 - dampening) * g : g
                  g = nesterov ? g + momentum * buf : buf
    param = param - lr * g
    ```

    Outputs: param, and where `momentum` is not 0 momentum_buffer and
    `initialized` (rank 0; 0 before the first step, then 1: torch's first buffer
    *is* the gradient, whatever the dampening). Inputs: the gradient and, where
    there is no attribute `lr`, the learning rate (rank 0). `nesterov` needs
    momentum and no dampening.

    Example:

    ```mlir
    %w1, %b1, %i1 = train.sgd ins(%g : tensor<4xf32>)
        outs(%w, %b, %i : tensor<4xf32>, tensor<4xf32>, tensor<f32>)
        {lr = 1.0e-1 : f64, momentum = 9.0e-1 : f64}
    ```
  }];
}

def Train_AdagradOp : Train_Optimizer<"adagrad", (ins
    F64Default<"0.0">:$lr_decay, F64Default<"0.0">:$weight_decay,
    F64Default<"1.0e-10">:$eps, UnitAttr:$maximize)> {
  let summary = "Adagrad";
  let description = [{
    As `torch.optim.Adagrad` (2.13), after Duchi et al., "Adaptive Subgradient
    Methods for Online Learning and Stochastic Optimization", 2011.

    ```
    step = step + 1
    g = (maximize ? -grad : grad) + weight_decay * param
    sum = sum + g * g
    param = param - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(sum) + eps)
    ```

    Outputs: param, sum, step (rank 0). torch's initial_accumulator_value is
    the first value of `sum`.

    Example:

    ```mlir
    %w1, %s1, %t1 = train.adagrad ins(%g : tensor<4xf32>)
        outs(%w, %s, %t : tensor<4xf32>, tensor<4xf32>, tensor<f32>)
        {lr = 1.0e-2 : f64}
    ```
  }];
}

def Train_RMSpropOp : Train_Optimizer<"rmsprop", (ins
    F64Default<"0.99">:$alpha, F64Default<"1.0e-8">:$eps,
    F64Default<"0.0">:$weight_decay, F64Default<"0.0">:$momentum,
    UnitAttr:$centered, UnitAttr:$maximize)> {
  let summary = "RMSprop, centered and with momentum where asked";
  let description = [{
    As `torch.optim.RMSprop` (2.13), after Hinton's lecture notes; the centered
    form after Graves, "Generating Sequences With Recurrent Neural Networks",
    2013. The root is taken before eps is added.

    ```
    g = (maximize ? -grad : grad) + weight_decay * param
    square_avg = alpha * square_avg + (1 - alpha) * g * g
    if centered:  grad_avg = grad_avg + (1 - alpha) * (g - grad_avg)
                  avg = sqrt(square_avg - grad_avg * grad_avg) + eps
    else:         avg = sqrt(square_avg) + eps
    if momentum:  buf = momentum * buf + g / avg
                  param = param - lr * buf
    else:         param = param - lr * g / avg
    ```

    Outputs: param, square_avg, then grad_avg where `centered`, then
    momentum_buffer where `momentum` is not 0.

    Example:

    ```mlir
    %w1, %s1 = train.rmsprop ins(%g : tensor<4xf32>)
        outs(%w, %s : tensor<4xf32>, tensor<4xf32>) {lr = 1.0e-2 : f64}
    ```
  }];
}

def Train_AdadeltaOp : Train_Optimizer<"adadelta", (ins
    F64Default<"0.9">:$rho, F64Default<"1.0e-6">:$eps,
    F64Default<"0.0">:$weight_decay, UnitAttr:$maximize)> {
  let summary = "Adadelta";
  let description = [{
    As `torch.optim.Adadelta` (2.13), after Zeiler, "ADADELTA: An Adaptive
    Learning Rate Method", 2012.

    ```
    g = (maximize ? -grad : grad) + weight_decay * param
    square_avg = rho * square_avg + (1 - rho) * g * g
    delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * g
    acc_delta = rho * acc_delta + (1 - rho) * delta * delta
    param = param - lr * delta
    ```

    Outputs: param, square_avg, acc_delta.

    Example:

    ```mlir
    %w1, %s1, %d1 = train.adadelta ins(%g : tensor<4xf32>)
        outs(%w, %s, %d : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
        {lr = 1.0 : f64}
    ```
  }];
}

def Train_AdamOp : Train_Optimizer<"adam", (ins
    DefaultValuedAttr<DenseF64ArrayAttr, "{0.9, 0.999}">:$betas,
    F64Default<"1.0e-8">:$eps, F64Default<"0.0">:$weight_decay,
    UnitAttr:$amsgrad, UnitAttr:$decoupled_weight_decay,
    UnitAttr:$maximize)> {
  let summary = "Adam, and AdamW with decoupled_weight_decay";
  let description = [{
    As `torch.optim.Adam` and, with `decoupled_weight_decay`,
    `torch.optim.AdamW` (2.13), after Kingma and Ba, "Adam: A Method for
    Stochastic Optimization", 2014; Reddi et al., "On the Convergence of Adam
    and Beyond", 2018 (amsgrad); Loshchilov and Hutter, "Decoupled Weight Decay
    Regularization", 2017.

    ```
    step = step + 1
    g = maximize ? -grad : grad
    if decoupled_weight_decay:  param = param * (1 - lr * weight_decay)
    else:                       g = g + weight_decay * param
    exp_avg = exp_avg + (1 - beta1) * (g - exp_avg)
    exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g * g
    v = exp_avg_sq
    if amsgrad:  v = max_exp_avg_sq = max(max_exp_avg_sq, exp_avg_sq)
    denom = sqrt(v) / sqrt(1 - beta2^step) + eps
    param = param - lr / (1 - beta1^step) * exp_avg / denom
    ```

    Outputs: param, exp_avg, exp_avg_sq, max_exp_avg_sq where `amsgrad`, and
    step (rank 0).

    Example:

    ```mlir
    %w1, %m1, %v1, %t1 = train.adam ins(%g : tensor<4xf32>)
        outs(%w, %m, %v, %t
             : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>)
        {lr = 1.0e-3 : f64, weight_decay = 1.0e-2 : f64,
         decoupled_weight_decay}
    ```
  }];
}

#endif // PLAIT_DIALECT_TRAIN_TRAINOPS_TD
