//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `plait._plait`: the C API as one Python class, and nothing of its own.
//
// Tensors come as any object with DLPack or the buffer protocol, and are used
// where they are. Values are checked in Python, with better words; what is
// checked here keeps a wrong call from reading foreign memory.
//
//===----------------------------------------------------------------------===//

#include "plait-c/Plait.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;
using namespace nb::literals;

using Readable = nb::ndarray<nb::ro, nb::device::cpu>;
using Writable = nb::ndarray<nb::device::cpu>;
using Name = std::optional<std::string>;

/// Turns a status into an exception. Must hold the GIL.
static void check(PlaitStatus status) {
  const char *message = plaitLastError();
  switch (status) {
  case PLAIT_SUCCESS:
    return;
  case PLAIT_BAD_ARGUMENT:
    throw nb::value_error(message);
  case PLAIT_NOT_COMPILED: {
    nb::object error =
        nb::module_::import_("plait.errors").attr("CompileError");
    PyErr_SetString(error.ptr(), message);
    throw nb::python_error();
  }
  case PLAIT_FAILED:
    break;
  }
  throw std::runtime_error(message);
}

/// The element type of an array, where the C API has one.
static PlaitDType toDType(nb::dlpack::dtype type) {
  auto code = nb::dlpack::dtype_code(type.code);
  if (type.lanes == 1)
    switch (code) {
    case nb::dlpack::dtype_code::Float:
      if (type.bits == 16 || type.bits == 32 || type.bits == 64)
        return type.bits == 16   ? PLAIT_F16
               : type.bits == 32 ? PLAIT_F32
                                 : PLAIT_F64;
      break;
    case nb::dlpack::dtype_code::Bfloat:
      return PLAIT_BF16;
    case nb::dlpack::dtype_code::Bool:
      return PLAIT_BOOL;
    case nb::dlpack::dtype_code::Int:
    case nb::dlpack::dtype_code::UInt: {
      bool isSigned = code == nb::dlpack::dtype_code::Int;
      if (type.bits == 8)
        return isSigned ? PLAIT_I8 : PLAIT_U8;
      if (type.bits == 16)
        return isSigned ? PLAIT_I16 : PLAIT_U16;
      if (type.bits == 32)
        return isSigned ? PLAIT_I32 : PLAIT_U32;
      if (type.bits == 64)
        return isSigned ? PLAIT_I64 : PLAIT_U64;
      break;
    }
    default:
      break;
    }
  throw nb::value_error("an array has an element type that no step takes");
}

static const char *toName(PlaitDType dtype) {
  static const char *const names[] = {
      "float32", "float64", "float16", "bfloat16", "int8",   "int16", "int32",
      "int64",   "uint8",   "uint16",  "uint32",   "uint64", "bool"};
  return names[dtype];
}

static const char *toName(PlaitKind kind) {
  static const char *const names[] = {"param", "state", "buffer", "input",
                                      "output"};
  return names[kind];
}

/// Row-major without holes; where there is at most one element, any strides.
template <typename Array> static void checkContiguous(const Array &array) {
  int64_t expected = 1;
  if (array.size() > 1)
    for (size_t i = array.ndim(); i-- > 0;) {
      if (array.shape(i) != 1 && array.stride(i) != expected)
        throw nb::value_error("an array is not contiguous");
      expected *= int64_t(array.shape(i));
    }
}

namespace {
/// A step, freed with its Python object.
class Step {
public:
  Step(const std::string &text, const Name &entry, const Name &schedule,
       const Name &cpu, unsigned threads) {
    auto pointer = [](const Name &name) {
      return name ? name->c_str() : nullptr;
    };
    PlaitOptions options = {pointer(entry), pointer(schedule), pointer(cpu),
                            threads};
    PlaitStatus status;
    {
      nb::gil_scoped_release release;
      status = plaitStepCreate(text.data(), text.size(), &options, &step);
    }
    check(status);
  }
  Step(const Step &) = delete;
  ~Step() { plaitStepDestroy(step); }

  nb::list slots() const {
    nb::list result;
    for (size_t i = 0, e = plaitStepNumSlots(step); i < e; ++i) {
      PlaitSlot slot = slotAt(i);
      nb::list shape;
      for (size_t d = 0; d < slot.rank; ++d)
        shape.append(slot.shape[d]);
      result.append(nb::make_tuple(toName(slot.kind), slot.name,
                                   toName(slot.dtype), nb::tuple(shape)));
    }
    return result;
  }

  void write(size_t index, const Readable &value) {
    PlaitTensor tensor = tensorOf(value);
    PlaitStatus status;
    {
      nb::gil_scoped_release release;
      status = plaitStepWrite(step, index, &tensor);
    }
    check(status);
  }

  void read(size_t index, const Writable &out) {
    checkOut(index, out);
    PlaitStatus status;
    {
      nb::gil_scoped_release release;
      status = plaitStepRead(step, index, out.data(), out.nbytes());
    }
    check(status);
  }

  void run(const std::vector<Readable> &inputs,
           const std::vector<std::optional<Writable>> &outputs) {
    std::vector<PlaitTensor> tensors;
    for (const Readable &input : inputs)
      tensors.push_back(tensorOf(input));
    std::vector<void *> pointers;
    size_t firstOutput = plaitStepNumSlots(step) - outputs.size();
    for (const std::optional<Writable> &out : outputs) {
      if (out)
        checkOut(firstOutput + pointers.size(), *out);
      pointers.push_back(out ? out->data() : nullptr);
    }
    PlaitStatus status;
    {
      nb::gil_scoped_release release;
      status = plaitStepRun(step, tensors.data(), tensors.size(),
                            pointers.data(), pointers.size());
    }
    check(status);
  }

  void flush() {
    PlaitStatus status;
    {
      nb::gil_scoped_release release;
      status = plaitStepFlush(step);
    }
    check(status);
  }

  nb::dict info() {
    PlaitInfo info;
    check(plaitStepInfo(step, &info));
    nb::dict result;
    result["schedule"] = info.schedule;
    result["pending"] = bool(info.pending);
    result["compile_ms"] = info.compileMs;
    result["param_bytes"] = info.parameterBytes;
    result["state_bytes"] = info.stateBytes;
    result["buffer_bytes"] = info.bufferBytes;
    result["gradient_bytes"] = info.gradientBytes;
    result["pending_bytes"] = info.pendingBytes;
    result["arena_bytes"] = info.arenaBytes;
    result["peak_bytes"] = info.peakBytes;
    return result;
  }

  nb::list updates() const {
    nb::list result;
    for (size_t i = 0, e = plaitStepNumUpdates(step); i < e; ++i) {
      PlaitUpdate update;
      check(plaitStepUpdate(step, i, &update));
      nb::dict item;
      item["param"] = update.parameter;
      item["placement"] = update.placement;
      item["cluster"] = bool(update.fused);
      item["gradient_bytes"] = update.gradientBytes;
      result.append(item);
    }
    return result;
  }

private:
  PlaitSlot slotAt(size_t index) const {
    PlaitSlot slot;
    check(plaitStepSlot(step, index, &slot));
    return slot;
  }

  static PlaitTensor tensorOf(const Readable &array) {
    checkContiguous(array);
    return {array.data(), toDType(array.dtype()), array.ndim(),
            array.shape_ptr()};
  }

  /// What is copied out goes where there is room for it, and means the same.
  void checkOut(size_t index, const Writable &out) const {
    PlaitSlot slot = slotAt(index);
    checkContiguous(out);
    if (out.nbytes() != slot.bytes || toDType(out.dtype()) != slot.dtype)
      throw nb::value_error("an array to read into is not of the slot's type");
  }

  PlaitStep *step = nullptr;
};
} // namespace

NB_MODULE(_plait, module) {
  module.doc() = "Compiled training steps (plait-c/Plait.h).";
  module.attr("__version__") = plaitVersion();
  nb::class_<Step>(module, "Step")
      .def(nb::init<const std::string &, const Name &, const Name &,
                    const Name &, unsigned>(),
           "text"_a, nb::kw_only(), "entry"_a = nb::none(),
           "schedule"_a = nb::none(), "cpu"_a = nb::none(), "threads"_a = 0,
           "Compile the text of an MLIR module. Raises plait.CompileError.")
      .def("slots", &Step::slots, "(kind, name, element type, shape) of each.")
      .def("write", &Step::write, "index"_a, "value"_a.noconvert(),
           "Copy into a carried tensor, after pending updates.")
      .def("read", &Step::read, "index"_a, "out"_a.noconvert(),
           "Copy a carried tensor, after pending updates, or an output.")
      .def("run", &Step::run, "inputs"_a.noconvert(), "outputs"_a.noconvert(),
           "Run a step; each output is copied to its array, or dropped.")
      .def("flush", &Step::flush, "Apply pending updates.")
      .def("info", &Step::info, "Schedule and sizes.")
      .def("updates", &Step::updates, "Placement of each update.");
}
