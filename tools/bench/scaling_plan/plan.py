#!/usr/bin/env python3
"""What a step would take on 8, 64 and 1,024 GPUs, on paper: the compiler's own bytes per collective, rates of links, measured times of one GPU.

  plan.py SPEC [--build DIR] [--ranks 8,64,1024] [--step MS] [--tokens T] [--matrices MS] [--rows MS] [--nvlink GB/s] [--nic GB/s] [--hop µs]

The bytes are `smelt explain SPEC --ranks N --set training.ranks=N`, which compiles for so many ranks. --step: forward and backward of a
micro-batch of --tokens on one GPU; --matrices, --rows: the whole update of the matrices (Muon, NorMuon) and of the rest on one GPU.
Defaults: the short record's stage 3 on an H200 (RESULTS.md). A collective of S bytes takes (N − 1)·hop + S·(N − 1)/N / rate (all_reduce: twice),
rate the smaller of NVLink's measured 228 GB/s (2 GPUs, FACTS-distributed) and what the host's 8 network cards give: ASSUMED 8 × 50 GB/s × 0.85 for more
than one host. Hops: 1 µs in a host (8 µs measured for 2 GPUs in all), ASSUMED 5 µs in a ring over hosts.
`flat`: all N ranks share every group of parameters, as `smelt-distribute` does it. `by host`: 8 ranks of a host share them, as with N = 8, and sums go on
over hosts between ranks of the same number (an all_reduce of the part): NOT built, it is what would change beyond a host.
`nothing hidden` is an upper bound; `hidden` supposes that reduce-scatters but the last overlap with backward (two thirds of the step, of which
attention and row kernels, 30 %, hide them entirely) and all-gathers overlap with the rest of the update only.
"""
import argparse
import json
import pathlib
import subprocess

HOST = 8


def explain(options, ranks):
    command = [str(pathlib.Path(options.build) / "bin/smelt"), "explain", options.spec, "--target", "sm_90a", "--ranks", str(ranks), "--set",
               f"training.ranks={ranks}", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["communication"]["collectives"]


def seconds(options, kind, size, ranks, across):
    """One collective among `ranks`, in one host or (across) between hosts."""
    rate = min(options.nvlink, HOST * options.nic * 0.85) if across else options.nvlink
    hop = options.hop if across else 1.0
    times = 2 if kind == "all_reduce" else 1
    return times * ((ranks - 1) * hop * 1e-6 + size * (ranks - 1) / ranks / (rate * 1e9))


def communicate(options, collectives, ranks, by_host):
    """(all, last reduction, gathers) in ms a step; a group updated every P steps counts 1/P."""
    total = last = gathers = 0.0
    for c in collectives:
        inside = min(ranks, HOST) if by_host else ranks
        t = seconds(options, c["kind"], c["bytes"], inside, not by_host and ranks > HOST)
        if by_host and ranks > HOST and c["kind"] != "all_gather":  # The part, between hosts: 8 cards, one a rank.
            hosts = ranks // HOST
            t += 2 * ((hosts - 1) * options.hop * 1e-6 + c["bytes"] / HOST * (hosts - 1) / hosts / (options.nic * 0.85 * 1e9))
        t *= 1e3 / c["every"]
        total += t
        if c["kind"] == "all_gather":
            gathers += t
        else:
            last = t
    return total, last, gathers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument("--build", default="build")
    parser.add_argument("--ranks", default="8,64,1024")
    for name, value in (("step", 64.3), ("tokens", 49152), ("matrices", 2.9), ("rows", 0.35), ("nvlink", 228), ("nic", 50), ("hop", 5)):
        parser.add_argument(f"--{name}", type=float, default=value)
    options = parser.parse_args()
    asked = [int(n) for n in options.ranks.split(",")]
    by_ranks = {n: explain(options, n) for n in sorted({*asked, HOST})}
    print(f"{'ranks':>6} {'sharing':8} {'batch':16} {'GB/rank':>8} {'collectives':>11} {'compute':>8} {'update':>7} {'comm.':>7} "
          f"{'efficiency, nothing hidden':>27} {'hidden':>7}")
    for n in asked:
        for by_host in ((False, True) if n > HOST else (False,)):
            share = min(n, HOST) if by_host else n
            collectives = by_ranks[share]
            sent = sum(c["sent_by_rank"] / c["every"] for c in collectives) / 1e9
            # A rank has at least one matrix of each of the three kinds, of 42 in all.
            update = (options.matrices + options.rows) / min(share, 40) + 0.15  # ms; 0.15: launches
            for name, micro in (("weak: one each", options.tokens), ("same global", options.tokens * HOST / n)):
                if name == "same global" and n == HOST:
                    continue
                compute = options.step * micro / options.tokens + 1.0 * (micro < options.tokens)
                total, last, gathers = communicate(options, collectives, n, by_host)
                reductions = total - gathers
                hidden = max(last, reductions - compute * 2 / 3 * 0.3) + max(0.0, gathers - update)
                print(f"{n:6} {'by host' if by_host else 'flat':8} {name:16} {sent:8.2f} {len(collectives):11} {compute:8.1f} {update:7.2f} {total:7.2f} "
                      f"{compute / (compute + update + total):27.3f} {compute / (compute + update + hidden):7.3f}")


if __name__ == "__main__":
    main()
