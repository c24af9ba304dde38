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

#include "Session.h"

#include "plait/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/PassManager.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

using namespace mlir;
using namespace plait;
using namespace plait::run;
using runtime::HostTensor;
using runtime::Status;

FailureOr<std::unique_ptr<Session>>
Session::create(ModuleOp module, const SessionOptions &options) {
  auto start = std::chrono::steady_clock::now();
  auto session = std::make_unique<Session>();
  session->name = options.schedule;
  OwningOpRef<ModuleOp> copy = module.clone();

  // Roles first: they say which function is the step.
  PassManager roles(module.getContext());
  buildRolesPipeline(roles);
  PassManager schedule(module.getContext());
  buildSchedulePipeline(schedule, options.schedule);
  if (failed(roles.run(*copy)))
    return failure();
  auto entry = findEntry(*copy, options.entry);
  if (failed(entry))
    return failure();
  std::string entryName = SymbolTable::getSymbolName(*entry).str();
  auto plain = readSignature(*entry);
  if (failed(plain) || failed(schedule.run(*copy)))
    return failure();
  session->plain = *plain;

  auto record = [&](StringRef key, StringRef symbol) -> LogicalResult {
    auto fn = copy->lookupSymbol<FunctionOpInterface>(symbol);
    if (!fn)
      return success();
    auto signature = readSignature(fn);
    if (failed(signature))
      return failure();
    session->functions[key.str()] = *signature;
    return success();
  };
  if (failed(record("", entryName)) ||
      failed(record("_first", entryName + "_first")) ||
      failed(record("_flush", entryName + "_flush")))
    return failure();
  session->updates =
      reportUpdates(copy->lookupSymbol<FunctionOpInterface>(entryName));
  if (!options.eval.empty()) {
    if (!copy->lookupSymbol(options.eval))
      return module.emitError("has no function @") << options.eval;
    if (failed(record("eval", options.eval)))
      return failure();
    session->evalPlain = session->functions["eval"];
  }

  auto target = targetOptionsFor(options.cpu);
  if (!target)
    return module.emitError(llvm::toString(target.takeError()));
  PassManager lower(module.getContext());
  buildLoweringPipeline(lower, *target);
  if (failed(lower.run(*copy)))
    return failure();
  for (auto fn : copy->getOps<LLVM::LLVMFuncOp>())
    if (auto bytes = fn->getAttrOfType<IntegerAttr>("plait.arena_bytes"))
      session->arenaBytes = std::max(session->arenaBytes, bytes.getInt());
  auto jit = Jit::create(*copy, {options.cpu});
  if (!jit)
    return module.emitError(llvm::toString(jit.takeError()));
  session->jit = std::move(*jit);

  for (auto &[key, signature] : session->functions)
    if (Status status = session->allocate(signature); !status)
      return module.emitError(status.message());
  auto arena = HostTensor::zeros(runtime::DType::U8, {session->arenaBytes});
  if (!arena)
    return module.emitError(arena.message());
  session->arena = std::move(*arena);
  session->compileMs = std::chrono::duration<double, std::milli>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  return session;
}

/// Outputs of different functions may share a name, but not a buffer.
static std::string keyOf(const StepSignature &signature, const Slot &slot) {
  bool own = slot.kind == Kind::Output || slot.kind == Kind::Input;
  return own ? signature.function + "/" + slot.name : slot.name;
}

Status Session::allocate(const StepSignature &signature) {
  for (const Slot &slot : signature.slots) {
    std::string key = keyOf(signature, slot);
    if (buffers.count(key))
      continue;
    auto tensor = HostTensor::zeros(slot.dtype, slot.shape);
    if (!tensor)
      return runtime::Error{tensor.message()};
    buffers[key] = std::move(*tensor);
  }
  return Status::success();
}

Status Session::load(const Tensors &tensors) {
  for (const Slot *slot : carried()) {
    auto it = tensors.find(slot->name);
    if (it == tensors.end())
      return runtime::Error{"no tensor named '" + slot->name +
                            "' in the inputs"};
    if (it->second.dtype != slot->dtype || it->second.shape != slot->shape)
      return runtime::Error{
          "'" + slot->name + "' has type " +
          runtime::describe(it->second.dtype, it->second.shape) +
          ", the step expects " +
          runtime::describe(slot->dtype, slot->shape)};
  }
  for (const Slot *slot : carried()) {
    HostTensor &buffer = buffers[slot->name];
    std::memcpy(buffer.data.data(), tensors.at(slot->name).data.data(),
                buffer.data.size());
  }
  pending = false;
  return Status::success();
}

Status Session::call(const StepSignature &signature) {
  std::vector<void *> pointers;
  for (const Slot &slot : signature.slots)
    pointers.push_back(buffers[keyOf(signature, slot)].data.data());
  pointers.push_back(arena.data.data());
  if (llvm::Error error = jit->call(signature.function, pointers))
    return runtime::Error{llvm::toString(std::move(error))};
  return Status::success();
}

Status Session::fillInputs(const StepSignature &signature,
                           runtime::DataFeed &feed) {
  std::vector<void *> destinations;
  for (const Slot &slot : signature.slots)
    if (slot.kind == Kind::Input)
      destinations.push_back(buffers[keyOf(signature, slot)].data.data());
  return feed.fill(feed.cursor().step, destinations);
}

Status Session::step(runtime::DataFeed &feed) {
  bool first = functions.count("_first") && !pending;
  const StepSignature &signature = functions[first ? "_first" : ""];
  if (Status status = fillInputs(signature, feed); !status)
    return status;
  pending = functions.count("_first") != 0;
  last = &signature;
  return call(signature);
}

Status Session::flush() {
  if (!pending)
    return Status::success();
  pending = false;
  return call(functions["_flush"]);
}

Status Session::evaluate(runtime::DataFeed &feed) {
  if (Status status = flush(); !status)
    return status;
  const StepSignature &signature = functions["eval"];
  if (Status status = fillInputs(signature, feed); !status)
    return status;
  return call(signature);
}

HostTensor *Session::find(StringRef name) {
  auto it = buffers.find(name.str());
  return it == buffers.end() ? nullptr : &it->second;
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
  for (const auto &[key, signature] : functions)
    for (const Slot &slot : signature.slots)
      if (slot.kind == kind && key.empty())
        total += runtime::byteSize(slot.dtype, slot.shape).value_or(0);
  return total;
}
