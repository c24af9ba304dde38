//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The C API: arguments are checked here, all else is the session's.
//
//===----------------------------------------------------------------------===//

#include "plait-c/Plait.h"

#include "plait/Driver/Compile.h"
#include "plait/Driver/Memory.h"

#include <cstring>
#include <mutex>

using namespace plait;
using namespace plait::run;
using runtime::describe;
using runtime::DType;
using runtime::HostTensor;
using runtime::Shape;

struct PlaitStep {
  std::unique_ptr<Session> session;
  std::vector<const Slot *> inputs, outputs;
  /// Where inputs go that are not aligned.
  std::vector<HostTensor> aligned;
  std::mutex mutex;

  const std::vector<Slot> &slots() const { return session->signature().slots; }
};

// The public numbers are those of the runtime.
static_assert(
    int(PLAIT_F32) == int(DType::F32) && int(PLAIT_F64) == int(DType::F64) &&
    int(PLAIT_F16) == int(DType::F16) && int(PLAIT_BF16) == int(DType::BF16) &&
    int(PLAIT_I8) == int(DType::I8) && int(PLAIT_I64) == int(DType::I64) &&
    int(PLAIT_U8) == int(DType::U8) && int(PLAIT_U64) == int(DType::U64) &&
    int(PLAIT_BOOL) == int(DType::Bool));

static std::string &lastError() {
  thread_local std::string message;
  return message;
}

static PlaitStatus fail(PlaitStatus status, std::string message) {
  lastError() = std::move(message);
  return status;
}

static PlaitStatus bad(std::string message) {
  return fail(PLAIT_BAD_ARGUMENT, std::move(message));
}

static PlaitStatus finish(const runtime::Status &status) {
  return status ? PLAIT_SUCCESS : fail(PLAIT_FAILED, status.message());
}

/// Why the elements at `data` cannot be those of `slot`; empty if they can.
static std::string badElements(const void *data, uint64_t bytes,
                               const Slot &slot) {
  if (auto status = runtime::checkElements(slot.dtype, data, bytes); !status)
    return status.message();
  if (!slot.indexRange)
    return "";
  auto status = runtime::checkIndices(*slot.indexRange, slot.dtype, data,
                                      bytes / runtime::elementSize(slot.dtype));
  return status ? "" : status.message() + " (it is used as an index)";
}

/// Why `tensor` cannot be `slot`; empty if it can.
static std::string mismatch(const PlaitTensor &tensor, const Slot &slot) {
  std::string name = "'" + slot.name + "'";
  if (tensor.dtype < PLAIT_F32 || tensor.dtype > PLAIT_BOOL)
    return name + " has the unknown element type " +
           std::to_string(int(tensor.dtype));
  if (tensor.rank && !tensor.shape)
    return "the shape of " + name + " is null";
  Shape shape(tensor.shape, tensor.shape + tensor.rank);
  auto dtype = static_cast<DType>(tensor.dtype);
  if (dtype != slot.dtype || shape != slot.shape)
    return name + " has type " + describe(dtype, shape) +
           ", the step expects " + describe(slot.dtype, slot.shape);
  uint64_t bytes = *runtime::byteSize(dtype, shape);
  if (bytes && !tensor.data)
    return "the data of " + name + " is null";
  std::string problem = badElements(tensor.data, bytes, slot);
  return problem.empty() ? "" : name + ": " + problem;
}

static uint64_t bytesOf(const Slot &slot) {
  return *runtime::byteSize(slot.dtype, slot.shape);
}

const char *plaitLastError(void) { return lastError().c_str(); }

const char *plaitVersion(void) { return PLAIT_VERSION; }

PlaitStatus plaitStepCreate(const char *text, size_t length,
                            const PlaitOptions *options, PlaitStep **step) {
  if (!step)
    return bad("'step' is null: there is nowhere to put the step");
  *step = nullptr;
  if (!text)
    return bad("'text' is null");
  SessionOptions session;
  session.schedule = "auto";
  if (options) {
    session.entry = options->entry ? options->entry : "";
    session.schedule = options->schedule ? options->schedule : "auto";
    session.cpu = options->cpu ? options->cpu : "";
    session.threads = options->threads;
  }
  // The caller may have traced a model, which leaves as much behind as the
  // compiler does.
  releaseFreeMemory();
  auto compiled = compileText({text, length}, session);
  releaseFreeMemory();
  if (!compiled)
    return fail(PLAIT_NOT_COMPILED, compiled.message());
  auto made = std::make_unique<PlaitStep>();
  made->session = std::move(*compiled);
  for (const Slot &slot : made->slots()) {
    if (slot.kind == Kind::Input)
      made->inputs.push_back(&slot);
    if (slot.kind == Kind::Output)
      made->outputs.push_back(&slot);
  }
  made->aligned.resize(made->inputs.size());
  *step = made.release();
  return PLAIT_SUCCESS;
}

void plaitStepDestroy(PlaitStep *step) { delete step; }

size_t plaitStepNumSlots(const PlaitStep *step) {
  return step ? step->slots().size() : 0;
}

static PlaitKind kindOf(Kind kind) {
  switch (kind) {
  case Kind::Param:
    return PLAIT_PARAMETER;
  case Kind::State:
    return PLAIT_STATE;
  case Kind::Input:
    return PLAIT_INPUT;
  case Kind::Output:
    return PLAIT_OUTPUT;
  // An unscheduled step has nothing pending.
  case Kind::Pending:
  case Kind::Buffer:
    break;
  }
  return PLAIT_BUFFER;
}

/// Checks what every function with a slot takes; empty if it is well.
static std::string checkSlot(const PlaitStep *step, size_t index) {
  if (!step)
    return "'step' is null";
  if (index >= step->slots().size())
    return "no slot " + std::to_string(index) + ": the step has " +
           std::to_string(step->slots().size());
  return "";
}

PlaitStatus plaitStepSlot(const PlaitStep *step, size_t index,
                          PlaitSlot *result) {
  if (std::string error = checkSlot(step, index); !error.empty())
    return bad(error);
  if (!result)
    return bad("'slot' is null");
  const Slot &slot = step->slots()[index];
  *result = {kindOf(slot.kind), slot.name.c_str(), PlaitDType(slot.dtype),
             slot.shape.size(), slot.shape.data(), size_t(bytesOf(slot))};
  return PLAIT_SUCCESS;
}

PlaitStatus plaitStepWrite(PlaitStep *step, size_t index,
                           const PlaitTensor *value) {
  if (std::string error = checkSlot(step, index); !error.empty())
    return bad(error);
  const Slot &slot = step->slots()[index];
  if (!value)
    return bad("'value' is null");
  if (!slot.isCarried())
    return bad("'" + slot.name +
               "' is not carried from step to step: inputs are given to "
               "plaitStepRun, and outputs are made by it");
  if (std::string error = mismatch(*value, slot); !error.empty())
    return bad(error);
  std::lock_guard<std::mutex> lock(step->mutex);
  if (runtime::Status status = step->session->flush(); !status)
    return finish(status);
  step->session->write(slot, value->data);
  return PLAIT_SUCCESS;
}

PlaitStatus plaitStepRead(PlaitStep *step, size_t index, void *data,
                          size_t bytes) {
  if (std::string error = checkSlot(step, index); !error.empty())
    return bad(error);
  const Slot &slot = step->slots()[index];
  if (slot.kind == Kind::Input)
    return bad("'" + slot.name + "' is an input, which stays the caller's");
  if (bytes != bytesOf(slot))
    return bad("'" + slot.name + "' has " + std::to_string(bytesOf(slot)) +
               " bytes, not " + std::to_string(bytes));
  if (bytes && !data)
    return bad("'data' is null");
  std::lock_guard<std::mutex> lock(step->mutex);
  HostTensor *tensor = nullptr;
  if (slot.kind == Kind::Output) {
    if (!step->session->lastRun())
      return bad("'" + slot.name + "' has no value: no step has run");
    tensor = step->session->output(*step->session->lastRun(), slot.name);
  } else {
    if (runtime::Status status = step->session->flush(); !status)
      return finish(status);
    tensor = step->session->find(slot.name);
  }
  std::memcpy(data, tensor->data.data(), bytes);
  return PLAIT_SUCCESS;
}

/// Where the step is to read `input`: in place, or in a copy that is aligned.
static runtime::Expected<const void *>
place(const PlaitTensor &input, const Slot &slot, HostTensor &copy) {
  if (uintptr_t(input.data) % runtime::elementSize(slot.dtype) == 0)
    return input.data;
  if (!copy.data.data()) {
    auto made = HostTensor::uninitialized(slot.dtype, slot.shape);
    if (!made)
      return runtime::Error{made.message()};
    copy = std::move(*made);
  }
  std::memcpy(copy.data.data(), input.data, bytesOf(slot));
  return static_cast<const void *>(copy.data.data());
}

/// What is wrong with the arguments of a run; empty if nothing is.
static std::string checkRun(const PlaitStep *step, const PlaitTensor *inputs,
                            size_t numInputs, void *const *outputs,
                            size_t numOutputs) {
  if (!step)
    return "'step' is null";
  if (numInputs != step->inputs.size())
    return "the step takes " + std::to_string(step->inputs.size()) +
           " inputs, not " + std::to_string(numInputs);
  if (numInputs && !inputs)
    return "'inputs' is null";
  if (numOutputs && numOutputs != step->outputs.size())
    return "the step gives " + std::to_string(step->outputs.size()) +
           " outputs, not " + std::to_string(numOutputs);
  if (numOutputs && !outputs)
    return "'outputs' is null";
  for (size_t i = 0; i < numInputs; ++i)
    if (std::string error = mismatch(inputs[i], *step->inputs[i]);
        !error.empty())
      return error;
  return "";
}

PlaitStatus plaitStepRun(PlaitStep *step, const PlaitTensor *inputs,
                         size_t numInputs, void *const *outputs,
                         size_t numOutputs) {
  std::string error = checkRun(step, inputs, numInputs, outputs, numOutputs);
  if (!error.empty())
    return bad(error);
  std::lock_guard<std::mutex> lock(step->mutex);
  std::vector<const void *> pointers;
  for (size_t i = 0; i < numInputs; ++i) {
    auto pointer = place(inputs[i], *step->inputs[i], step->aligned[i]);
    if (!pointer)
      return fail(PLAIT_FAILED, pointer.message());
    pointers.push_back(*pointer);
  }
  Session &session = *step->session;
  if (runtime::Status status = session.check(pointers); !status)
    return bad(status.message());
  if (runtime::Status status = session.step(pointers); !status)
    return finish(status);
  for (size_t i = 0; i < numOutputs; ++i)
    if (outputs[i]) {
      const Slot &slot = *step->outputs[i];
      HostTensor *value = session.output(*session.lastRun(), slot.name);
      std::memcpy(outputs[i], value->data.data(), value->data.size());
    }
  return PLAIT_SUCCESS;
}

PlaitStatus plaitStepFlush(PlaitStep *step) {
  if (!step)
    return bad("'step' is null");
  std::lock_guard<std::mutex> lock(step->mutex);
  return finish(step->session->flush());
}

PlaitStatus plaitStepInfo(PlaitStep *step, PlaitInfo *info) {
  if (!step || !info)
    return bad(step ? "'info' is null" : "'step' is null");
  std::lock_guard<std::mutex> lock(step->mutex);
  const Session &session = *step->session;
  *info = {session.schedule().c_str(),
           session.hasPending(),
           session.compileMs,
           session.bytesOf(Kind::Param),
           session.bytesOf(Kind::State),
           session.bytesOf(Kind::Buffer),
           session.gradientBytes(),
           session.bytesOf(Kind::Pending),
           session.arenaBytes,
           session.peakBytes() - session.bytesOf(Kind::Input)};
  return PLAIT_SUCCESS;
}

size_t plaitStepNumUpdates(const PlaitStep *step) {
  return step ? step->session->updates.size() : 0;
}

PlaitStatus plaitStepUpdate(const PlaitStep *step, size_t index,
                            PlaitUpdate *update) {
  if (!step || !update)
    return bad(step ? "'update' is null" : "'step' is null");
  if (index >= step->session->updates.size())
    return bad("no update " + std::to_string(index) + ": the step has " +
               std::to_string(step->session->updates.size()));
  const UpdateReport &report = step->session->updates[index];
  *update = {report.param.c_str(), report.placement.c_str(), report.inCluster,
             report.gradientBytes};
  return PLAIT_SUCCESS;
}
