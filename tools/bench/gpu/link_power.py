#!/usr/bin/env python3
"""What it costs two GPUs to talk at all, when power limits their clocks: products of bf16 matrices on both, and beside them nothing, small copies to the
other GPU that nobody waits for, or a meeting once a step.

  link_power.py [--rounds N] [--step PRODUCTS]     on a machine with two GPUs of one host; PyTorch and nvidia-smi

A turn of a mode is 16 steps of PRODUCTS products; turns of all modes are taken in rounds, every other one backward. Prints, per mode, each GPU's median
time of a step and what it is to the mode without any traffic in the same round (mean and standard error), clock and power, and how many of its NVLinks
are awake near the end of a turn (mean). A tenth of a second without traffic comes before each turn, twice what puts links to sleep.

Modes: none      nothing between the GPUs
       seldom    a copy of 256 bytes each way once a step, on a stream of its own
       often     the same after every product
       blocks    1 MiB each way after every product: little, but over all links
       events    each step waits for the other GPU's step before it (events, no data)
       sum       an all_reduce of 44 floats (NCCL) at the end of each step"""
import argparse
import datetime
import math
import statistics
import subprocess
import tempfile
import time

import torch
import torch.cuda.nccl as nccl
from keep_links_awake import count_awake

MODES = ("none", "seldom", "often", "blocks", "events", "sum")
SIZE, STEPS, GPUS, PAUSE = 8192, 16, (0, 1), 0.1


class Gpu:
    def __init__(self, index):
        self.device = torch.device("cuda", index)
        torch.cuda.set_device(self.device)
        self.a, self.b = (torch.randn(SIZE, SIZE, device=self.device, dtype=torch.bfloat16) for _ in "ab")
        self.c = torch.empty_like(self.a)
        self.block, self.mailbox = (torch.zeros(1 << 18, device=self.device) for _ in "ab")
        self.sum = torch.ones(44, device=self.device)
        self.main, self.side = torch.cuda.Stream(self.device), torch.cuda.Stream(self.device)

    def event(self, timing=False):
        event = torch.cuda.Event(enable_timing=timing)
        event.record(self.main)
        return event

    def multiply(self):
        with torch.cuda.device(self.device), torch.cuda.stream(self.main):
            torch.matmul(self.a, self.b, out=self.c)

    def send(self, other, count=64):
        self.side.wait_event(self.event())
        with torch.cuda.device(self.device), torch.cuda.stream(self.side):
            other.mailbox[:count].copy_(self.block[:count], non_blocking=True)


def take_turn(mode, gpus, products):
    """Milliseconds of a step on each GPU; links awake near the end."""
    for gpu in gpus:
        torch.cuda.synchronize(gpu.device)
    time.sleep(PAUSE)
    begin = [gpu.event(timing=True) for gpu in gpus]
    for _ in range(STEPS):
        for _ in range(products):
            for gpu, other in zip(gpus, reversed(gpus)):
                gpu.multiply()
                if mode in ("often", "blocks"):
                    gpu.send(other, 64 if mode == "often" else len(gpu.block))
        if mode == "seldom":
            for gpu, other in zip(gpus, reversed(gpus)):
                gpu.send(other)
        elif mode == "events":
            for gpu, event in zip(gpus, reversed([gpu.event() for gpu in gpus])):
                gpu.main.wait_event(event)
        elif mode == "sum":
            nccl.all_reduce([gpu.sum for gpu in gpus], streams=[gpu.main for gpu in gpus])
    end = [gpu.event(timing=True) for gpu in gpus]
    awake, _ = count_awake()
    for gpu in gpus:
        torch.cuda.synchronize(gpu.device)
    return [a.elapsed_time(b) / STEPS for a, b in zip(begin, end)], awake / len(gpus)


def read_samples(path):
    """(GPU, Unix time, MHz, W) of each line of nvidia-smi's."""
    samples = []
    for line in open(path):
        words = [word.strip() for word in line.split(",")]
        if len(words) == 4:
            when = datetime.datetime.strptime(words[1], "%Y/%m/%d %H:%M:%S.%f").timestamp()
            samples.append((int(words[0]), when, float(words[2]), float(words[3])))
    return samples


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--step", type=int, default=32)
    options = parser.parse_args()
    gpus = [Gpu(index) for index in GPUS]
    for mode in MODES + ("none",) * 2:  # Warm, and every path taken once.
        take_turn(mode, gpus, options.step)
    with tempfile.NamedTemporaryFile("w") as log:
        sampler = subprocess.Popen(["nvidia-smi", "--query-gpu=index,timestamp,clocks.sm,power.draw.instant", "--format=csv,noheader,nounits", "-lms", "25"],
                                   stdout=log, stderr=subprocess.DEVNULL)
        turns = []  # (mode, round, begin, end, times, links awake)
        for number in range(options.rounds):
            for mode in MODES if number % 2 == 0 else reversed(MODES):
                begin = time.time() + PAUSE
                times, awake = take_turn(mode, gpus, options.step)
                turns.append((mode, number, begin, time.time(), times, awake))
        sampler.terminate()
        sampler.wait()
        samples = read_samples(log.name)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {options.step} products of {SIZE}³ a step, {STEPS} steps a turn, {options.rounds} rounds")
    print(f"{'mode':8s} {'GPU':>3s} {'ms a step':>10s} {'to none':>20s} {'MHz':>6s} {'W':>6s} {'links':>6s}")
    base = {number: times for mode, number, _, _, times, _ in turns if mode == "none"}
    for mode in MODES:
        for index in GPUS:
            own = [(times[index], times[index] / base[number][index] - 1, begin, end) for m, number, begin, end, times, _ in turns if m == mode]
            ratios = [each[1] for each in own]
            error = statistics.stdev(ratios) / math.sqrt(len(ratios))
            within = [s for s in samples if s[0] == index and any(begin + 0.2 < s[1] < end - 0.05 for _, _, begin, end in own)]
            clock, power = (statistics.mean(s[k] for s in within) if within else math.nan for k in (2, 3))
            awake = statistics.mean(turn[5] for turn in turns if turn[0] == mode)
            print(f"{mode:8s} {index:3d} {statistics.median(each[0] for each in own):10.3f} {100 * statistics.mean(ratios):+10.2f} % ± {100 * error:.2f} {clock:8.0f} {power:6.0f} {awake:6.1f}")


if __name__ == "__main__":
    main()
