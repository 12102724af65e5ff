"""lit configuration of all of Smelt's shell-like tests.

A test is a .mlir, .json or .test file with `// RUN:` (or `# RUN:`) lines. The build's bin folder and LLVM's tools (FileCheck, not,
split-file) come first on PATH, so tests name tools plainly. Substitutions beside lit's own:

  %src     the source tree            %models  the source tree's models folder
  %build   the build tree             %python  the Python that runs lit
  %expect-exit CODE COMMAND   succeeds when the command's exit code is CODE

Features (for REQUIRES/UNSUPPORTED): `compiler`, `gpu-codegen` (SMELT_CUDA), `sanitizer`, `tool-<name>` for each program in build/bin.
Folders named Inputs or corpus hold no tests. Specs with errors: `split-file %s %t`, then `not smelt check %t/a.json 2>&1 | FileCheck %s`.
"""

import os
import sys

import lit.formats

config.name = "smelt"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".json", ".test"]
config.excludes = ["Inputs", "corpus", "lit.cfg.py"]
config.test_source_root = os.path.join(config.smelt_source, "test")
config.test_exec_root = os.path.join(config.smelt_build, "test")

binaries = os.path.join(config.smelt_build, "bin")
config.environment["PATH"] = os.pathsep.join([binaries, config.smelt_llvm_tools, os.environ.get("PATH", "")])
# Two threads: what CI has, and enough for races to show.
config.environment["OMP_NUM_THREADS"] = "2"
# Several tests and ranks share the cores: a thread that waits at a barrier sleeps instead of taking them from one that works. (OMP_WAIT_POLICY=passive
# leaves libomp's threads 200 ms of yielding.)
config.environment["KMP_BLOCKTIME"] = "0"
# Kernels that many tests compile are compiled once.
config.environment["SMELT_CACHE_DIR"] = os.path.join(config.smelt_build, "test", "cache")
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "HOME", "TMPDIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions += [
    ("%expect-exit", os.path.join(config.smelt_source, "test", "expect-exit")),
    ("%src", config.smelt_source),
    ("%build", config.smelt_build),
    ("%models", os.path.join(config.smelt_source, "models")),
    ("%python", sys.executable),
]

if config.smelt_compiler:
    config.available_features.add("compiler")
if config.smelt_gpu_codegen:
    config.available_features.add("gpu-codegen")
if config.smelt_sanitize:
    config.available_features.add("sanitizer")
if os.path.isdir(binaries):
    for tool in os.listdir(binaries):
        config.available_features.add("tool-" + tool)
