"""Rules about the tree that no compiler checks. Run from anywhere; lists every offence and fails when there is one."""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = re.compile(r"\.(cpp|h|td|mlir|py|cu|cuh)$")
TEXT = re.compile(r"(\.(cpp|h|td|mlir|py|cu|cuh|txt|cmake|json|md|test|in|yaml)|/(check|demo|install-deps|format|run))$")
MAX_LINES = 800  # STYLE: aim under 300, look again at 500, split at 800.
BANNED_NAMES = re.compile(r"(Utils|Helpers?|Common|Misc)\.(cpp|h|td)$")
# The runtime is carried to machines without LLVM.
RUNTIME_INCLUDE = re.compile(r'^\s*#\s*include\s+["<](mlir|llvm|dialects|compiler)/')
COMPILER_INCLUDE = re.compile(r'^\s*#\s*include\s+["<](tools|test)/')


def tracked():
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         capture_output=True, text=True)
    if out.returncode == 0:
        return [p for p in out.stdout.split("\0") if p and os.path.isfile(os.path.join(ROOT, p))]
    files = []  # An exported tree without git.
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in (".git", "runs") and not f.startswith("build")]
        files += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    return files


def offences():
    for path in tracked():
        if not TEXT.search(path):
            continue
        if BANNED_NAMES.search(path):
            yield f"{path}: name says nothing; name the file after what it does"
        with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
        if SOURCE.search(path) and len(lines) > MAX_LINES:
            yield f"{path}: {len(lines)} lines; split it (limit {MAX_LINES})"
        for number, line in enumerate(lines, 1):
            if path.startswith("runtime/") and RUNTIME_INCLUDE.match(line):
                yield f"{path}:{number}: the runtime must not include LLVM, MLIR or the compiler"
            if path.startswith(("compiler/", "dialects/")) and COMPILER_INCLUDE.match(line):
                yield f"{path}:{number}: dependencies run one way: tools -> compiler -> dialects"
            if SOURCE.search(path) and not path.startswith("test/"):
                if "\t" in line:
                    yield f"{path}:{number}: tab"
                if line.endswith((" ", "\r")):
                    yield f"{path}:{number}: blank at the end of the line"


found = list(offences())
print("\n".join(found) if found else "the tree keeps its rules")
sys.exit(1 if found else 0)
