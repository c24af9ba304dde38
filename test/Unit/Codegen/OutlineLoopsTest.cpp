//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/OutlineLoops.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/SourceMgr.h"
#include "gtest/gtest.h"

using namespace llvm;

/// A function of `count` loops, each of which adds `step(i)` to the elements of
/// one of two buffers.
static std::string makeStep(unsigned count, function_ref<int(unsigned)> step) {
  std::string text = "define void @step(ptr %b0, ptr %b1) {\nentry:\n"
                     "  br label %loop0\n";
  raw_string_ostream os(text);
  for (unsigned i = 0; i < count; ++i) {
    std::string from = i ? "exit" + std::to_string(i - 1) : "entry";
    os << "loop" << i << ":\n  %i" << i << " = phi i64 [ 0, %" << from
       << " ], [ %n" << i << ", %loop" << i << " ]\n  %p" << i
       << " = getelementptr i32, ptr %b" << i % 2 << ", i64 %i" << i << "\n  %v"
       << i << " = load i32, ptr %p" << i << "\n  %s" << i << " = add i32 %v"
       << i << ", " << step(i) << "\n  store i32 %s" << i << ", ptr %p" << i
       << "\n  %n" << i << " = add i64 %i" << i << ", 1\n  %c" << i
       << " = icmp ult i64 %n" << i << ", 100\n  br i1 %c" << i
       << ", label %loop" << i << ", label %exit" << i << "\nexit" << i
       << ":\n  ";
    if (i + 1 < count)
      os << "br label %loop" << i + 1 << "\n";
  }
  os << "ret void\n}\n";
  return text;
}

static std::unique_ptr<Module> outline(LLVMContext &context,
                                       const std::string &text) {
  SMDiagnostic error;
  std::unique_ptr<Module> module = parseAssemblyString(text, error, context);
  EXPECT_TRUE(module) << error.getMessage().str();
  plait::outlineLoops(*module);
  EXPECT_FALSE(verifyModule(*module, &errs()));
  return module;
}

static std::vector<CallInst *> callsOf(Module &module) {
  std::vector<CallInst *> calls;
  for (Instruction &instruction : instructions(module.getFunction("step")))
    if (auto *call = dyn_cast<CallInst>(&instruction))
      calls.push_back(call);
  return calls;
}

TEST(OutlineLoops, EqualLoopsAreOneFunction) {
  LLVMContext context;
  auto module = outline(context, makeStep(100, [](unsigned) { return 1; }));
  EXPECT_EQ(module->size(), 2u);
  std::vector<CallInst *> calls = callsOf(*module);
  ASSERT_EQ(calls.size(), 100u);
  for (auto [i, call] : enumerate(calls)) {
    EXPECT_EQ(call->getCalledFunction(), calls[0]->getCalledFunction());
    EXPECT_EQ(call->getArgOperand(0),
              module->getFunction("step")->getArg(i % 2));
  }
  EXPECT_TRUE(
      calls[0]->getCalledFunction()->hasFnAttribute(Attribute::NoInline));
}

TEST(OutlineLoops, OtherLoopsStayOther) {
  LLVMContext context;
  auto module =
      outline(context, makeStep(100, [](unsigned i) { return i % 2 + 1; }));
  EXPECT_EQ(module->size(), 3u);
  std::vector<CallInst *> calls = callsOf(*module);
  ASSERT_EQ(calls.size(), 100u);
  EXPECT_NE(calls[0]->getCalledFunction(), calls[1]->getCalledFunction());
  EXPECT_EQ(calls[0]->getCalledFunction(), calls[2]->getCalledFunction());
}

TEST(OutlineLoops, FewLoopsStayWhereTheyAre) {
  LLVMContext context;
  auto module = outline(context, makeStep(20, [](unsigned) { return 1; }));
  EXPECT_EQ(module->size(), 1u);
  EXPECT_TRUE(callsOf(*module).empty());
}

// The last element is used behind the loop.
TEST(OutlineLoops, LoopsWithResultsStayWhereTheyAre) {
  LLVMContext context;
  std::string text = makeStep(100, [](unsigned) { return 1; });
  std::string end = "exit7:\n";
  text.insert(text.find(end) + end.size(), "  store i32 %s7, ptr %b0\n");
  auto module = outline(context, text);
  EXPECT_EQ(callsOf(*module).size(), 99u);
}
