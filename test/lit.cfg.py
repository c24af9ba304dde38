# The lit suites: every .mlir file of test and docs/Tutorial is a test. lit is
# pip's, so nothing of LLVM's own test support (lit.llvm) is needed.
import os
import sys

import lit.formats

config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["Inputs", "python", "Unit"]

# Tools by path, so that no other LLVM's are found.
config.environment["PATH"] = os.pathsep.join(
    [config.plait_bin_dir, config.llvm_tools_dir, config.environment["PATH"]])
# Two threads run parallel code also where there is one processor.
config.environment.setdefault("OMP_NUM_THREADS", "2")
# Waiting threads sleep: tests run side by side, and there may be few processors.
config.environment["KMP_BLOCKTIME"] = "0"
config.environment["FILECHECK_OPTS"] = "--enable-var-scope --dump-input=fail"

config.substitutions.append(("%plait_libs", config.plait_lib_dir))
config.substitutions.append(("%python", sys.executable))
config.substitutions.append(
    ("%examples", os.path.join(config.plait_source_dir, "examples")))

for tool in ("plait-opt", "plait-run"):
    if os.path.exists(os.path.join(config.plait_bin_dir, tool)):
        config.available_features.add(tool)
for tool in ("mlir-opt", "clang"):
    if os.path.exists(os.path.join(config.llvm_tools_dir, tool)):
        config.available_features.add(tool)
