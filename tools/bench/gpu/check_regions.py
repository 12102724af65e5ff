#!/usr/bin/env python3
"""Products and row kernels of a record, as its compiler made them, against float64 (region_reference.py), and their times.

  region_cases.py > FOLDER/cases.mlir        here; then gpu_kernels FOLDER/cases.mlir FOLDER
  check_regions.py check FOLDER [MIB [REGEX]]    on the device: inputs are other ones in every run, outputs poisoned first; again, and with other grids, the same
                                                bits. MIB: only kernels that take less; REGEX: only names that it finds
  check_regions.py bench FOLDER [FOLDER…]        medians, every kernel of all folders in turns in random order
"""
import math
import os
import random
import re
import sys
import time

import torch

import run_kernels as device
from region_reference import F, expect

def fill(buffer, name, index):
    if buffer.dtype == torch.int32: return buffer.copy_(torch.randint(0, 50304, buffer.shape, device="cuda"))
    x = torch.randn(buffer.shape, dtype=torch.float32, device="cuda")
    if buffer.dim() == 0: x = x * 0 + 0.7
    elif buffer.dtype == torch.float32 and name.startswith(("gate", "smear")): x = x.sigmoid()  # gates and what multiplies them
    elif buffer.dtype == torch.float32 and buffer.dim() == 1: x = x.abs() + 0.5  # a row's factor
    if name.startswith("dz") and index == 3: x = x.clamp(min=0).square()  # relu²'s output
    if name.startswith(("up", "qkv")) and buffer.dim() == 2 and buffer.dtype == torch.float32: x = x.square() * 60 + 60  # sums of squares
    if index == 1 and buffer.dim() == 2 and min(buffer.shape) > 128 and name.startswith(PRODUCTS): x = x * 0.03  # weights
    buffer.copy_(x)


PRODUCTS = ("dout", "out", "down", "dz", "up", "qkv")


def same(a, b): return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))


def text_of(folder): return {m.group(1): m.group(0) for m in re.finditer(r"func\.func private @(\w+)\(.*?\n  }\n", open(f"{folder}/cases.mlir").read(), re.S)}


def checked(folder, most, having):
    texts, bad, seed = text_of(folder), 0, int(time.time())
    print(f"{folder}: seed {seed}")
    for kernel in device.load(folder, most, having):
        torch.manual_seed(seed)
        buffers, count = kernel.make_buffers(), kernel.spec["inputs"]
        for i, buffer in enumerate(buffers[:count]): fill(buffer, kernel.name, i)
        outputs, run = buffers[count:], kernel.bind(buffers)

        def again(run, times=1):
            for o in outputs: device.poison(o)
            device.poison(kernel.workspace)
            for _ in range(times): run()
            torch.cuda.synchronize()
            return [o.clone() for o in outputs]

        first = again(run)
        errors = []
        for got, want in zip(first, expect(texts[kernel.name], [b.to(F) if b.dtype != torch.int32 else b for b in buffers[:count]])):
            e = ((got.to(F) - want.reshape(got.shape)).norm() / want.norm().clamp(min=0.1 if got.dim() == 0 else 1e-30)).item()
            bound = {torch.bfloat16: 4e-3, torch.float32: 2e-5}.get(got.dtype, 0.04)
            errors.append(f"{e:.1e}{'' if e <= bound else ' WRONG'}"); bad += not e <= bound
        repeats = all(same(a, b) for a, b in zip(first, again(run, 3 if most < math.inf else 20)))
        for grid in kernel.grids(): repeats &= all(same(a, b) for a, b in zip(first, again(kernel.bind(buffers, grid))))
        bad += not repeats
        print(f"{'ok  ' if repeats and 'WRONG' not in ' '.join(errors) else 'FAIL'} {kernel.name}: relative error {', '.join(errors)}{'' if repeats else '; other bits in another run or with another grid'}", flush=True)
    return bad


def bench(folders):
    runs, bytes_of = {}, {}
    common = set.intersection(*(set(text_of(f)) for f in folders))
    for folder in folders:
        for kernel in device.load(folder):
            if kernel.name not in common: continue
            buffers = kernel.make_buffers()
            for i, buffer in enumerate(buffers[:kernel.spec["inputs"]]): fill(buffer, kernel.name, i)
            runs[folder, kernel.name] = kernel.bind(buffers)
            bytes_of[kernel.name] = sum(b.numel() * b.element_size() for b in buffers if b.shape[:1] != (50304,))
    times = {key: [] for key in runs}
    for r in range(45):
        order = list(runs); random.shuffle(order); events = []
        torch.cuda._sleep(2_000_000)
        for key in order:
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            a.record(); runs[key](); b.record(); events.append((key, a, b))
        torch.cuda.synchronize()
        if r >= 5:
            for key, a, b in events: times[key].append(a.elapsed_time(b) * 1e3)
    print(f"{'us':18s}" + "".join(f"{os.path.basename(f):>22s}" for f in folders) + "   of the first, TB/s of the last")
    for name in sorted({name for _, name in runs}):
        row, medians = "", []
        for folder in folders:
            v = sorted(times.get((folder, name), []))
            medians.append(v[20] if v else None)
            row += f"{v[20]:8.1f} ({v[4]:.1f}-{v[36]:.1f})".rjust(22) if v else " " * 22
        ratio = f"{medians[-1] / medians[0]:8.3f}" if medians[0] and medians[-1] else " " * 8
        print(f"{name:18s}{row} {ratio} {bytes_of[name] / (medians[-1] or medians[0]) / 1e6:8.2f}")


if sys.argv[1] == "bench":
    bench(sys.argv[2:])
else:
    sys.exit(1 if checked(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else math.inf, sys.argv[4] if len(sys.argv) > 4 else "") else 0)
