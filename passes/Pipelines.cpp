//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The whole compiler on one screen: which pass runs when, and why there.
//
//===----------------------------------------------------------------------===//

#include "plait/Passes.h"
#include "plait/Target/BlockSizes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void plait::buildRolesPipeline(OpPassManager &pm) {
  // Importers leave calls and roles as strings.
  pm.addPass(createTrainRolesFromStrings());
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  // Looks at what updates read, so calls must be gone.
  pm.addPass(createTrainRolesFromAliasing());
}

void plait::buildSchedulePipeline(OpPassManager &pm, StringRef policy,
                                  const TargetOptions &target) {
  buildRolesPipeline(pm);
  // Arithmetic on tensors, in the regions of updates as well: only what is linalg
  // has a destination, and can be tiled and fused.
  pm.addPass(createConvertElementwiseToLinalgPass());
  // Gradients of convolutions, as convolutions without zeros and gathers: before
  // transposes, some of which are parts of what is turned around here.
  pm.addPass(createTrainSkipZeros());
  pm.addPass(createTrainOrderFilters());
  // Views of parameters are folded before placement: a transpose folded later
  // would move the read of W past its update.
  pm.addPass(createTrainFoldTransposes());
  pm.addPass(createTrainFoldUnitDims());
  // Raise while the optimizer's ops are still its own: elementwise fusion would
  // join them to the gradient's, and repeat scalar maths for each element.
  pm.addNestedPass<func::FuncOp>(createTrainRaise());
  pm.addPass(createTrainFoldSlices());
  pm.addPass(createTrainFuseElementwise());
  // The last CSE of the pipeline, see train-localize-inits.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createTrainMergeSiblings());
  if (target.blockParameters) {
    TrainBlockParametersOptions layout;
    layout.block = target.registerCols;
    pm.addPass(createTrainBlockParameters(layout));
  }
  // Decide, then obey.
  TrainPlaceOptions place;
  place.policy = policy.str();
  place.panelBytes = target.panelBytes;
  place.cacheBytes = target.cost.cacheBytes;
  place.coreGflops = target.cost.coreGflops;
  place.cacheGbs = target.cost.cacheGBs;
  place.memoryGbs = target.cost.memoryGBs;
  pm.addNestedPass<func::FuncOp>(createTrainPlace(place));
  pm.addNestedPass<func::FuncOp>(createTrainBackwardFusion());
  pm.addPass(createTrainForwardFusion());
}

/// Tensors to buffers; a step's carried values end up in their arguments.
static void addBufferization(OpPassManager &pm) {
  pm.addPass(plait::createTrainMaterializeNext());
  pm.addPass(plait::createTrainMaterializeRegions());
  // Destinations that are only copied to their argument become that argument.
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  // What is left of parallel insertions and materialize_in_destination are
  // copies of views onto themselves: CSE makes the two views one, and the copy
  // folds. Buffers have no fills to share, so CSE is harmless again.
  pm.addPass(createCSEPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(plait::createTrainFinalizeAbi());
  // It says how long buffers are alive.
  pm.addPass(plait::createTrainCheckEpilogues());
  // Before buffers are placed, for it makes some.
  pm.addPass(plait::createTrainLowerConvolutions());
  pm.addPass(plait::createTrainPlanArena());
}

/// Arithmetic on bfloat16 to f32, with a rounding after each op. Nothing that
/// folds may run in between.
static void addBFloat16(OpPassManager &pm) {
  math::MathExtendToSupportedTypesOptions functions;
  functions.extraTypeStrs = {"f16"};
  pm.addPass(math::createMathExtendToSupportedTypes(functions));
  arith::ArithEmulateUnsupportedFloatsOptions arithmetic;
  arithmetic.sourceTypeStrs = {"bf16"};
  pm.addPass(arith::createArithEmulateUnsupportedFloats(arithmetic));
  pm.addPass(plait::createTrainExpandBFloat16());
}

/// Buffers to the LLVM dialect.
static void addLlvm(OpPassManager &pm, const plait::TargetOptions &target) {
  // Before products become loops: it counts structured ops.
  pm.addPass(plait::createTrainSerializeLoops());
  plait::TrainLowerContractionsOptions products;
  products.registerRows = target.registerRows;
  products.registerCols = target.registerCols;
  plait::BlockSizes blocks = plait::chooseBlockSizes(target);
  products.blockM = blocks.rows;
  products.blockN = blocks.lanes;
  products.blockK = blocks.steps;
  pm.addPass(plait::createTrainLowerContractions(products));
  // Before loops over elements change: some are parts of it.
  plait::TrainVectorizeConvolutionsOptions windows;
  windows.registerRows = target.registerRows;
  windows.registerCols = target.registerCols;
  pm.addPass(plait::createTrainVectorizeConvolutions(windows));
  pm.addPass(plait::createTrainExpandCopies());
  addBFloat16(pm);
  // What is left is loops over elements: make them such that vectors can be used.
  pm.addPass(plait::createTrainApproximateMath());
  pm.addPass(plait::createTrainCollapseLoops());
  pm.addPass(plait::createTrainVectorizeCopies());
  pm.addPass(plait::createTrainVectorizeReductions());
  pm.addPass(createConvertLinalgToLoopsPass());
  pm.addPass(createForallToParallelLoopPass());
  pm.addPass(createConvertVectorToSCFPass());
  // The last that sees loops and tiles.
  if (target.sideBySide)
    pm.addPass(plait::createTrainSideBySide());
  pm.addPass(createConvertSCFToOpenMPPass());
  pm.addPass(plait::createTrainOmitBarriers());
  // Both make the alloca_scope disappear that OpenMP conversion leaves around
  // each body; it does not survive the way to cf.
  pm.addPass(plait::createTrainHoistWorkspaces());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLLVMPass());
  // Takes vectors apart for what has no intrinsic.
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(plait::createTrainConvertToLlvm());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void plait::buildLoweringPipeline(OpPassManager &pm,
                                  const TargetOptions &target) {
  // It moves readers, so updates are put in order after it.
  pm.addPass(createTrainBlockAttention());
  // While updates are still whole, and nothing moves any more.
  pm.addNestedPass<func::FuncOp>(createTrainOrderUpdates());
  pm.addPass(createTrainMarkSkinny());
  // From here to bufferization: no CSE, no LICM. Either would share the zero
  // fills of equal products again, and cost copies of full tensors.
  pm.addPass(createTrainLocalizeInits());
  TrainFuseClustersOptions fuse;
  fuse.panelBytes = target.panelBytes;
  pm.addPass(createTrainFuseClusters(fuse));
  // Updates are linalg ops now, and loops still whole.
  pm.addPass(createTrainUpdateRows());
  // Before threads divide the loops that products take in, and before buffers.
  if (target.epilogues)
    pm.addPass(createTrainMarkEpilogues());
  // What clusters and epilogues fuse must not be divided alone before.
  pm.addPass(createTrainTileConvolutions());
  pm.addPass(createTrainParallelize());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createTrainLocalizeInits());
  addBufferization(pm);
  addLlvm(pm, target);
}

namespace {
/// What both pipelines are told. plait-run asks the CPU for the constants; text
/// for another compiler must say them.
template <typename Options>
struct ScheduleOptionsBase : PassPipelineOptions<Options> {
  template <typename T>
  using Option = typename PassPipelineOptions<Options>::template Option<T>;
  Option<std::string> policy{
      *this, "policy",
      llvm::cl::desc("Where updates run: baseline, backward, forward or auto."),
      llvm::cl::init("backward")};
  Option<int64_t> l1Bytes{
      *this, "l1-bytes",
      llvm::cl::desc(
          "Bytes of data that the first cache holds for a core: what "
          "the register tiles of products read."),
      llvm::cl::init(plait::CacheSizes().l1Bytes)};
  Option<int64_t> l2Bytes{
      *this, "l2-bytes",
      llvm::cl::desc("The same of the second cache: packed blocks of products, "
                     "and panels of gradients."),
      llvm::cl::init(plait::CacheSizes().l2Bytes)};
  Option<int64_t> cacheBytes{
      *this, "cache-bytes",
      llvm::cl::desc("Size of the last-level cache, for auto."),
      llvm::cl::init(plait::CostConstants().cacheBytes)};
  Option<double> coreGflops{
      *this, "core-gflops",
      llvm::cl::desc("f32 multiply-adds of one core, counted as two, in 10^9 a "
                     "second, for auto."),
      llvm::cl::init(plait::CostConstants().coreGflops)};
  Option<double> cacheGbs{
      *this, "cache-gbs",
      llvm::cl::desc("GB/s that one core reads and writes in the last-level "
                     "cache, for auto."),
      llvm::cl::init(plait::CostConstants().cacheGBs)};
  Option<double> memoryGbs{*this, "memory-gbs",
                           llvm::cl::desc("The same in memory, for auto."),
                           llvm::cl::init(plait::CostConstants().memoryGBs)};

  Option<bool> blockParameters{
      *this, "block-parameters",
      llvm::cl::desc(
          "Keep weights in the layout that products of few rows read. "
          "Changes the types of the step's arguments."),
      llvm::cl::init(false)};

  plait::TargetOptions target() const {
    plait::TargetOptions target;
    target.blockParameters = blockParameters;
    plait::setCaches(target, {l1Bytes, l2Bytes});
    target.cost = {cacheBytes, coreGflops, cacheGbs, memoryGbs};
    return target;
  }
};

struct ScheduleOptions : ScheduleOptionsBase<ScheduleOptions> {};

struct ToLlvmOptions : ScheduleOptionsBase<ToLlvmOptions> {
  Option<int64_t> registerRows{
      *this, "register-rows",
      llvm::cl::desc("Rows of a product's register tile: 6 for AVX2, 8 for "
                     "AVX-512."),
      llvm::cl::init(plait::TargetOptions().registerRows)};
  Option<int64_t> registerCols{
      *this, "register-cols",
      llvm::cl::desc("Lanes of a product's register tile, two vectors: 16 for "
                     "AVX2, 32 for AVX-512."),
      llvm::cl::init(plait::TargetOptions().registerCols)};
  Option<bool> epilogues{
      *this, "epilogues",
      llvm::cl::desc("Apply elementwise ops to the sums of products."),
      llvm::cl::init(plait::TargetOptions().epilogues)};
  Option<bool> sideBySide{
      *this, "side-by-side",
      llvm::cl::desc("Whether independent loops with few tiles share threads."),
      llvm::cl::init(plait::TargetOptions().sideBySide)};
};
} // namespace

void plait::registerPlaitPipelines() {
  PassPipelineRegistration<ScheduleOptions>(
      "plait-schedule",
      "Raise a training graph, decide where its updates run, and move them.",
      [](OpPassManager &pm, const ScheduleOptions &options) {
        buildSchedulePipeline(pm, options.policy, options.target());
      });
  PassPipelineRegistration<ToLlvmOptions>(
      "plait-to-llvm", "The whole way from a training graph to LLVM.",
      [](OpPassManager &pm, const ToLlvmOptions &options) {
        TargetOptions target = options.target();
        target.registerRows = options.registerRows;
        target.registerCols = options.registerCols;
        target.epilogues = options.epilogues;
        target.sideBySide = options.sideBySide;
        buildSchedulePipeline(pm, options.policy, target);
        buildLoweringPipeline(pm, target);
      });
}
