//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All of Plait's passes, under banners in pipeline order; Pipelines.cpp says
// why the order is what it is.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_TD
#define PLAIT_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Raise: from imported graphs to the train dialect
//===----------------------------------------------------------------------===//

def TrainRolesFromStrings : Pass<"train-roles-from-strings"> {
  let summary = "Read roles that importers wrote as plain strings";
  let description = [{
    Turns `{train.role = "param", train.name = "fc1.weight"}` on the arguments
    and results of functions into the dialect's attributes, and marks each
    function that has them as a `train.step`. Tools that lack the dialect can
    carry the strings.

    | string | attribute |
    |---|---|
    | `param` | `#train.param<name>` |
    | `state:KIND` | `#train.state<name, KIND>` |
    | `state`, `buffer` | `#train.state<"", name>` |
    | `input`, `label` | `#train.input<name>` |
    | `pending:WHAT` | `#train.pending<name, WHAT>` |
    | `new_param`, `new_state:KIND`, `new_state`, `new_buffer` | `#train.next<...>` |
    | `loss`, `output` | `#train.output<name, or "loss">` |
  }];
  let dependentDialects = ["::plait::train::TrainDialect"];
}

def TrainRolesToStrings : Pass<"train-roles-to-strings"> {
  let summary = "Write roles as plain strings, for tools without the dialect";
  let description = [{
    The inverse of `train-roles-from-strings`.
  }];
}

def TrainFoldUnitDims : Pass<"train-fold-unit-dims"> {
  let summary = "Drop unit dimensions that a reduction keeps for a reshape";
  let description = [{
    A reduction whose result has dimensions of extent 1, and whose only use is
    a `tensor.collapse_shape` that drops them, gives the reshaped tensor itself.
    An importer writes the gradient of a bias so; without the reshape, reduction
    and update can be one loop nest.

    ```mlir
    // before
    %0 = linalg.generic ... ins(%dy : tensor<32x512xf32>) outs(%z) -> tensor<1x512xf32>
    %db = tensor.collapse_shape %0 [[0, 1]] : tensor<1x512xf32> into tensor<512xf32>
    // after
    %db = linalg.generic ... ins(%dy : tensor<32x512xf32>) outs(%z) -> tensor<512xf32>
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainRolesFromAliasing : Pass<"train-roles-from-aliasing"> {
  let summary = "Read JAX's buffer donation as roles";
  let description = [{
    For functions without roles whose arguments carry `tf.aliasing_output` or
    `jax.buffer_donor`, as `jax.jit(..., donate_argnums=...)` writes them: a
    donated argument's next value is the result that takes its buffer (for a
    donor that names none, the first free result of its type). An argument that
    anything but updates reads is a parameter, the others are states without an
    owner. All are named by their position: `arg0`, `arg1`, ...

    Donation pairs by type, not by meaning. A result that is no elementwise
    function of the argument whose buffer it takes is an error: two moments
    returned in another order, or an output in the buffer of an input, would
    otherwise be carried to the next step as something else.

    ```mlir
    // before
    func.func @main(%w: tensor<4xf32> {tf.aliasing_output = 1 : i32}, ...)
    // after
    func.func @main(%w: tensor<4xf32> {train.role = #train.param<"arg0">}, ...)
        -> (tensor<f32>, tensor<4xf32> {train.role = #train.next<"arg0">})
        attributes {train.step}
    ```
  }];
  let dependentDialects = ["::plait::train::TrainDialect"];
}

def TrainSkipZeros : Pass<"train-skip-zeros"> {
  let summary = "Gradients of strided convolutions without the zeros between";
  let description = [{
    A convolution of a tensor that is spread among zeros (`tensor.insert_slice` with
    strides, `tensor.pad`) is split into its phases: pixels that are a stride apart
    meet the same taps of the filter, and become a convolution of what was spread
    with those taps. With a stride of 2 and 3x3 taps, four convolutions with 4, 2, 2
    and 1 taps; a phase without taps keeps its initial value. Where that is zero, each
    phase has zeros of its own.

    A convolution whose filter is spread reads its input with a dilation instead.
    And one of which only a part is read (`tensor.extract_slice`) makes that part.

    Sums keep their order; what is left out are products with zero. Depthwise
    convolutions and those with few channels in a group are left to
    `train-tile-convolutions`.

    ```mlir
    // before
    %s = tensor.insert_slice %dy into %zeros[0, 0, 1, 1] [8, 64, 16, 16] [1, 1, 2, 2]
    %dx = linalg.conv_2d_nchw_fchw ins(%s, %w) outs(%z : tensor<8x32x32x32xf32>)
    // after, for one of the phases
    %taps = tensor.extract_slice %w[0, 0, 1, 1] [32, 64, 1, 1] [1, 1, 2, 2]
    %part = linalg.fill ins(%zero) outs(%empty : tensor<8x32x16x16xf32>)
    %p = linalg.conv_2d_nchw_fchw ins(%dy, %taps) outs(%part)
    %dx = tensor.insert_slice %p into %e[0, 0, 0, 0] [8, 32, 16, 16] [1, 1, 2, 2]
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainOrderFilters : Pass<"train-order-filters"> {
  let summary = "Copy filters that are turned around once, as products read them";
  let description = [{
    A filter that a convolution reads through several copies, or through a gather of
    each element (the reversed filter of an input's gradient, as PyTorch exports
    it), becomes one `linalg.generic` that copies, with an indexing map such as
    `(i, j, y, x) -> (j, i, 2 - y, 2 - x)`. If the output channels are neither the
    first nor the last dimension behind the groups, so that the filter is no matrix
    (JAX's gradients), the copy is made with them in front; or last, where they are
    last in the output.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainFoldTransposes : Pass<"train-fold-transposes"> {
  let summary = "Fold transposes into the maps of products";
  let description = [{
    A product that reads `linalg.transpose` of a tensor reads the tensor itself
    with permuted indexing maps. It saves a copy of every weight matrix, and it
    makes the product, not the copy, the reader that updates wait for, so it
    runs before placement.

    A product or reduction from a constant init of which only the transpose is
    used writes its result transposed: nothing is left between a gradient and
    its update.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainRaise : InterfacePass<"train-raise", "::mlir::FunctionOpInterface"> {
  let summary = "Find the updates in a graph whose optimizer is plain arithmetic";
  let description = [{
    Walks back from the next value of each parameter, and of its states, through
    ops that work element by element on the parameter's shape, and through
    scalar maths, as long as nothing else uses what they make. What the walk
    took in becomes a `train.update` with one `linalg.generic`; what it stopped
    at are the gradients and scalars. No optimizer is known by name.

    States without an owner are given to the one parameter whose next value is
    an elementwise function of them. Where norms of the whole tensor lie in the
    walk's way (LAMB), they are taken in too, and the update is not elementwise.

    A parameter whose update is anything else stays as it is, with a remark that
    names the op that stopped the walk. Updates that are `train` ops already are
    left alone.

    ```mlir
    // before
    %s = linalg.generic ins(%dw) { * -0.1 }
    %w1 = linalg.generic ins(%w, %s) outs(%empty) { + }
    // after
    %w1 = train.update "raised" ins(%dw) outs(%w) {
      %n = linalg.generic ins(%dw) outs(%w) { * -0.1, + }
      train.yield %n
    }
    ```
  }];
  let dependentDialects = ["::plait::train::TrainDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainFoldSlices : Pass<"train-fold-slices"> {
  let summary = "Read slices through indexing maps";
  let description = [{
    An op that reads a static slice of a computed tensor reads the tensor itself,
    with the offsets and strides in its indexing map; products and convolutions,
    which are known by their maps, are left alone. A named transpose of what an
    elementwise op makes becomes a generic op. So `train-fuse-elementwise` finds
    two ops side by side where a view stood between them: of max pooling, whose
    window is a few strided slices, one loop is left.

    ```mlir
    // before
    %s = tensor.extract_slice %x[0, 1] [4, 8] [1, 2]
    %y = linalg.generic {maps = [(i, j) -> (i, j), ...]} ins(%s)
    // after
    %y = linalg.generic {maps = [(i, j) -> (i, j * 2 + 1), ...]} ins(%x)
    ```
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainFuseElementwise : Pass<"train-fuse-elementwise"> {
  let summary = "Join elementwise ops with the one op that uses them";
  let description = [{
    Upstream's elementwise fusion and reshape folding, for producers with one
    use. A little arithmetic on one tensor is repeated for each of its uses, if
    all of them can take it in. A sum over all classes of what one label selects is
    read at the label. Two pairs are kept apart. A producer that reads its own destination
    would, in the loops of a larger consumer, accumulate into it more than once:
    upstream's `linalg-fuse-elementwise-ops` computes wrong numbers there. And
    what a product of matrices reads or makes stays a tensor, because one with
    other arithmetic in its body is lowered to plain loops.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainMergeSiblings : Pass<"train-merge-siblings"> {
  let summary = "Join ops that walk over the same tensor";
  let description = [{
    Two `linalg.generic` with the same loops that read a tensor of the loops'
    size through the same map become one with the results of both, if one can
    run where the other does and no product, update or loop lies between: the
    two sums of a batch-norm's gradient, the maximum of a pooling window and its
    index. An op that only an update uses is left to `train-backward-fusion`.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

//===----------------------------------------------------------------------===//
// Layout: how parameters lie in memory for a whole training run
//===----------------------------------------------------------------------===//

def TrainBlockParameters
    : Pass<"train-block-parameters", "::mlir::ModuleOp"> {
  let summary = "Keep weights in the layout that their products read";
  let description = [{
    A weight matrix that products of 4 to 256 rows read is kept in blocks: with
    64 elements along one dimension and blocks of 32, `tensor<64x128xf32>` becomes
    `tensor<2x128x32xf32>`, blocks by the other dimension by elements of a block.
    A register tile's lanes are then neighbours, at each step of k right behind
    those of the step before, so that nothing is packed and memory is read in
    streams. Its optimizer states and its gradient get the same layout, for the
    update takes element by element; vectors that are multiplied stay as they
    are, and are seen as having one dimension more.

    The layout is chosen from all uses of a parameter in all functions of the
    module. Whatever reads it other than a product of loops m, n and k, an
    elementwise op or an elementwise update (a lookup of rows, a norm, an
    output), leaves it row-major, and so does a dimension that is no multiple of
    the block. A remark says which and why. Blocks lie along the dimension that
    the first product does not contract, the layer's outputs.

    ```mlir
    // before
    func.func @step(%w: tensor<64x128xf32> {train.role = #train.param<"w">}, ...
    // after
    func.func @step(%w: tensor<2x128x32xf32> {train.blocked_dim = 0 : i64,
        train.role = #train.param<"w">}, ...
    ```

    For each layout the module gets two functions that convert,
    `@plait_import_2_128_32_dim0` and `@plait_export_2_128_32_dim0`: row-major in,
    blocked out, and back.
  }];
  let options = [Option<"block", "block", "int64_t", /*default=*/"32",
                        "Elements of a block: the lanes of a register tile.">];
  let dependentDialects = ["::mlir::func::FuncDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// Schedule: decide where each update runs, and move it there
//===----------------------------------------------------------------------===//

def TrainPrintUpdateDependence : Pass<"train-print-update-dependence"> {
  let summary = "Print between which ops each update may run, and why";
  let description = [{
    Prints what UpdateDependence answers, and changes nothing:

    ```
    @step:
    update of "fc1.weight":
      result #0: after old value read by 'linalg.matmul' at loc(...); before new value used by 'func.return' at loc(...)
      depends on the gradients of "fc2.weight"
    ```
  }];
}

def TrainPlace : InterfacePass<"train-place", "::mlir::FunctionOpInterface"> {
  let summary = "Decide where each update runs";
  let description = [{
    Sets `train.placement` on every update of a training step, and changes
    nothing else: the decision is data, and other passes obey it. An update
    that the policy cannot place is left at `baseline`, with a remark that
    names the op and the reason.

    With `auto`, a cost model (passes/Schedule/FusionCost.h) decides for each
    update that is placed backward whether it becomes one loop nest with what
    makes its gradient. Where it does not, it gets the unit attribute
    `train.apart`: it still runs right behind its gradient, so that no two
    gradients are stored at a time. A remark gives both estimates. The choice
    depends on shapes and the options below, never on the number of threads, and
    changes no bit of any result.

    ```mlir
    // before
    %w1 = train.sgd ins(%dw : ...) outs(%w : ...) {lr = 0.1 : f64}
    // after train-place{policy=backward}
    %w1 = train.sgd ins(%dw : ...) outs(%w : ...)
        {lr = 0.1 : f64, train.placement = #train.placement<backward>}
    ```
  }];
  let options = [
    Option<"policy", "policy", "std::string", /*default=*/"\"backward\"",
           "Where updates run: 'baseline' (after all gradients), 'backward' "
           "(as soon as the gradient exists and the old value was last read), "
           "'forward' (in the next step, before the first reader) or 'auto' "
           "('backward' where that is legal, in one loop nest where it pays).">,
    Option<"panelBytes", "panel-bytes", "int64_t",
           /*default=*/"::plait::TargetOptions().panelBytes",
           "As of train-fuse-clusters, for 'auto'.">,
    Option<"cacheBytes", "cache-bytes", "int64_t",
           /*default=*/"::plait::CostConstants().cacheBytes",
           "Size of the last-level cache, for 'auto'.">,
    Option<"coreGflops", "core-gflops", "double",
           /*default=*/"::plait::CostConstants().coreGflops",
           "f32 multiply-adds of one core, counted as two, in 10^9 a second; "
           "for 'auto'.">,
    Option<"cacheGbs", "cache-gbs", "double",
           /*default=*/"::plait::CostConstants().cacheGBs",
           "GB/s that one core reads and writes in the last-level cache, for "
           "'auto'.">,
    Option<"memoryGbs", "memory-gbs", "double",
           /*default=*/"::plait::CostConstants().memoryGBs",
           "The same in memory, for 'auto'.">
  ];
  let dependentDialects = ["::plait::train::TrainDialect"];
}

def TrainBackwardFusion
    : InterfacePass<"train-backward-fusion", "::mlir::FunctionOpInterface"> {
  let summary = "Move updates next to their gradients' producers";
  let description = [{
    Moves each update with placement `backward` to the earliest position its
    window allows (see UpdateDependence), and wraps it with the product or
    reduction that makes its gradient into a `train.cluster`, where no one else
    uses that gradient.

    ```mlir
    // before: the gradient is stored, read by nobody until the end
    %dw = linalg.matmul ins(%xT, %dy) outs(%zero) -> tensor<784x512xf32>
    ...
    %w1 = train.sgd ins(%dw) outs(%w)
    // after
    %w1 = train.cluster <backward> ins(%xT, %dy, %w) {
      %dw = linalg.matmul ...
      %n = train.sgd ins(%dw) outs(%w)
      train.yield %n
    }
    ...
    ```
  }];
  let dependentDialects = ["::plait::train::TrainDialect"];
}

def TrainForwardFusion : Pass<"train-forward-fusion", "::mlir::ModuleOp"> {
  let summary = "Move updates into the next step, before the first reader";
  let description = [{
    For each training step with updates of placement `forward`, writes three
    functions, as software pipelining does: `@step_first` (no update; yields
    pending values), `@step` (applies the pending updates, each right before
    its parameter's first reader, then yields new pending values) and
    `@step_flush` (applies what is pending). *Every* operand of an update that
    is neither its parameter nor its state crosses the boundary, not the
    gradient alone. Where what the gradient is made from has fewer bytes than
    it, that crosses instead, and the gradient is made with the update. A module
    pass, because it adds functions; all or nothing.

    ```mlir
    // before
    %y = linalg.matmul ins(%x, %w) ...
    ...
    %dw = linalg.matmul ins(%xT, %dy) ...
    %w1 = train.sgd ins(%dw) outs(%w)
    // after: @step takes last step's %x0T and %dy0, and yields %xT and %dy
    %w1, %y = train.cluster <forward> ins(%x0T, %dy0, %w, %x) {
      %dw = linalg.matmul ins(%x0T, %dy0) ...
      %n = train.sgd ins(%dw) outs(%w)
      %y = linalg.matmul ins(%x, %n) ...
      train.yield %n, %y
    }
    ```
  }];
  let dependentDialects = ["::plait::train::TrainDialect"];
}

def TrainOrderUpdates
    : InterfacePass<"train-order-updates", "::mlir::FunctionOpInterface"> {
  let summary = "See that no old value is read after its update";
  let description = [{
    Moves each update, or cluster with one, behind the last reader of the values
    that it replaces, as far as nothing before that reader uses the new values,
    or replaces what the update reads. Bufferization would copy the parameter
    for such a reader, with right numbers and without a word.

    Where the graph itself wants old and new value at once, a remark says that
    there is a copy. Where the reader was moved into the loop nest of another
    update, it is an error.

    ```mlir
    // before
    %w1 = train.sgd ins(%dw) outs(%w)
    %dx = linalg.matmul ins(%dy, %w) ...
    // after
    %dx = linalg.matmul ins(%dy, %w) ...
    %w1 = train.sgd ins(%dw) outs(%w)
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Fuse: from clusters to loops
//===----------------------------------------------------------------------===//

def TrainBlockAttention : Pass<"train-block-attention"> {
  let summary = "Compute attention by blocks of queries";
  let description = [{
    Finds what makes and reads the matrix of each query's weight on each key: from
    a product of two batches, by way of elementwise ops, masks among them, and
    reductions of rows, to the products that read the weights; and the same of
    their gradient. It becomes loops over the matrices of the batch (`scf.forall`)
    and over blocks of their rows. A block of each matrix exists at a time, in
    cache. Forward keeps the statistics of the rows (maximum and sum), backward
    makes the weights of a block again. The gradients of keys and values are summed
    over the blocks in order; only matrices run in parallel there. So results do not
    depend on the number of threads.

    ```mlir
    // before
    %s = linalg.batch_matmul ins(%q, %kT : tensor<8x1024x64xf32>, tensor<8x64x1024xf32>) outs(%zero : tensor<8x1024x1024xf32>)
    %m = linalg.generic ins(%s) outs(%least) { maximumf } -> tensor<8x1024xf32>
    %e = linalg.generic ins(%s, %m) { exp(s - m) } -> tensor<8x1024x1024xf32>
    %z = linalg.generic ins(%e) outs(%zeros) { addf } -> tensor<8x1024xf32>
    %p = linalg.generic ins(%e, %z) { divf } -> tensor<8x1024x1024xf32>
    %o = linalg.batch_matmul ins(%p, %v)
    // after
    %r:3 = scf.forall (%n, %b) in (8, 32) shared_outs(%o, %m, %z) {
      %s = linalg.batch_matmul ins(%rows, %kT_n) outs(%zero : tensor<1x32x1024xf32>)
      ...
    ```

    The stages of an attention are its passes through the network: forward and
    backward depend on each other by way of the loss. A remark says in what blocks an
    attention is, or why a product of batches is not part of one: a matrix has another
    reader (weights that are a result of the step), or no row is normalized.
  }];
  let options = [
    Option<"minBytes", "min-bytes", "int64_t", /*default=*/"4096",
           "Bytes of all matrices of an attention from which on they are not "
           "stored.">,
    Option<"blockRows", "block-rows", "int64_t", /*default=*/"64",
           "Rows of a block, at most; with fewer, products copy their other "
           "operand more often.">,
    Option<"blockBytes", "block-bytes", "int64_t", /*default=*/"524288",
           "Bytes of a block of one matrix, at most, if it has several rows; two "
           "of them or more are alive at once.">
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"
  ];
}

def TrainLocalizeInits : Pass<"train-localize-inits"> {
  let summary = "Give each consumer its own empty tensor and fill";
  let description = [{
    Clones `tensor.empty` and `linalg.fill` so that each has one user. Shared
    zeros would be kept for the second product and copied for the first, and a
    fill that two fused products share can be in neither's loop. No CSE or LICM
    may run between this pass and bufferization.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainFuseClusters : Pass<"train-fuse-clusters"> {
  let summary = "Turn each cluster into one parallel loop nest";
  let description = [{
    A backward cluster is tiled by the rows of the parameter: a panel of the
    gradient is computed and applied while it is in cache. A forward cluster is
    tiled by the dimension of the parameter that the product does not
    contract: a panel is updated, and used. A gradient that is an outer product is
    no panel: the update multiplies. Then the cluster is inlined. Updates
    outside clusters are decomposed into linalg. The size of a panel depends on
    shapes alone, never on the number of threads.
  }];
  let options = [
    Option<"panelBytes", "panel-bytes", "int64_t", /*default=*/"131072",
           "Size in bytes of the gradient panel of one iteration, at most; a "
           "quarter of the second-level cache is a good choice. Up to four "
           "times as much where a product of more than 8 steps makes it.">
  ];
  let dependentDialects = ["::mlir::scf::SCFDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::affine::AffineDialect"];
}

def TrainUpdateRows : Pass<"train-update-rows"> {
  let summary = "Update only the rows of an embedding that a step reads";
  let description = [{
    Where a loop adds rows to zeros, and an elementwise op that changes nothing for
    a gradient of zero is all that reads them, both become loops over the rows that
    are read: the last iteration that reads a row has its sum and updates it. Sums
    and updates have the same bits; what is left out would add zero, or subtract it.
    It is done where there are at least twice as many rows as iterations.

    ```mlir
    // before
    %g = scf.for %i = %c0 to %c64 step %c1 iter_args(%a = %zeros) -> (tensor<50000x512xf32>) { ... }
    %w1 = linalg.generic ins(%g, %lr) outs(%w) { w - lr * g }
    // after
    %p = scf.for ... iter_args(%a = %empty) -> (tensor<50000xi32>) { tensor.insert %i into %a[%row] }
    %g = scf.for ... iter_args(%a = %few) -> (tensor<64x512xf32>) { add to row %p[%row] }
    %w1 = scf.for ... iter_args(%a = %w) { once where %p[%row] == %i: w - lr * g }
    ```

    A remark says for each such gradient whether it was done, and why not.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// Lower: buffers, threads, machine code
//===----------------------------------------------------------------------===//

def TrainTileConvolutions : Pass<"train-tile-convolutions"> {
  let summary = "Divide convolutions that are no products, with what pads and fills them";
  let description = [{
    On tensors: a convolution that `train-lower-convolutions` will not make a
    product of is tiled by images and channels into `scf.forall`. In each tile
    stand the padding of its input (or the insertion into zeros that spreads a
    gradient), the fill or bias of its output, and its epilogue
    (`train-mark-epilogues`); the loop makes the sums, too, if something else reads
    them. A weight gradient, whose reduction is over images too, has a loop over some
    images at a time (`scf.for`) in each tile of channels. Transposed inputs are read
    through maps.

    Of a convolution that becomes products, the image is read transposed instead of
    being transposed; other padding is divided by its first dimension, as a fill and an
    insertion for each part.

    ```mlir
    %padded = tensor.pad %x low[0, 0, 1, 1] high[0, 0, 1, 1] ...
    %bias = linalg.broadcast ins(%b : tensor<32xf32>) outs(%e : tensor<32x32x56x56xf32>) ...
    %y = linalg.depthwise_conv_2d_nchw_chw ins(%padded, %w ...) outs(%bias ...)
    ```

    becomes

    ```mlir
    %y = scf.forall (%n, %c) = (0, 0) to (32, 32) step (1, 2) shared_outs(%o = %e) {
      %slice = tensor.extract_slice %x[%n, %c, 0, 0] [1, 2, 56, 56] ...
      %padded = tensor.pad %slice low[0, 0, 1, 1] high[0, 0, 1, 1] ...
      %bias = linalg.broadcast ... outs(%tile : tensor<1x2x56x56xf32>)
      %sum = linalg.generic ins(%padded, ...) outs(%bias ...)
      ...
    ```

    Sizes are divisors and depend on shapes alone; images are never cut.
  }];
  let options = [
    Option<"minElements", "min-elements", "int64_t", /*default=*/"32768",
           "Iterations below which an op stays in one piece.">
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
  ];
}

def TrainMarkEpilogues : Pass<"train-mark-epilogues"> {
  let summary = "Choose the elementwise ops that products do on their sums";
  let description = [{
    On tensors: the first elementwise op that reads a product or a convolution, and
    those that follow it, such as bias and activation, a residual, or the gradient of an activation,
    become one op right behind the product, with the mark `plait.epilogue`. Where
    nothing else reads the product, it works in its place, so that there is no buffer
    for the sums. `train-lower-contractions` applies it to each tile of sums while
    that is in registers, and what lowers convolutions to each of their tiles;
    `train-parallelize` leaves it alone.

    ```mlir
    // before
    %p = linalg.matmul ins(%x, %w) outs(%zero) -> tensor<64x512xf32>
    %u = linalg.generic ins(%p, %bias) outs(%e0) { + }
    %y = linalg.generic ins(%u) outs(%e1) { maximum with 0 }
    // after
    %p = linalg.matmul ins(%x, %w) outs(%zero) -> tensor<64x512xf32>
    %y = linalg.generic ins(%bias) outs(%p) attrs = {plait.epilogue} { +, maximum with 0 }
    ```

    An op whose operands are made later than the product stays where it is, and so do
    those that read an operand transposed, reduce, write in place (updates), make what
    a step or loop carries to the next, compute with another type than f32, or call a function of the C library; products in
    parallel loops, which are blocks or panels in cache already, have no epilogues.
    A view that divides dimensions of the product, between it and the op, is passed
    by: the op works on the product's dimensions.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def TrainParallelize : Pass<"train-parallelize"> {
  let summary = "Split large elementwise and reduction ops among threads";
  let description = [{
    Tiles the outermost parallel dimensions of linalg ops that are neither
    contractions with rows or columns nor inside a loop already, into `scf.forall`:
    32 tiles, 64 from 2^20 iterations on, of one dimension where it has as many. What
    gives a convolution that becomes products its first values is moved to it, and
    left to `train-lower-convolutions`. Tiles depend on
    shapes alone, reductions are never split, so results are the same for every
    number of threads.
  }];
  let options = [
    Option<"minElements", "min-elements", "int64_t", /*default=*/"32768",
           "Iterations below which an op stays in one piece.">
  ];
  let dependentDialects = ["::mlir::scf::SCFDialect",
                           "::mlir::affine::AffineDialect"];
}

def TrainMaterializeNext : Pass<"train-materialize-next"> {
  let summary = "Tie each next value to its argument's buffer";
  let description = [{
    Wraps each result with the role `next` or `pending` into a
    `bufferization.materialize_in_destination` of the argument it replaces, and
    makes every argument that no result replaces read-only: inputs, frozen
    parameters, those of an evaluation. A result that may be an argument's old
    value, or is the next value of two arguments, is copied first, and so is one
    that is made in the buffer of another argument (a swap), with a remark. A step
    that something in its module calls is an error. Bufferization
    then either finds the value in place or copies it there, or refuses where a
    later reader still needs the old value; it can no longer return a fresh
    buffer silently. A value that is carried twice is copied for the second
    argument. A loop that fills an empty tensor, as a scan over layers stacks their
    gradients, fills the argument where nothing in or behind it reads that.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::linalg::LinalgDialect"];
}

def TrainMaterializeRegions : Pass<"train-materialize-regions"> {
  let summary = "Tie what loops carry to the buffer it replaces";
  let description = [{
    Wraps each tensor that an `scf.for` or `scf.while` yields into a
    `bufferization.materialize_in_destination` of the block argument it is the
    next value of, unless it is an updated version of that anyway. A value that
    may be in a carried buffer (a swap, a branch) is copied first. After
    bufferization a loop carries the buffers it started with, and no iteration
    hands a buffer of its own to the next.

    A branch yields copies of what comes from outside of it, or is there twice,
    unless the result is the next value of just that. A choice between tensors
    (`arith.select`) becomes such a branch.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::scf::SCFDialect"];
}

def TrainFinalizeAbi : Pass<"train-finalize-abi"> {
  let summary = "Give step functions the calling convention of docs/ABI.md";
  let description = [{
    After bufferization: results that are their argument's buffer disappear,
    every other result becomes a trailing argument that the caller allocates,
    roles are dropped. A remark names each parameter or state that is copied as
    a whole. The attribute `plait.gradient_bytes` of the function says for each
    parameter, by its name, how many bytes of gradients are stored in full: those
    of the buffers of the parameter's size that its update reads. A step that
    something in its module calls is an error.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def TrainCheckEpilogues : Pass<"train-check-epilogues"> {
  let summary = "See that elementwise ops can run while their products do";
  let description = [{
    On buffers: takes the mark `plait.epilogue` from ops that do not stand right
    behind a product which `train-lower-contractions` lowers or a convolution, or
    whose results may share memory with what that or the op reads, or with what gives
    a convolution's output its first values, with a remark that says why. The buffers
    of the results of the others are allocated before all of these, for they are
    written while the operands are read.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def TrainPlanArena : Pass<"train-plan-arena"> {
  let summary = "Place all buffers of a step in one caller-owned arena";
  let description = [{
    Replaces the allocations of a function by views of one trailing argument of
    `i8`s; buffers whose lifetimes do not overlap share bytes. Its size is left
    in the attribute `plait.arena_bytes` of the function. The buffers of a
    sequential loop or a branch are planned in turn, and take one place of
    their sum; a buffer that a branch yields is one of the code around it.
    A loop that carries a buffer which it allocates is an error. Allocations
    inside parallel loops are tile-sized and go to the thread's stack. Nothing
    is allocated in a step.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect",
                           "::mlir::arith::ArithDialect"];
}

def TrainExpandCopies : Pass<"train-expand-copies"> {
  let summary = "Turn copies of strided views into loops";
  let description = [{
    A `memref.copy` whose source or target is not contiguous becomes a
    `linalg.generic`, so that no library function is called for it.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def TrainExpandBFloat16 : Pass<"train-expand-bfloat16"> {
  let summary = "Convert from and to bfloat16 by integer arithmetic";
  let description = [{
    `arith.truncf` to `bf16` rounds once, to nearest even, from f32 and from f64,
    and NaN stays NaN; `arith.extf` from `bf16` shifts. Nothing is left for which
    LLVM would call a runtime library.

    Run upstream's `math-extend-to-supported-types` and
    `arith-emulate-unsupported-floats` before, which compute in f32 what is said
    in `bf16`. They mark conversions `fastmath<contract>`, by which any folder
    may drop the rounding between two ops; this pass takes the mark away.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

def TrainApproximateMath : Pass<"train-approximate-math"> {
  let summary = "Compute exp, log, tanh, erf, log1p and expm1 by arithmetic";
  let description = [{
    `math.exp`, `math.log`, `math.tanh`, `math.erf`, `math.log1p` and `math.expm1` of
    f32 become polynomials, upstream's, within a few units in the last place of the
    exact value, and zero where exp is below the least normal number; log takes what
    is below that for it. So loops around them can be vectors. `math.log1p` and
    `math.expm1` of f64 become `math.log` and `math.exp` and what corrects their
    rounding.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

def TrainCollapseLoops : Pass<"train-collapse-loops"> {
  let summary = "Make one loop of neighbours over contiguous memory";
  let description = [{
    On buffers. Loops of one iteration disappear, and neighbouring loops of the
    same kind become one, if no operand has gaps between them. Contractions and
    convolutions must be lowered before.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect"];
}

def TrainVectorizeCopies : Pass<"train-vectorize-copies"> {
  let summary = "Copy short rows as vectors";
  let description = [{
    A copy by `linalg.generic` on buffers that has a loop of at most 256
    iterations along rows of both operands becomes loops over rows, which are
    loaded and stored as vectors of 16 elements, and the rest as smaller ones.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def TrainVectorizeConvolutions : Pass<"train-vectorize-convolutions"> {
  let summary = "Lower convolutions that are no products to vector multiply-adds";
  let description = [{
    On f32 buffers of static shape: a convolution that train-lower-convolutions
    left, such as a depthwise one, becomes loops around a block of `vector.fma`.
    Vectors run along a loop that walks through a row of all operands, or of
    which they are independent: output pixels, channels (NHWC), or the pixels
    that a weight gradient adds up. Those that a stride separates are loaded
    together and shuffled. The block holds as many rows, taps and channels as
    share the most loads; sums stay in registers.

    ```mlir
    linalg.generic {indexing_maps = [(y, x, i, j) -> (y + i, x + j),
                                     (y, x, i, j) -> (i, j), (y, x, i, j) -> (y, x)]}
        ins(%image, %taps : memref<58x66xf32>, memref<3x3xf32>) outs(%o : memref<56x64xf32>)
    ```

    becomes, with the nine taps in registers,

    ```mlir
    scf.for %y = %c0 to %c56 step %c8 {
      scf.for %x = %c0 to %c64 step %c8 {
        // 8 sums, 30 loads, 72 vector.fma
      }
    }
    ```

    Sums begin in registers with the constant or the bias that a fill or broadcast
    right before would store, and the epilogue right behind is applied before they are
    stored.

    An output that vectors run along is a chain of multiply-adds for each element.
    Where they run along a reduction, each lane is one, and lanes are added in
    halves. The order depends on the shape and the width of a vector alone.

    What stays as it is gets a remark with the reason.
  }];
  let options = [
    Option<"registerRows", "register-rows", "int64_t", /*default=*/"6",
           "Half the number of vectors that may be sums.">,
    Option<"registerCols", "register-cols", "int64_t", /*default=*/"16",
           "The number of f32 lanes of two native vectors, a power of two.">,
  ];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"
  ];
}

def TrainVectorizeReductions : Pass<"train-vectorize-reductions"> {
  let summary = "Reduce along the innermost loop in 32 lanes";
  let description = [{
    A `linalg.generic` on buffers whose innermost loop is a reduction of at least
    32 elements, read in the order of memory, becomes loops with 32 accumulators,
    which are added in a fixed order: the result depends on the shape alone.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"
  ];
}

def TrainMarkSkinny : Pass<"train-mark-skinny"> {
  let summary = "Mark products with few rows, and say how they are computed";
  let description = [{
    For f32 products of a weight and a few samples:

    - `plait.dot`, with at most 8 rows, where both operands lie along k:
      `train-lower-contractions` writes dot products instead of register tiles,
      for which the weight would have to be transposed.
    - `plait.split_k = N`, with at most 64 rows, where weight and result lie
      along the lanes: k is divided into N parts. Threads divide the parts, so
      that each reads the rows that it updates.

    It runs before products are taken apart, so that a panel of one is computed
    as the whole would be.
  }];
}

def TrainLowerConvolutions : Pass<"train-lower-convolutions"> {
  let summary = "Lower bufferized convolutions to copies and products of tiles";
  let description = [{
    Replaces each f32 convolution on static-shape memrefs by loops over tiles of
    the output (`scf.forall`) and of the reduction (`scf.for`). A tile copies
    the elements of the input that it needs to a matrix, and is the product of
    the filter and that matrix, which `train-lower-contractions` lowers.

    Any layout of input and output will do; strides, dilations and groups, too.
    In the filter, the output channels must be the first or the last dimension
    behind the groups. Each element of the output is one chain of multiply-adds
    in the order of the filter's dimensions, whatever the tiles are.

    A tile of several images whose output channels lie between images and pixels
    (NCHW) is computed in a buffer of its own, and copied.

    What gives the output its first values right before (a fill, a bias) and the
    epilogue right behind (`train-mark-epilogues`) are done tile by tile. A zero stands
    right before the product, which begins with it in registers. Where the output is
    one tile that threads share, they share these, too.

    Depthwise convolutions and those with at most 8 output channels in a group
    (for `train-vectorize-convolutions`), other element types and dynamic shapes
    are left as they are, with a remark that gives the reason.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect",
  ];
}

def TrainLowerContractions : Pass<"train-lower-contractions"> {
  let summary = "Lower bufferized contractions to packed register-tiled loops";
  let description = [{
    Replaces each f32 `linalg` contraction on static-shape memrefs (one m, one
    n and one k dimension, any operand order, optional batch dimensions) by
    loops that pack blocks of the operands into stack workspaces and update
    register tiles of the accumulator with `vector.fma`.

    Every element of the result is one chain of fused multiply-adds over k in
    ascending order, starting from the value the accumulator holds. The result
    therefore has the same bits for every block size, for every number of
    threads, and for a row panel as for the whole product.

    A product that `train-mark-skinny` marked is written otherwise: as dot
    products along k, sums of a vector's width, and then of its elements, whose
    order depends on the length of k and the vector's width only; or in as many
    parts of k as the mark says, each a chain of its own.

    The elementwise op with the mark `plait.epilogue` that stands right behind a
    product is applied to the sums before they are stored: to vectors of a register
    tile, or of the sum of all parts, and to dot products while they are in cache. A
    tile that is not whole does it one element at a time. The bits are those of a
    loop of its own.

    Contractions of another element type, with dynamic extents or with another
    structure are left as they are, with a remark that gives the reason.
  }];
  let options = [
    Option<"registerRows", "register-rows", "int64_t", /*default=*/"6",
           "The number of accumulator rows of a register tile that is "
           "register-cols wide.">,
    Option<"registerCols", "register-cols", "int64_t", /*default=*/"16",
           "The number of f32 lanes of an accumulator row: two native vectors, "
           "and a power of two.">,
    Option<"blockM", "block-m", "int64_t", /*default=*/"96",
           "The largest number of rows of the broadcast operand that are "
           "packed at a time.">,
    Option<"blockN", "block-n", "int64_t", /*default=*/"256",
           "The largest number of lanes of the vector operand that are packed "
           "at a time.">,
    Option<"blockK", "block-k", "int64_t", /*default=*/"256",
           "The largest number of reduction steps between two accesses to the "
           "accumulator in memory.">,
    Option<"parallel", "parallel", "bool", /*default=*/"true",
           "Whether large contractions that are not yet inside a parallel loop "
           "become one; without it only scf.for is used and workspaces are "
           "placed at function entry.">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
  ];
}

def TrainSerializeLoops : Pass<"train-serialize-loops"> {
  let summary = "Make parallel loops with little work sequential";
  let description = [{
    After bufferization: an `scf.forall` whose structured ops have fewer
    elements in total than `min-elements` becomes `scf.for`, because waking the
    threads would take longer. Eight multiply-adds of a product count as one
    element, as for products that are parallel themselves: what touches a weight
    is parallel altogether or not at all. Counts depend on shapes alone.
  }];
  let options = [
    Option<"minElements", "min-elements", "int64_t", /*default=*/"131072",
           "Elements of structured ops, over the whole loop, from which on a "
           "loop stays parallel.">
  ];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def TrainSideBySide : Pass<"train-side-by-side"> {
  let summary = "Run independent loops of a step at the same time";
  let description = [{
    Puts the parallel loops of a function, and the ops between them, into levels
    by what they read and write: arguments, which do not overlap, ranges of bytes
    of the arena, and stack buffers. A loop that others do not wait for, as of an
    update, may run at a later level. The loops of a level become one
    `scf.parallel` over `lanes`:

    ```mlir
    scf.parallel (%lane) = (0) to (64) step (1) {
      scf.for %i = %begin0 to %end0 step %c1 {    // of the next gradient
      }
      scf.for %i = %begin1 to %end1 step %c1 {    // of an update
      }
    }
    ```

    Bounds divide the tiles of each loop equally among the lanes, in order, but
    such that loops with few tiles have them in different lanes. Serial ops that
    take some microseconds are run by the first lane, which has no tiles then,
    where the loops of their level have fewer than `lanes` tiles.

    Two views of one argument are taken for one; so are a view of the arena whose
    place is not known, and the whole arena. What may touch anything, such as a
    call, a global, or a memref that is one of two, stays where it is, and so does
    everything in a function that its module calls: it may be given one buffer
    twice. Loops that have `lanes` tiles together are enough, and so is 1 MiB of
    stack; a loop that loads and stores more than 2^22 elements runs alone. Results
    do not change by a bit, for tiles are as they were, and the division depends on
    shapes alone.
  }];
  let options = [
    Option<"lanes", "lanes", "int64_t", /*default=*/"64",
           "Into how many parts a level is divided: as many threads as can be "
           "used.">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect",
  ];
}

def TrainOmitBarriers : Pass<"train-omit-barriers"> {
  let summary = "Wait once at the end of a parallel region";
  let description = [{
    After OpenMP conversion: a worksharing loop that is the last op of its
    parallel region gets `nowait`, for the region's end is a barrier itself.
  }];
}

def TrainHoistWorkspaces : Pass<"train-hoist-workspaces"> {
  let summary = "Take stack buffers once per thread";
  let description = [{
    After OpenMP conversion: moves static stack buffers of loop iterations to
    the start of the parallel region (or of the function), so that each thread
    takes them once.
  }];
}

def TrainConvertToLlvm : Pass<"train-convert-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Convert what is left to the LLVM dialect, in one conversion";
  let description = [{
    Upstream's patterns for `arith`, `memref`, `func`, `omp` and `cf` together, with
    the calling convention of docs/ABI.md: of a buffer, its pointer. It does what
    their passes do one after the other.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // PLAIT_PASSES_TD
