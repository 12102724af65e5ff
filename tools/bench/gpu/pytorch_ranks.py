#!/usr/bin/env python3
"""The records' own programs on several GPUs: what communication adds to their step. One process a GPU, under torchrun.

  torchrun --standalone --nproc-per-node N pytorch_ranks.py short|medium LOG [--places 1,2,3] [--steps N] [--rounds N] [--json FILE]
                                                            [--warm-up SECONDS] [--seconds N] [--same-documents] [--ready FILE --go FILE] [--tuned]

Places are stages of the short record, windows in blocks of 128 of the medium one (all of 65,536 tokens). One micro-batch a rank and step, of
documents of each rank's own (or of all ranks alike), its model under torch.compile, its optimisers and its own way to communicate, from the log
(record_program.py). Of each place three modes are timed, ms a step, all ranks at once:
  model   forward and backward alone
  alone   the same share of the optimisers' work, but nothing is sent: sums are the rank's own, gathered weights its own part over and over
  full    the step
in turns, as rank_step does it: a round is --steps [4] of each mode, every other round goes backward; rounds that do not count come first, for
as many seconds as named [2] and until one takes what the one before took; then 12, or an even number that fits into --seconds [16]. Printed are
medians and between what 80 % of rank 0's rounds lie, and from each round's own times weak scaling, alone / full, of rank 0 and of the rank that
is slowest alone: the median and quartiles. Snoo's step of every 28th is not among them.

--ready FILE is made when all is compiled; then nothing is measured before --go FILE is there. Not as in the log: tiles of NorMuon's two
kernels are not searched for, nor those that torch.compile would search for in the medium record; --tuned does both, which takes minutes.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import sys
import textwrap
import time

import torch
import torch.distributed as dist

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import record_program  # noqa: E402
from record_inputs import STAGES, WHOLE, make_batch, on_device, set_weights  # noqa: E402

MODES = ("model", "alone", "full")
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter_tensor", "all_gather_into_tensor")


class Done:
    """What an asynchronous collective answers."""

    def get_future(self):
        future = torch.futures.Future()
        future.set_result(None)
        return future


class Silence:
    """While it is entered nothing is sent: results are made of the rank's own numbers, so that they stay finite."""

    def __init__(self):
        self.kept = {name: getattr(dist, name) for name in COLLECTIVES}
        self.silent = {name: torch._dynamo.disable(getattr(self, name)) for name in COLLECTIVES}  # The same ones each time: nothing compiles anew.

    def __enter__(self):
        for name, function in self.silent.items():
            setattr(dist, name, function)

    def __exit__(self, *_):
        for name, function in self.kept.items():
            setattr(dist, name, function)

    def all_reduce(self, *_, **__):
        return Done()

    all_gather = all_reduce  # Into parameters, whose own part is in place.

    @torch.no_grad()
    def reduce_scatter_tensor(self, to, whole, **_):
        to.copy_(whole[dist.get_rank() * len(to):][: len(to)])
        return Done()

    @torch.no_grad()
    def all_gather_into_tensor(self, to, part, **_):
        if part.untyped_storage().data_ptr() != to.untyped_storage().data_ptr():
            to.view(-1, *part.shape).copy_(part.expand(len(to) // len(part), *part.shape))
        return Done()


def cut(text, begin, end):
    assert text.count(begin) == 1 and text.count(end) == 1, f"not the record's log: {begin!r}, {end!r}"
    return text[text.index(begin): text.index(end)]


class Step:
    def __init__(self, record, log, tuned, seed):
        self.record, self.seed, self.silence = record, seed, Silence()
        self.program = p = record_program.load(log, record)
        p.device, p.rank, p.world_size, p.grad_accum_steps = torch.device("cuda", torch.cuda.current_device()), dist.get_rank(), dist.get_world_size(), 1
        if record == "short" and not tuned:
            for kernel in (p.XXT_kernel, p.ba_plus_cAA_kernel):
                kernel.configs = [c for c in kernel.configs
                                  if [c.kwargs[f"BLOCK_SIZE_{x}"] for x in "MNK"] == [128, 128, 64] and (c.num_stages, c.num_warps) == (3, 8)]
                assert len(kernel.configs) == 1
        p.model = record_program.make_model(p, record, *WHOLE[record], 262144)
        set_weights(record_program.by_smelt_names(p.model, record, lambda parameter: parameter.data))
        text = pathlib.Path(log).read_text().split("\n" + "=" * 100)[0]
        self.run(cut(text, "# collect the parameters to optimize\n", "\nmodel: nn.Module = torch.compile("))
        if record == "medium":
            update = cut(text, "    opt2futures = {\n", "    # logging\n")
            self.update = compile(textwrap.dedent(update), "the log's update", "exec")
        p.model.train()
        self.compiled = torch.compile(p.model, dynamic=False, **({"fullgraph": True} if record == "short" else {}))
        self.batches, self.number = {}, 700

    def run(self, text):
        exec(compile(text, "the log", "exec"), self.program.__dict__)

    def __call__(self, place, update=True):
        if place not in self.batches:
            self.batches[place] = make_batch(STAGES[place][0] if self.record == "short" else 65536, seed=self.seed)
        p, (tokens, targets, _, starts) = self.program, self.batches[place]
        if self.record == "short":
            p.optimizers[0].should_sync = update and self.number % 2 == 1
            blocks = STAGES[place][1]
            self.compiled(tokens.int(), targets, starts, blocks // 2, blocks).backward()
            if update:
                p.step_optimizers(self.number, p.optimizers, p.model)
        else:
            self.compiled(tokens.int(), targets, on_device(place)).backward()
            if update:
                p.step, p.outer_optim.current_step = self.number, 1  # None of every 28th.
                exec(self.update, p.__dict__)
        if not update:
            p.model.zero_grad(set_to_none=True)
        self.number += 1

    def turn(self, mode, place, steps):
        """Milliseconds a step."""
        with self.silence if mode == "alone" else contextlib.nullcontext():
            torch.cuda.synchronize()
            dist.barrier()
            torch.cuda.synchronize()
            begin = time.perf_counter()
            for _ in range(steps):
                self(place, mode != "model")
            torch.cuda.synchronize()
            return (time.perf_counter() - begin) * 1e3 / steps

    def round(self, backward, place, steps):
        return {mode: self.turn(mode, place, steps) for mode in (reversed(MODES) if backward else MODES)}


def of_all(own):
    every = [None] * dist.get_world_size()
    dist.all_gather_object(every, own)
    return every


def warm_up(step, place, steps, seconds):
    """Until rounds take the same time; seconds of the last one, by rank 0's clock."""
    begin, last = time.time(), 0
    for number in itertools.count():
        start = time.time()
        step.round(number % 2, place, steps)
        now = time.time()
        last, before, spent = of_all((now - start, last, now - begin))[0]
        if spent >= seconds and (abs(last - before) <= 0.01 * last or spent >= 3 * seconds):
            return last


def quantile(numbers, share):
    """Between neighbours in proportion."""
    numbers, place = sorted(numbers), share * (len(numbers) - 1)
    below = int(place)
    return numbers[below] + (place - below) * (numbers[min(below + 1, len(numbers) - 1)] - numbers[below])


def spread(numbers, share):
    return [quantile(numbers, each) for each in (share, 0.5, 1 - share)]


def measure(step, place, arguments):
    seconds = warm_up(step, place, arguments.steps, arguments.warm_up)
    count = max(min(arguments.rounds, int(arguments.seconds / seconds) // 2 * 2), 2)
    every = of_all([step.round(number % 2, place, arguments.steps) for number in range(count)])
    rounds = {mode: [[each[mode] for each in own] for own in every] for mode in MODES}
    result = {mode: [quantile(own, 0.5) for own in rounds[mode]] for mode in MODES}
    slowest = result["alone"].index(max(result["alone"]))
    scaling = {name: spread([a / b for a, b in zip(rounds["alone"][rank], rounds["full"][0])], 0.25) for name, rank in (("rank0", 0), ("slowest", slowest))}
    return {**result, "scaling": scaling, "same_documents": arguments.same_documents, "steps_a_turn": arguments.steps, "rounds": rounds}


def wait_for(path, seconds):
    deadline = time.time() + seconds
    while not path.exists():
        if time.time() > deadline:
            sys.exit("pytorch_ranks: was not told to go")
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("record", choices=WHOLE)
    parser.add_argument("log")
    parser.add_argument("--places")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--warm-up", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=16)
    parser.add_argument("--same-documents", action="store_true")
    parser.add_argument("--ready", type=pathlib.Path)
    parser.add_argument("--go", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--tuned", action="store_true")
    arguments = parser.parse_args()
    begin = time.time()
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl", device_id=torch.device("cuda", torch.cuda.current_device()))
    say = (lambda text: print(text, flush=True)) if dist.get_rank() == 0 else lambda text: None
    record_program.tune = arguments.tuned
    step = Step(arguments.record, arguments.log, arguments.tuned, 0 if arguments.same_documents else dist.get_rank())
    places = [int(x) for x in (arguments.places or ("1,2,3" if arguments.record == "short" else "1")).split(",")]
    for place in reversed(places):  # The largest first.
        for _ in range(2):
            step(place, False)
        torch.cuda.synchronize()
        say(f"{arguments.record} {place}: its model is compiled after {time.time() - begin:.0f} s")
    for _ in range(4):
        step(places[0])
    with step.silence:
        for _ in range(4):
            step(places[0])
    torch.cuda.synchronize()
    dist.barrier()
    torch.cuda.synchronize()
    say(f"{arguments.record}: all compiled after {time.time() - begin:.0f} s")
    torch.cuda.empty_cache()  # Others share the GPU while this waits.
    if arguments.ready and dist.get_rank() == 0:
        arguments.ready.touch()
    if arguments.go:
        wait_for(arguments.go, 500)
    results = {}
    say(f"PyTorch, {arguments.record}, {dist.get_world_size()} ranks, {torch.cuda.get_device_name()}{'' if arguments.tuned else ', tiles not searched for'}")
    say(" place    tokens     model     alone      full   ms a step, rank 0's rounds")
    for place in places:
        step(place)
        result = results[place] = measure(step, place, arguments)
        rounds = result["rounds"]
        say(f"{place:6d} {len(step.batches[place][0]):9d} " + " ".join(f"{result[mode][0]:9.3f}" for mode in MODES) + f"   medians of {len(rounds['full'][0])}")
        for name, number in (("10 %", 0), ("90 %", 2)):
            say(f"{name:>16} " + " ".join(f"{spread(rounds[mode][0], 0.1)[number]:9.3f}" for mode in MODES))
        for name, text in (("rank0", "alone / full                "), ("slowest", "the same, slowest rank alone")):
            low, middle, high = result["scaling"][name]
            say(f"       {text} {middle:.4f} ({low:.4f}-{high:.4f})")
        say(f"       alone of all ranks {min(result['alone']):.2f}-{max(result['alone']):.2f}")
        if arguments.json and dist.get_rank() == 0:
            arguments.json.write_text(json.dumps(results))
    say(f"PyTorch, {arguments.record}: peak {torch.cuda.max_memory_allocated() >> 20} MiB a rank")
    sys.stdout.flush()
    os._exit(0)  # Leaving NCCL's group took half a minute.


if __name__ == "__main__":
    main()
