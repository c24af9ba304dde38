//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Roles between the dialect's attributes and plain strings. Importers and tools
// that do not know the dialect carry strings; everything else uses attributes.
//
//===----------------------------------------------------------------------===//

#include "plait/Dialect/Train/Train.h"
#include "plait/Passes.h"

using namespace mlir;
using namespace plait::train;

namespace plait {
#define GEN_PASS_DEF_TRAINROLESFROMSTRINGS
#define GEN_PASS_DEF_TRAINROLESTOSTRINGS
#include "plait/Passes.h.inc"
} // namespace plait

static constexpr StringLiteral kNameAttr = "train.name";

static Attribute roleFromString(MLIRContext *ctx, StringRef role,
                                StringAttr name, StringRef fallback) {
  StringAttr empty = StringAttr::get(ctx, "");
  auto [kind, what] = role.split(':');
  StringAttr whatAttr = StringAttr::get(ctx, what);
  if (kind == "param")
    return ParamAttr::get(ctx, name);
  if (kind == "state" && !what.empty())
    return StateAttr::get(ctx, name, whatAttr);
  if (kind == "state" || kind == "buffer")
    return StateAttr::get(ctx, empty, name);
  if (kind == "pending")
    return PendingAttr::get(ctx, name, whatAttr);
  if (kind == "new_param")
    return NextAttr::get(ctx, name, StringAttr());
  if (kind == "new_state" && !what.empty())
    return NextAttr::get(ctx, name, whatAttr);
  if (kind == "new_state" || kind == "new_buffer")
    return NextAttr::get(ctx, empty, name);
  StringAttr own = name.empty() ? StringAttr::get(ctx, fallback) : name;
  if (kind == "input" || kind == "label")
    return InputAttr::get(ctx, own);
  if (kind == "loss" || kind == "output")
    return OutputAttr::get(ctx, own);
  return {};
}

/// The pair (role, name) that `roleFromString` reads back.
static std::pair<std::string, StringRef> roleToString(Attribute role) {
  if (auto a = dyn_cast<ParamAttr>(role))
    return {"param", a.getName()};
  if (auto a = dyn_cast<StateAttr>(role))
    return a.getOwner().empty()
               ? std::make_pair(std::string("buffer"), a.getName().getValue())
               : std::make_pair("state:" + a.getName().str(),
                                a.getOwner().getValue());
  if (auto a = dyn_cast<PendingAttr>(role))
    return {"pending:" + a.getName().str(), a.getOwner()};
  if (auto a = dyn_cast<InputAttr>(role))
    return {"input", a.getName()};
  if (auto a = dyn_cast<OutputAttr>(role))
    return {"output", a.getName()};
  auto next = cast<NextAttr>(role);
  if (!next.getName())
    return {"new_param", next.getOwner()};
  if (next.getOwner().empty())
    return {"new_buffer", next.getName()};
  return {"new_state:" + next.getName().str(), next.getOwner()};
}

/// Reads one argument's or result's attributes; null where it has no string.
static FailureOr<Attribute>
readRole(FunctionOpInterface fn, DictionaryAttr dict, const Twine &fallback) {
  auto role = dict ? dict.getAs<StringAttr>(TrainDialect::kRoleAttr) : nullptr;
  if (!role)
    return Attribute();
  auto name = dict.getAs<StringAttr>(kNameAttr);
  if (!name)
    name = StringAttr::get(fn.getContext(), "");
  SmallString<16> text;
  Attribute read = roleFromString(fn.getContext(), role.getValue(), name,
                                  fallback.toStringRef(text));
  if (!read)
    return fn.emitError("unknown role string \"") << role.getValue() << '"';
  return read;
}

static LogicalResult rolesFromStrings(FunctionOpInterface fn) {
  bool any = false;
  for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i) {
    auto role = readRole(fn, fn.getArgAttrDict(i), "input" + Twine(i));
    if (failed(role))
      return failure();
    if (!*role)
      continue;
    any = true;
    fn.setArgAttr(i, TrainDialect::kRoleAttr, *role);
    fn.removeArgAttr(i, StringAttr::get(fn.getContext(), kNameAttr));
  }
  for (unsigned i = 0, e = fn.getNumResults(); i < e; ++i) {
    auto role = readRole(fn, fn.getResultAttrDict(i),
                         i == 0 ? Twine("loss") : "output" + Twine(i));
    if (failed(role))
      return failure();
    if (!*role)
      continue;
    any = true;
    fn.setResultAttr(i, TrainDialect::kRoleAttr, *role);
    fn.removeResultAttr(i, StringAttr::get(fn.getContext(), kNameAttr));
  }
  if (any)
    fn->setAttr(TrainDialect::kStepAttr, UnitAttr::get(fn.getContext()));
  return success();
}

/// A step whose roles are strings is marked by those; one without any roles must
/// stay marked.
static void rolesToStrings(FunctionOpInterface fn) {
  Builder b(fn.getContext());
  bool any = false;
  for (unsigned i = 0, e = fn.getNumArguments(); i < e; ++i)
    if (Attribute role = getArgRole(fn, i); role && !isa<StringAttr>(role)) {
      auto [kind, name] = roleToString(role);
      fn.setArgAttr(i, TrainDialect::kRoleAttr, b.getStringAttr(kind));
      fn.setArgAttr(i, kNameAttr, b.getStringAttr(name));
      any = true;
    }
  for (unsigned i = 0, e = fn.getNumResults(); i < e; ++i)
    if (Attribute role = getResultRole(fn, i); role && !isa<StringAttr>(role)) {
      auto [kind, name] = roleToString(role);
      fn.setResultAttr(i, TrainDialect::kRoleAttr, b.getStringAttr(kind));
      fn.setResultAttr(i, kNameAttr, b.getStringAttr(name));
      any = true;
    }
  if (any)
    fn->removeAttr(TrainDialect::kStepAttr);
}

namespace {
struct RolesFromStrings
    : plait::impl::TrainRolesFromStringsBase<RolesFromStrings> {
  void runOnOperation() override {
    getOperation()->walk([&](FunctionOpInterface fn) {
      if (failed(rolesFromStrings(fn)))
        signalPassFailure();
    });
  }
};

struct RolesToStrings : plait::impl::TrainRolesToStringsBase<RolesToStrings> {
  void runOnOperation() override {
    getOperation()->walk([](FunctionOpInterface fn) { rolesToStrings(fn); });
  }
};
} // namespace
