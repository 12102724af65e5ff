#!/usr/bin/env python3
"""Writes regions.mlir's kernels at 49,152, 1000, 200 and 1 rows (NAME, NAME_t1000 …), and those of keys' and queries' gradients with heads of 64 (keys64, nokeys64) too."""
import pathlib
import re

ROWS = 49152
SIZES = {ROWS: "", 1000: "_t1000", 200: "_t200", 1: "_t1"}
text = (pathlib.Path(__file__).parent / "regions.mlir").read_text()
kernels = {found[1]: found[0] for found in re.finditer(r"  func\.func private @(\w+)\(.*?\n  }\n", text, re.S)}


def with_heads_of_64(kernel):
    for old, new in (("6x128x", "12x64x"), (f"{ROWS}x128x", f"{ROWS}x64x"), ("array<i64: 32, 64, 96, 128>", "array<i64: 16, 32, 48, 64>")):
        kernel = kernel.replace(old, new)
    return kernel


for name in ("keys", "nokeys"):
    kernels[name + "64"] = with_heads_of_64(kernels[name]).replace(f"@{name}(", f"@{name}64(")
print("module {")
for name, kernel in kernels.items():
    for rows, mark in SIZES.items():
        print(kernel.replace(f"@{name}(", f"@{name}{mark}(").replace(str(ROWS), str(rows)), end="")
print("}")
