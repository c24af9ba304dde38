//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A session: one step, compiled under one schedule, with the buffers it owns.
//
// It knows when updates are pending (forward placement), runs the right one of
// the three functions, and flushes before anyone reads a parameter.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DRIVER_SESSION_H
#define PLAIT_DRIVER_SESSION_H

#include "plait/Codegen/Jit.h"
#include "plait/Driver/StepSignature.h"
#include "plait/Runtime/DataFeed.h"
#include "plait/Target/TargetOptions.h"

#include <map>
#include <memory>

namespace plait::run {

/// How parameters lie in memory.
enum class Layout {
  RowMajor, ///< as in tensor files
  Auto      ///< as products read them, where that is faster
};

struct SessionOptions {
  std::string entry;
  /// A placement, or `auto`.
  std::string schedule = "backward";
  std::string cpu;
  std::string eval; ///< a second function to compile, or empty
  Layout layout = Layout::Auto;
  unsigned threads = 0;       ///< of each call; 0: what OpenMP would take
  CacheSizes caches = {0, 0}; ///< 0: as of the cpu
  /// For `auto`; 0: as of the cpu.
  CostConstants cost = {0, 0, 0, 0};
  /// Whether products apply what follows to their sums; no bit depends on it.
  bool epilogues = true;
  /// Whether independent loops share threads; no bit depends on it.
  bool sideBySide = true;
};

/// Named tensors, as in tensor files.
using Tensors = std::map<std::string, runtime::HostTensor>;

/// A buffer, and whether it holds what the generated code expects: a tensor with
/// a layout of its own is row-major while somebody reads or writes it.
struct SessionBuffer {
  runtime::HostTensor tensor;
  bool isBlocked = false;
};

/// The buffers of a session, by their names in tensor files, and its arena.
struct SessionMemory {
  std::map<std::string, SessionBuffer> buffers;
  runtime::HostTensor arena;
};

class Session {
public:
  /// Compiles a copy of `module`. Diagnostics go to the context's handler.
  /// Sessions that are given the same memory take turns: each must `load`
  /// before it runs.
  static mlir::FailureOr<std::unique_ptr<Session>>
  create(mlir::ModuleOp module, const SessionOptions &options,
         std::shared_ptr<SessionMemory> memory =
             std::make_shared<SessionMemory>());

  /// What the unscheduled step takes: parameters, states and inputs.
  const StepSignature &signature() const { return plain; }

  /// Copies parameters, states and buffers in, and forgets what is pending.
  runtime::Status load(const Tensors &tensors);

  /// The same, and frees each of these tensors as soon as it is copied.
  runtime::Status take(Tensors &tensors);

  /// Copies one carried value in, after pending updates.
  void write(const Slot &slot, const void *data);

  /// Runs a step on the inputs that `feed` gives. Fails as check() does.
  runtime::Status step(runtime::DataFeed &feed);

  /// What the module's `@<step>_check`, if there is one, has against a step on
  /// these inputs: an index that is computed from them is out of range.
  runtime::Status check(llvm::ArrayRef<const void *> inputs);

  /// Runs a step on the caller's tensors, dense and row-major, one for each
  /// input in the order of signature(). They have passed check().
  runtime::Status step(llvm::ArrayRef<const void *> inputs);

  /// Applies pending updates; nothing where there are none.
  runtime::Status flush();

  /// Runs the eval function on the given inputs.
  runtime::Status evaluate(runtime::DataFeed &feed);
  const StepSignature &evalSignature() const { return evalPlain; }

  /// A buffer by its name in tensor files, row-major until the next step; null
  /// where there is none.
  runtime::HostTensor *find(llvm::StringRef name);

  /// An output of the function with `signature`, as of its last run.
  runtime::HostTensor *output(const StepSignature &signature,
                              llvm::StringRef name);
  /// The signature of the function the last step ran; null before it.
  const StepSignature *lastRun() const { return last; }

  /// Names of parameters, states and buffers, in the step's order.
  std::vector<const Slot *> carried() const;

  /// The step's first f32 scalar output: the loss; NaN where there is none.
  float loss();

  /// `train.model` of the step: keys and the tensors they name; may be empty.
  std::vector<std::pair<std::string, std::string>> modelKeys;

  double compileMs = 0;
  /// By how much the process has grown by compiling: code, and what the compiler
  /// keeps. Below 0 where it gave back more than it took.
  int64_t compiledBytes = 0;
  int64_t arenaBytes = 0;
  std::vector<UpdateReport> updates;
  int64_t gradientBytes() const;
  int64_t bytesOf(Kind kind) const;
  /// All buffers of all functions, and the arena: what a run has resident beside
  /// the process itself. Known before anything is allocated.
  int64_t peakBytes() const;
  /// The placement that was asked for; never `auto`.
  const std::string &schedule() const { return name; }
  bool hasPending() const { return pending; }

private:
  /// A compiled function and where its arguments are, without the arena.
  struct Function {
    StepSignature signature;
    std::vector<void *> arguments;
    std::vector<void *> inputs; ///< those of the arguments that are
    Jit::Function code = nullptr;
    /// Of a call: arguments and arena, and the address of each.
    std::vector<void *> values;
    std::vector<void *> packed;
    void prepare(const Jit &jit);
  };

  /// The stages of create(): updates placed and moved, then what the functions
  /// take and give, then machine code. The first returns the step's name.
  mlir::FailureOr<std::string> place(mlir::ModuleOp module,
                                     const SessionOptions &options,
                                     const TargetOptions &target);
  mlir::LogicalResult describe(mlir::ModuleOp module, llvm::StringRef entry,
                               llvm::StringRef eval);
  mlir::LogicalResult generate(mlir::ModuleOp module, llvm::StringRef entry,
                               const std::string &cpu,
                               const TargetOptions &target);
  /// What lowering wrote down about buffers.
  void readSizes(mlir::ModuleOp module, llvm::StringRef entry);

  /// On the session's own inputs, or on others in their order.
  /// Brings what a layout is for into it; what is read must be flushed before.
  void importBlocked();
  /// Moves the elements of a blocked buffer, with a copy of it beside.
  void convert(SessionBuffer &buffer, const Slot &slot, bool isImport);
  void call(Function &function);
  void call(Function &function, llvm::ArrayRef<const void *> inputs);
  void invoke(Function &function);
  void withThreads(llvm::function_ref<void()> work);
  runtime::Status checkCarried(const Tensors &tensors) const;
  runtime::Status allocate();
  /// The function that the next step is, from now on the last one.
  Function &advance();

  std::string name;
  unsigned threads = 0;
  StepSignature plain, evalPlain;
  /// The functions of the schedule, by suffix: "", "_first", "_flush"; "_check",
  /// and "eval".
  std::map<std::string, Function> functions;
  /// Carried values with a layout of their own, by their names.
  std::map<std::string, Slot> blocked;
  std::shared_ptr<SessionMemory> memory;
  std::unique_ptr<Jit> jit;
  const StepSignature *last = nullptr;
  bool pending = false;
};

} // namespace plait::run

#endif // PLAIT_DRIVER_SESSION_H
