//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sessions: compile, allocate once, call.
//
//===----------------------------------------------------------------------===//

#include "plait/Driver/Session.h"
#include "SessionTarget.h"

#include "plait/Codegen/Cpu.h"
#include "plait/Driver/Memory.h"
#include "plait/Passes.h"
#include "plait/Transforms.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/ErrorHandling.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <omp.h>

using namespace mlir;
using namespace plait;
using namespace plait::run;
using runtime::HostTensor;
using runtime::Status;

FailureOr<std::string> Session::place(ModuleOp module,
                                      const SessionOptions &options,
                                      const TargetOptions &target) {
  // Roles first: they say which function is the step.
  PassManager roles(module.getContext());
  buildRolesPipeline(roles);
  if (failed(roles.run(module)))
    return failure();
  auto step = findEntry(module, options.entry);
  if (failed(step))
    return failure();
  std::string symbol = SymbolTable::getSymbolName(*step).str();
  auto signature = readSignature(*step);
  if (failed(signature))
    return failure();
  plain = *signature;
  for (const Slot &slot : plain.slots)
    if (slot.blockedDim)
      return emitError(slot.loc) << "'" << slot.name
                                 << "' has 'train.blocked_dim', which the "
                                    "compiler writes; give the "
                                    "step with row-major parameters";
  auto keys = readModelKeys(*step, plain);
  if (failed(keys))
    return failure();
  modelKeys = *keys;
  if (auto fn = module.lookupSymbol<FunctionOpInterface>(options.eval)) {
    auto eval = readSignature(fn);
    if (failed(eval))
      return failure();
    evalPlain = *eval;
  }
  PassManager schedule(module.getContext());
  buildSchedulePipeline(schedule, options.schedule, target);
  if (failed(schedule.run(module)))
    return failure();
  return symbol;
}

/// A check takes inputs and buffers of the step, and gives truth values. Not
/// parameters: under `forward` their updates may be pending.
static LogicalResult verifyCheck(const StepSignature &check,
                                 const StepSignature &step) {
  for (const Slot &slot : check.slots) {
    if (slot.kind == Kind::Output) {
      if (slot.dtype == runtime::DType::Bool && slot.shape.empty())
        continue;
      return emitError(slot.loc) << "@" << check.function << " returns '"
                                 << slot.name << "', which is no tensor<i1>";
    }
    const Slot *same = step.find(slot.kind, slot.name);
    if ((slot.kind != Kind::Input && slot.kind != Kind::Buffer) || !same ||
        same->dtype != slot.dtype || same->shape != slot.shape)
      return emitError(slot.loc)
             << "@" << check.function << " takes '" << slot.name
             << "', which is no input or buffer of the step of that type";
  }
  return success();
}

LogicalResult Session::describe(ModuleOp module, StringRef entry,
                                StringRef eval) {
  auto record = [&](StringRef key, const Twine &symbol) -> LogicalResult {
    auto fn = module.lookupSymbol<FunctionOpInterface>(symbol.str());
    if (!fn)
      return success();
    auto signature = readSignature(fn);
    if (failed(signature))
      return failure();
    functions[key.str()].signature = *signature;
    return success();
  };
  if (failed(record("", entry)) || failed(record("_first", entry + "_first")) ||
      failed(record("_flush", entry + "_flush")) ||
      failed(record("_check", entry + "_check")))
    return failure();
  if (functions.count("_check") &&
      failed(verifyCheck(functions["_check"].signature, plain)))
    return failure();
  updates = reportUpdates(module.lookupSymbol<FunctionOpInterface>(entry));
  if (eval.empty())
    return success();
  if (!module.lookupSymbol(eval))
    return module.emitError("has no function @") << eval;
  return record("eval", eval);
}

void Session::readSizes(ModuleOp module, StringRef entry) {
  for (auto fn : module.getOps<LLVM::LLVMFuncOp>())
    if (auto bytes = fn->getAttrOfType<IntegerAttr>("plait.arena_bytes"))
      arenaBytes = std::max(arenaBytes, bytes.getInt());
  auto step = module.lookupSymbol<LLVM::LLVMFuncOp>(entry);
  auto gradients = step->getAttrOfType<DictionaryAttr>("plait.gradient_bytes");
  if (!gradients)
    return;
  llvm::StringSet<> counted; // of a parameter with two updates: once
  for (UpdateReport &update : updates)
    if (auto bytes = gradients.getAs<IntegerAttr>(update.param);
        bytes && counted.insert(update.param).second)
      update.gradientBytes = bytes.getInt();
}

LogicalResult Session::generate(ModuleOp module, StringRef entry,
                                const std::string &cpu,
                                const TargetOptions &target) {
  PassManager lower(module.getContext());
  buildLoweringPipeline(lower, target);
  if (failed(lower.run(module)))
    return failure();
  readSizes(module, entry);
  auto code = Jit::create(module, {cpu});
  if (!code)
    return module.emitError(llvm::toString(code.takeError()));
  jit = std::move(*code);
  return success();
}

FailureOr<std::unique_ptr<Session>>
Session::create(ModuleOp module, const SessionOptions &options,
                std::shared_ptr<SessionMemory> memory) {
  auto start = std::chrono::steady_clock::now();
  int64_t before = residentBytes();
  auto session = std::make_unique<Session>();
  auto name = resolveSchedule(module, options.schedule);
  if (failed(name))
    return failure();
  session->name = *name;
  session->threads = options.threads;
  session->memory = std::move(memory);
  auto target = targetFor(module, options);
  if (failed(target))
    return failure();
  if (llvm::Error error = checkRunsHere(options.cpu))
    return module.emitError(llvm::toString(std::move(error)));
  OwningOpRef<ModuleOp> copy = module.clone();
  auto entry = session->place(*copy, options, *target);
  if (failed(entry) || failed(session->describe(*copy, *entry, options.eval)) ||
      failed(session->generate(*copy, *entry, options.cpu, *target)))
    return failure();
  // What compiling needed goes before what training needs comes.
  copy = nullptr;
  releaseFreeMemory();
  // What the threads take is the process's, not the step's.
  session->withThreads([] { startThreads(); });
  session->compiledBytes = residentBytes() - before;
  if (Status status = session->allocate(); !status)
    return module.emitError(status.message());
  session->compileMs = std::chrono::duration<double, std::milli>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  return session;
}

/// Outputs of different functions may share a name, but not a buffer; nor do an
/// input and an output of one function.
static std::string keyOf(const StepSignature &signature, const Slot &slot) {
  if (slot.kind == Kind::Output)
    return signature.function + "/" + slot.name;
  if (slot.kind == Kind::Input)
    return signature.function + "<" + slot.name;
  return slot.name;
}

Status Session::allocate() {
  // Sessions that share memory share the arena: it is as large as the largest
  // of them needs, and its address is looked up at each call.
  if (int64_t(memory->arena.data.size()) < arenaBytes) {
    auto space = HostTensor::zeros(runtime::DType::U8, {arenaBytes});
    if (!space)
      return runtime::Error{space.message()};
    memory->arena = std::move(*space);
  }
  for (auto &[suffix, function] : functions) {
    for (const Slot &slot : function.signature.slots) {
      std::string key = keyOf(function.signature, slot);
      if (slot.blockedDim)
        blocked.try_emplace(key, slot);
      if (!memory->buffers.count(key)) {
        // As tensor files have it; a layout has as many bytes.
        const Slot *row = plain.find(slot.kind, slot.name);
        auto tensor = HostTensor::zeros(
            slot.dtype, row && slot.blockedDim ? row->shape : slot.shape);
        if (!tensor)
          return runtime::Error{tensor.message()};
        memory->buffers[key].tensor = std::move(*tensor);
      }
      function.arguments.push_back(memory->buffers[key].tensor.data.data());
      if (slot.kind == Kind::Input)
        function.inputs.push_back(function.arguments.back());
    }
    function.prepare(*jit);
  }
  return Status::success();
}

void Session::Function::prepare(const Jit &jit) {
  code = jit.find(signature.function);
  assert(code && "every function of the schedule is compiled");
  values.resize(arguments.size() + 1);
  for (void *&value : values)
    packed.push_back(&value);
}

Status Session::checkCarried(const Tensors &tensors) const {
  for (const Slot *slot : carried()) {
    auto it = tensors.find(slot->name);
    if (it == tensors.end())
      return runtime::Error{"no tensor named '" + slot->name +
                            "' in the inputs"};
    if (it->second.dtype != slot->dtype || it->second.shape != slot->shape)
      return runtime::Error{
          "'" + slot->name + "' has type " +
          runtime::describe(it->second.dtype, it->second.shape) +
          ", the step expects " + runtime::describe(slot->dtype, slot->shape)};
  }
  return Status::success();
}

Status Session::load(const Tensors &tensors) {
  if (Status status = checkCarried(tensors); !status)
    return status;
  for (const Slot *slot : carried())
    write(*slot, tensors.at(slot->name).data.data());
  pending = false;
  return Status::success();
}

Status Session::take(Tensors &tensors) {
  if (Status status = checkCarried(tensors); !status)
    return status;
  for (const Slot *slot : carried()) {
    write(*slot, tensors.at(slot->name).data.data());
    tensors.erase(slot->name);
  }
  pending = false;
  return Status::success();
}

void Session::withThreads(llvm::function_ref<void()> work) {
  // OpenMP keeps the number for each thread that calls: it is put back, since
  // the thread is not ours.
  int before = omp_get_max_threads();
  if (threads)
    omp_set_num_threads(threads);
  work();
  if (threads)
    omp_set_num_threads(before);
}

void Session::write(const Slot &slot, const void *data) {
  SessionBuffer &buffer = memory->buffers[slot.name];
  runtime::AlignedBytes &bytes = buffer.tensor.data;
  withThreads([&] { copyByThreads(bytes.data(), data, bytes.size()); });
  buffer.isBlocked = false;
}

void Session::convert(SessionBuffer &buffer, const Slot &slot, bool isImport) {
  auto copy = buffer.tensor.clone();
  if (!copy)
    llvm::report_bad_alloc_error("no memory to convert a parameter's layout");
  Jit::Function code =
      jit->find(conversionName(isImport, slot.shape, *slot.blockedDim));
  assert(code && "each layout has its conversions");
  void *values[] = {copy->data.data(), buffer.tensor.data.data(),
                    memory->arena.data.data()};
  void *packed[] = {&values[0], &values[1], &values[2]};
  withThreads([&] { code(packed); });
  buffer.isBlocked = isImport;
}

void Session::importBlocked() {
  for (auto &[name, slot] : blocked)
    if (SessionBuffer &buffer = memory->buffers[name]; !buffer.isBlocked)
      convert(buffer, slot, /*isImport=*/true);
}

void Session::call(Function &function) {
  function.values = function.arguments;
  invoke(function);
}

void Session::call(Function &function, ArrayRef<const void *> inputs) {
  function.values = function.arguments;
  const void *const *next = inputs.begin();
  for (auto [slot, value] :
       llvm::zip(function.signature.slots, function.values))
    if (slot.kind == Kind::Input)
      // Generated code takes all of its arguments alike, and reads this one.
      value = const_cast<void *>(*next++);
  assert(next == inputs.end() && "as many inputs as the function takes");
  invoke(function);
}

void Session::invoke(Function &function) {
  importBlocked();
  // Within its capacity, as everything here: a step allocates nothing.
  function.values.push_back(memory->arena.data.data());
  withThreads([&] { function.code(function.packed.data()); });
}

Session::Function &Session::advance() {
  bool forward = functions.count("_first") != 0;
  Function &function = functions[forward && !pending ? "_first" : ""];
  pending = forward;
  last = &function.signature;
  return function;
}

Status Session::step(runtime::DataFeed &feed) {
  bool first = functions.count("_first") && !pending;
  const Function &function = functions[first ? "_first" : ""];
  if (Status status = feed.fill(feed.cursor().step, function.inputs); !status)
    return status;
  if (!functions.count("_check")) {
    call(advance());
    return Status::success();
  }
  std::vector<const void *> inputs(function.inputs.begin(),
                                   function.inputs.end());
  if (Status status = check(inputs); !status)
    return runtime::Error{"step " + std::to_string(feed.cursor().step) + ": " +
                          status.message()};
  call(advance());
  return Status::success();
}

Status Session::check(ArrayRef<const void *> inputs) {
  auto found = functions.find("_check");
  if (found == functions.end())
    return Status::success();
  Function &function = found->second;
  llvm::StringMap<const void *> given;
  const void *const *next = inputs.begin();
  for (const Slot &slot : plain.slots)
    if (slot.kind == Kind::Input)
      given[slot.name] = *next++;
  std::vector<const void *> taken;
  for (const Slot &slot : function.signature.slots)
    if (slot.kind == Kind::Input)
      taken.push_back(given.lookup(slot.name));
  call(function, taken);
  for (auto [slot, argument] :
       llvm::zip(function.signature.slots, function.arguments))
    if (slot.kind == Kind::Output && *static_cast<const char *>(argument))
      return runtime::Error{slot.name};
  return Status::success();
}

Status Session::step(ArrayRef<const void *> inputs) {
  call(advance(), inputs);
  return Status::success();
}

Status Session::flush() {
  if (pending)
    call(functions["_flush"]);
  pending = false;
  return Status::success();
}

Status Session::evaluate(runtime::DataFeed &feed) {
  if (Status status = flush(); !status)
    return status;
  Function &function = functions["eval"];
  if (Status status = feed.fill(feed.cursor().step, function.inputs); !status)
    return status;
  call(function);
  return Status::success();
}

HostTensor *Session::find(StringRef name) {
  auto it = memory->buffers.find(name.str());
  if (it == memory->buffers.end())
    return nullptr;
  SessionBuffer &buffer = it->second;
  if (auto slot = blocked.find(name.str());
      slot != blocked.end() && buffer.isBlocked)
    convert(buffer, slot->second, /*isImport=*/false);
  return &buffer.tensor;
}

std::vector<const Slot *> Session::carried() const {
  std::vector<const Slot *> slots;
  for (const Slot &slot : plain.slots)
    if (slot.isCarried())
      slots.push_back(&slot);
  return slots;
}

HostTensor *Session::output(const StepSignature &signature, StringRef name) {
  return find(signature.function + "/" + name.str());
}

float Session::loss() {
  if (last)
    for (const Slot &slot : last->slots)
      if (slot.kind == Kind::Output && slot.dtype == runtime::DType::F32 &&
          slot.shape.empty())
        return *output(*last, slot.name)->as<float>();
  return std::numeric_limits<float>::quiet_NaN();
}

int64_t Session::gradientBytes() const {
  int64_t total = 0;
  for (const UpdateReport &update : updates)
    total += update.gradientBytes;
  return total;
}

int64_t Session::bytesOf(Kind kind) const {
  int64_t total = 0;
  for (const auto &[key, function] : functions)
    for (const Slot &slot : function.signature.slots)
      if (slot.kind == kind && key.empty())
        total += runtime::byteSize(slot.dtype, slot.shape).value_or(0);
  return total;
}

int64_t Session::peakBytes() const {
  llvm::StringMap<int64_t> bytes;
  for (const auto &[key, function] : functions)
    for (const Slot &slot : function.signature.slots)
      bytes[keyOf(function.signature, slot)] =
          runtime::byteSize(slot.dtype, slot.shape).value_or(0);
  int64_t total = arenaBytes;
  for (const auto &entry : bytes)
    total += entry.getValue();
  return total;
}
