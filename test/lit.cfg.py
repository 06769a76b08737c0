# The lit suite: every .mlir and .test file below this folder.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
import os
import sys

import lit.formats
import lit.util

config.name = "moec"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
# What other runners take: pytest, GoogleTest, fuzzers.
config.excludes = ["Inputs", "e2e", "random", "reference", "unit", "fuzz"]
# Modules that found a bug are replayed by test/random, those with a RUN line by lit.
regressions = os.path.join(os.path.dirname(__file__), "regression")
for name in sorted(os.listdir(regressions)) if os.path.isdir(regressions) else []:
    with open(os.path.join(regressions, name), encoding="utf-8") as file:
        if "RUN:" not in file.read():
            config.excludes.append(name)
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.moec_build_root, "test")

config.environment["PATH"] = os.pathsep.join(
    [config.moec_tools, config.llvm_tools, config.environment["PATH"]]
)
# A check that cannot fail is worse than none.
config.environment["FILECHECK_OPTS"] = "-enable-var-scope --allow-unused-prefixes=false"

config.substitutions += [
    ("%python", sys.executable),
    ("%source_root", config.moec_source_root),
    ("%build_root", config.moec_build_root),
    ("%cxx", config.moec_cxx),
    ("%mlir_include", config.mlir_include),
]

for tool in ("moe-opt", "moe-compile", "moe-archive", "moe-bench", "moe-cost", "moe-regroup", "moe-run", "moe-reduce", "moe-simulate", "moe-lsp-server"):
    if os.path.exists(os.path.join(config.moec_tools, tool)):
        config.available_features.add(tool)
if config.moec_sanitize:
    config.available_features.add("sanitized")

# Seconds. Fast tests take less than two; only a hang takes longer. Sanitised programs are slower: --param seconds=N.
supported, reason = lit.util.killProcessAndChildrenIsSupported()
if supported:
    lit_config.maxIndividualTestTime = int(lit_config.params.get("seconds", 120))
else:
    lit_config.note("no time limit for tests: " + reason)
