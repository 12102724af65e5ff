"""Waits for "STEPS" lines, runs that many training steps of the PyTorch model, answers with one JSON line. Started by cpu_step.py.

usage: torch_worker.py SPEC SHARD THREADS
"""

import json
import sys
import time

import numpy
import torch

import torch_model


def main():
    spec_path, shard, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(threads)
    spec = torch_model.read_spec(spec_path)
    trainer = torch_model.Trainer(spec)
    header = 1024  # of a .bin shard
    data = torch.from_numpy(numpy.fromfile(shard, dtype=numpy.uint16, offset=header).astype(numpy.int64))
    generator = torch.Generator().manual_seed(1)
    tokens, sequence = trainer.tokens, spec["data"]["sequence"]
    done = 0

    def batch():
        starts = torch.randint(0, len(data) - sequence - 1, (tokens // sequence,), generator=generator)
        index = (starts[:, None] + torch.arange(sequence)).reshape(-1)
        return data[index], data[index + 1]

    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "tokens": tokens,
                      "parameters": sum(p.numel() for p in trainer.model.parameters())}), flush=True)
    for line in sys.stdin:
        times, losses = [], []
        for _ in range(int(line)):
            inputs = batch()  # Not timed: smelt prefetches on another thread.
            start = time.perf_counter()
            losses.append(trainer.step(done, *inputs))
            times.append((time.perf_counter() - start) * 1e3)
            done += 1
        print(json.dumps({"ms": times, "losses": losses}), flush=True)


main()
