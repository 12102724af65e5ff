#!/usr/bin/env python3
"""Launches kernels that gpu_kernels compiled, checks them against float64 and times them in alternation with PyTorch.

  run_kernels.py FOLDER check|bench|both [MIB [REGEX]]   FOLDER holds kernels.cubin, kernels.ptx and kernels.json. MIB: only kernels
                 whose buffers take less (and whose name has REGEX), launched 3 times instead of 22, for compute-sanitizer
  run_kernels.py FOLDER turns OTHER [REGEX]   kernels that both folders have: the same bits? and their times in turns, in random order

Needs PyTorch and libcuda alone. What a kernel computes is told by its name: see cases.py.
Outputs are poisoned with NaN before each check; a NaN left fails. Prints one line a kernel and a table last.
"""
import ctypes
import json
import math
import os
import random
import re
import sys
import time

import torch

import cases

DEVICE = "cuda"
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32, "i32": torch.int32, "f8E4M3FN": torch.float8_e4m3fn,
          "f8E5M2": torch.float8_e5m2}
MAP_DTYPES = {"f8": 0, "bf16": 9, "f16": 6, "f32": 7, "i32": 3}  # CUtensorMapDataType (f8: as bytes)

NO_BINARY_FOR_GPU = 209  # CUresult

torch.zeros(1, device=DEVICE)  # PyTorch makes the primary context.
cuda = ctypes.CDLL("libcuda.so.1")


def check(result, what):
    if result:
        raise SystemExit(f"run_kernels: {what}: CUresult {result}")


def encode(spec, address):
    raw = ctypes.create_string_buffer(128 + 64)
    place = (ctypes.addressof(raw) + 63) // 64 * 64
    rank = len(spec["sizes"])
    sizes = (ctypes.c_uint64 * rank)(*spec["sizes"])
    strides = (ctypes.c_uint64 * max(rank - 1, 1))(*spec["strides"])
    box = (ctypes.c_uint32 * rank)(*spec["box"])
    ones = (ctypes.c_uint32 * rank)(*([1] * rank))
    swizzle = {0: 0, 32: 1, 64: 2, 128: 3}[spec["swizzle"]]
    check(cuda.cuTensorMapEncodeTiled(ctypes.c_void_p(place), MAP_DTYPES[spec["element"]], rank, ctypes.c_void_p(address), sizes,
                                      strides, box, ones, 0, swizzle, 3, 0), f"cuTensorMapEncodeTiled {spec}")
    return raw, place


class Kernel:
    def __init__(self, module, name, spec):
        self.name, self.spec, self.functions = name, spec, []
        for launch in spec["launches"]:
            function = ctypes.c_void_p()
            check(cuda.cuModuleGetFunction(ctypes.byref(function), module, launch["symbol"].encode()), launch["symbol"])
            check(cuda.cuFuncSetAttribute(function, 8, launch["shared"]), f"{launch['symbol']}: shared memory")
            self.functions.append(function)
        self.workspace = torch.empty(max(spec["workspace"], 16), dtype=torch.uint8, device=DEVICE)

    def make_buffers(self):
        return [torch.empty(b["shape"], dtype=DTYPES[b["element"]], device=DEVICE) for b in self.spec["buffers"]]

    def grids(self):
        """Grids that persistent launches must give the same bits with: fewer blocks, and more than there are multiprocessors."""
        found = [launch for launch in self.spec["launches"] if launch.get("persistent")]
        if not found:
            return []
        most = max(launch["grid"][0] for launch in found)
        return [n for n in (7, 100, 124) if n < most] + ([most + 18] if all(launch["role"] in ("gemm", "head") for launch in found) else [])

    def bind(self, buffers, grid=0):
        """A closure that launches on the current stream; `grid`: blocks of persistent launches, 0: as compiled."""
        buffers = list(buffers) + [self.workspace]
        calls = []
        for launch, function in zip(self.spec["launches"], self.functions):
            keep, values = [], []
            for p in launch["parameters"]:
                address = buffers[p["arguments"][0]].data_ptr() + p["offset"]
                if p["kind"] == "map":
                    raw, place = encode(p, address)
                    keep.append(raw)
                    values.append(place)
                elif p["kind"] == "pointer":
                    keep.append(ctypes.c_uint64(address))
                    values.append(ctypes.addressof(keep[-1]))
                else:
                    keep.append((ctypes.c_uint64 * len(p["arguments"]))(*[buffers[a].data_ptr() for a in p["arguments"]]))
                    values.append(ctypes.addressof(keep[-1]))
            parameters = (ctypes.c_void_p * len(values))(*values)
            blocks = [grid, 1, 1] if grid and launch.get("persistent") else launch["grid"]
            calls.append((function, launch, parameters, keep, blocks))

        def run(calls=calls, buffers=buffers):
            stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
            for function, launch, parameters, _, blocks in calls:
                check(cuda.cuLaunchKernel(function, *blocks, launch["threads"], 1, 1, launch["shared"], stream, parameters, None),
                      launch["symbol"])
        run.launches = [(launch["role"], lambda call=call: run([call])) for call, launch in zip(calls, self.spec["launches"])]
        return run


def mebibytes(spec):
    return sum(math.prod(b["shape"]) * DTYPES[b["element"]].itemsize for b in spec["buffers"]) / 2**20


def load(folder, most=math.inf, having=""):
    module = ctypes.c_void_p()
    read = lambda name: open(os.path.join(folder, name), "rb").read()
    image = read("kernels.cubin")
    result = cuda.cuModuleLoadData(ctypes.byref(module), image) if image else NO_BINARY_FOR_GPU
    if result == NO_BINARY_FOR_GPU:  # Of another chip: the driver compiles the PTX for this one.
        begin = time.time()
        result = cuda.cuModuleLoadData(ctypes.byref(module), read("kernels.ptx") + b"\0")
        print(f"kernels.ptx compiled by the driver in {time.time() - begin:.1f} s")
    check(result, folder)
    specs = json.load(open(os.path.join(folder, "kernels.json")))
    return [Kernel(module, name, spec) for name, spec in sorted(specs.items()) if mebibytes(spec) < most and re.search(having, name)]


def poison(tensor):
    tensor.reshape(-1).view(torch.uint8).fill_(0xFF)  # NaN in every float format.


def check_kernel(kernel, repeats=20):
    case = cases.find(kernel.name)
    buffers = kernel.make_buffers()
    count = kernel.spec["inputs"]
    torch.manual_seed(len(kernel.name))
    case.fill(buffers[:count])
    run = kernel.bind(buffers)
    for output in buffers[count:]:
        poison(output)
    poison(kernel.workspace)
    run()
    torch.cuda.synchronize()
    first = [output.clone() for output in buffers[count:]]
    worst, text = 0.0, []
    for output, (rows, expected, bound, *more) in zip(first, case.expect(buffers[:count])):
        nan = int(torch.isnan(output.float()).sum())
        got = output.double() if rows is None else output[rows].double()
        weight = more[1] if len(more) > 1 else 1
        error = (((got - expected) * weight).norm() / max((expected * weight).norm().item(), *more[:1], 1e-30)).item()
        good = error <= bound and nan == 0
        worst = max(worst, error / bound) if not math.isnan(error) else math.inf
        text.append(f"{error:.2e}{'' if good else f' WRONG (bound {bound:.1e}, {nan} NaN)'}")
    # Launches one right after the other, as in a graph, and what the last of them leaves.
    for _ in range(repeats):
        run()
    for output in buffers[count:]:
        poison(output)
    run()
    torch.cuda.synchronize()
    same = all(torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8)) for a, b in zip(first, buffers[count:]))
    differ = []
    for grid in kernel.grids():
        for output in buffers[count:]:
            poison(output)
        kernel.bind(buffers, grid)()
        torch.cuda.synchronize()
        if not all(torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8)) for a, b in zip(first, buffers[count:])):
            differ.append(grid)
    good = worst <= 1 and same and not differ
    print(f"{'ok  ' if good else 'FAIL'} {kernel.name}: relative error {', '.join(text)}{'' if same else '; a second run differs'}{f'; other bits with grids {differ}' if differ else ''}", flush=True)
    return good


def bench(kernels, rounds=60):
    """Alternates all kernels of a group with PyTorch's own program for its yardstick; medians of single launches."""
    groups = {}
    for kernel in kernels:
        case = cases.find(kernel.name)
        if case.yardstick:
            groups.setdefault(case.group, []).append((kernel, case))
    rows = []
    for group, members in sorted(groups.items()):
        runs = {}
        for kernel, case in members:
            buffers = kernel.make_buffers()
            torch.manual_seed(1)
            case.fill(buffers[:kernel.spec["inputs"]])
            runs[kernel.name] = kernel.bind(buffers)
            if "torch" not in runs:
                runs["torch"] = case.yardstick(buffers[:kernel.spec["inputs"]])
        times = {name: [] for name in runs}
        for r in range(rounds + 5):
            order = list(runs)
            random.shuffle(order)
            events = []
            torch.cuda._sleep(2_000_000)  # The queue fills while the GPU waits: launches run back to back.
            for name in order:
                a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                a.record()
                runs[name]()
                b.record()
                events.append((name, a, b))
            torch.cuda.synchronize()
            if r >= 5:
                for name, a, b in events:
                    times[name].append(a.elapsed_time(b) * 1e3)
        reference = sorted(times["torch"])[rounds // 2]
        for name, values in times.items():
            values.sort()
            median = values[rounds // 2]
            flops = (members[0][1] if name == "torch" else cases.find(name)).flops
            rows.append((group, name, median, values[rounds // 10], values[rounds * 9 // 10], flops / median * 1e-6, reference / median))
    print(f"\n{'kernel':46s} {'median µs':>9s} {'p10':>8s} {'p90':>8s} {'TFLOP/s':>8s} {'speed against PyTorch':>22s}")
    for group, name, median, p10, p90, rate, ratio in rows:
        print(f"{(group + ' ' + name)[:70] if name == 'torch' else name:46s} {median:9.1f} {p10:8.1f} {p90:8.1f} {rate:8.1f} {ratio:22.3f}")


def take_turns(folders, having, rounds=60):
    """The same kernels of two folders: bits, medians and the mean of paired differences with its standard error."""
    first, other = ({k.name: k for k in load(folder, math.inf, having)} for folder in folders)
    good = True
    print(f"{'kernel':46s} {'median µs':>9s} {'the other':>9s} {'paired difference':>20s}")
    for name in sorted(first.keys() & other.keys()):
        case, count = cases.find(name), first[name].spec["inputs"]
        buffers = first[name].make_buffers()
        torch.manual_seed(1)
        case.fill(buffers[:count])
        both = [buffers, buffers[:count] + [torch.empty_like(b) for b in buffers[count:]]]
        runs = [kernels[name].bind(b) for kernels, b in zip((first, other), both)]
        times = []
        for r in range(rounds + 5):
            order = random.sample((0, 1), 2)
            events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in order]
            torch.cuda._sleep(2_000_000)
            for which in order:
                events[which][0].record()
                runs[which]()
                events[which][1].record()
            torch.cuda.synchronize()
            if r >= 5:
                times.append([a.elapsed_time(b) * 1e3 for a, b in events])
        for run, mine in zip(runs, both):
            for output in mine[count:]:
                poison(output)
            run()
        torch.cuda.synchronize()
        same = all(torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8)) for a, b in zip(*(b[count:] for b in both)))
        good &= same
        differences = [b / a - 1 for a, b in times]
        mean = sum(differences) / rounds
        error = math.sqrt(sum((d - mean) ** 2 for d in differences) / rounds / (rounds - 1))
        medians = [sorted(t[i] for t in times)[rounds // 2] for i in (0, 1)]
        print(f"{name:46s} {medians[0]:9.1f} {medians[1]:9.1f} {100 * mean:+11.2f} % ± {100 * error:.2f} {'same bits' if same else 'OTHER BITS'}", flush=True)
    return good


def time_launches(kernels, rounds=20):
    """Medians of the single launches of kernels that take several, each kernel's launches in their order."""
    for kernel in kernels:
        case = cases.find(kernel.name)
        if not case.yardstick or len(kernel.spec["launches"]) < 2:
            continue
        buffers = kernel.make_buffers()
        torch.manual_seed(1)
        case.fill(buffers[:kernel.spec["inputs"]])
        run = kernel.bind(buffers)
        times = {}
        for r in range(rounds + 3):
            events = []
            for i, (role, launch) in enumerate(run.launches):
                a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                a.record()
                launch()
                b.record()
                events.append((f"{i} {role}", a, b))
            torch.cuda.synchronize()
            for role, a, b in events if r >= 3 else []:
                times.setdefault(role, []).append(a.elapsed_time(b) * 1e3)
        print(f"launches of {kernel.name}: " + ", ".join(f"{role} {sorted(t)[rounds // 2]:.1f}" for role, t in times.items()) + " µs")
        del buffers, run
        torch.cuda.empty_cache()


def main():
    folder, mode = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "both"
    if mode == "turns":
        return 0 if take_turns((folder, sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "") else 1
    kernels, repeats = (load(folder, float(sys.argv[3]), *sys.argv[4:]), 1) if len(sys.argv) > 3 else (load(folder), 20)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {len(kernels)} kernels", flush=True)
    good = True
    if mode in ("check", "both"):
        for kernel in kernels:
            good &= check_kernel(kernel, repeats)
        print("check:", "all ok" if good else "FAILED", flush=True)
    if mode in ("bench", "both"):
        bench(kernels)
        time_launches(kernels)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
