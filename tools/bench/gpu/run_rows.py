#!/usr/bin/env python3
"""Row kernels of a whole program on the device: bytes, time, and bytes a second against a plain copy's.

  run_rows.py list KERNELS.mlir OUT.mlir [PROGRAM…]   here: the row, table and foreach kernels that these programs launch, with counts
  run_rows.py bench FOLDER [ROUNDS]                   on the device: FOLDER is gpu_kernels' of OUT.mlir, with OUT.mlir beside it as rows.mlir

KERNELS.mlir is `smelt compile SPEC --target sm_90a --compile-to kernel`. Bytes are those of all buffers once (of a table that is looked up:
the rows looked up). Prints a line a kernel: launches a program, µs, GB/s, and what all launches of a program take together.
"""
import json
import os
import re
import sys

SIZES = {"f32": 4, "i32": 4, "bf16": 2, "f16": 2, "i16": 2, "f8E4M3FN": 1, "f8E5M2": 1}
KINDS = ("kernel.rowwise", "kernel.embedding_backward", "kernel.foreach")


def functions(text):
    """name -> text of each function at the top of a module; `#map` aliases do not occur in kernels."""
    found = {}
    for match in re.finditer(r"^( *)func\.func (?:private )?@([\w.$-]+|\"[^\"]+\")\(.*?^\1}", text, re.M | re.S):
        found[match.group(2).strip('"')] = match.group(0)
    return found


def listing(kernels, out, programs):
    text = re.sub(r" loc\((?:[^()]|\([^()]*\))*\)", "", open(kernels).read())
    bodies = functions(text)
    counts = {}
    for name, body in bodies.items():
        calls = re.findall(r"call @([\w.$-]+)\(", body)
        if calls and (not programs or name in programs):
            print(f"{name}: {len(calls)} launches")
            for call in calls:
                counts[call] = counts.get(call, 0) + 1
    with open(out, "w") as f:
        for name, count in counts.items():
            body = bodies[name]
            if any(kind in body for kind in KINDS):
                f.write(f"// launches {name} {count}\n{body}\n")


def main():
    if sys.argv[1] == "list":
        return listing(sys.argv[2], sys.argv[3], sys.argv[4:])
    bench(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20)


def bench(folder, rounds):
    import torch
    import run_kernels
    text = open(os.path.join(folder, "rows.mlir")).read()
    bodies = functions(text)
    launches = {name: int(n) for name, n in re.findall(r"^// launches (\S+) (\d+)", text, re.M)}

    def median(run):
        times = []
        for _ in range(rounds):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda._sleep(200_000)
            scrub.zero_()  # The L2 cache holds nothing of this kernel's.
            a.record()
            run()
            b.record()
            torch.cuda.synchronize()
            times.append(a.elapsed_time(b) * 1e3)
        return sorted(times)[rounds // 2]

    scrub = torch.empty(128 << 20, dtype=torch.uint8, device="cuda")
    copy_from = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    copy_to = torch.empty_like(copy_from)
    took = median(lambda: copy_to.copy_(copy_from))
    print(f"a copy of 256 MiB: {took:.1f} us, {2 * copy_from.numel() / took * 1e-3:.0f} GB/s", flush=True)
    del copy_from, copy_to
    rows = []
    for kernel in run_kernels.load(folder):
        body = bodies.get(kernel.name, "")
        buffers = kernel.make_buffers()
        inputs = kernel.spec["inputs"]
        tokens = max([b["shape"][0] for b in kernel.spec["buffers"] if b["element"] == "i32" and b["shape"]] or [1])
        fill(torch, buffers[:inputs], "embedding" in body)
        total = 0
        for b in kernel.spec["buffers"]:
            count = 1
            for extent in b["shape"]:
                count *= extent
            if "lm.embedding " in body and len(b["shape"]) == 2 and b["shape"][0] in (50257, 50304):
                count = min(count, tokens * b["shape"][1])
            total += count * SIZES[b["element"]]
        took = median(kernel.bind(buffers))
        rows.append((launches.get(kernel.name, 1), took, total, kernel))
        del buffers
        kernel.workspace = None
        torch.cuda.empty_cache()
    rows.sort(key=lambda r: -r[0] * r[1])
    print(f"{'kernel':14s} {'times':>5s} {'us':>8s} {'all us':>8s} {'MB':>7s} {'GB/s':>6s}  ops")
    for times, took, total, kernel in rows:
        ops = re.findall(r"= lm\.([\w]+(?: [a-z_]+(?= ))?)", bodies.get(kernel.name, ""))
        short = " ".join(op.replace("rms_norm", "norm").replace("backward", "bwd") for op in ops if not op.startswith(("cast", "constant", "reshape")))
        print(f"{kernel.name:14s} {times:5d} {took:8.1f} {times * took:8.1f} {total / 1e6:7.1f} {total / took * 1e-3:6.0f}  {short[:110]}")
    print(f"all: {sum(r[0] * r[1] for r in rows):.0f} us, bytes at 4200 GB/s: {sum(r[0] * r[2] for r in rows) / 4.2e6:.0f} us")


def fill(torch, inputs, tokens):
    """Random numbers; lists of integers are tokens (few of them are most of the text) or the starts of documents."""
    torch.manual_seed(3)
    for tensor in inputs:
        if tensor.dtype == torch.int32 and tensor.dim() and tokens:
            tensor.copy_((50256 ** torch.rand(len(tensor), device="cuda") - 1).int())
        elif tensor.dtype == torch.int32 and tensor.dim():
            tensor.copy_(torch.arange(len(tensor), device="cuda") // 1024 * 1024)
        elif tensor.dtype == torch.int32:
            tensor.fill_(640)
        elif tensor.element_size() > 1 and tensor.dtype != torch.int16:
            tensor.normal_()
        else:
            tensor.view(torch.uint8).random_(0, 0x30)


if __name__ == "__main__":
    sys.exit(main())
