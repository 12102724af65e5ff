#!/usr/bin/env python3
"""The records' own programs on one GPU: are they what test/oracle says, and how long do forward and backward take with torch.compile?

  pytorch_step.py short|medium LOG check [--dump FOLDER]    loss and gradients, whole widths, 2048 tokens, against test/oracle's reference
  pytorch_step.py short LOG time STAGE [--rounds N] [--together N]   stage 1, 2 or 3 of the short record
  pytorch_step.py medium LOG time WINDOW [--rounds N]       65,536 tokens; the window in blocks of 128
  pytorch_step.py short|medium LOG turns STAGE|WINDOW   a contestant of alternate.py

--untuned: without the search for better tiles that the medium record asks torch.compile for, which takes minutes.

LOG is the record's log of the public repository, see record_program.py. --dump writes weights.safetensors and gradients.safetensors as
smelt-parity reads them (loss and gradients of the float64 reference with the record's roundings of weights, tables and FP8 values).
"""
import argparse
import contextlib
import faulthandler
import fcntl
import json
import pathlib
import sys
import time

import torch

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[3] / "test/oracle")]
import medium_record  # noqa: E402
import record_program  # noqa: E402
import short_record  # noqa: E402
import steps as op  # noqa: E402
from record_inputs import STAGES, WHOLE, make_batch, on_device, set_weights  # noqa: E402


def call(program, record, model, batch, blocks):
    tokens, targets, _, starts = batch
    if record == "short":
        return model(tokens.int(), targets, starts, blocks // 2, blocks)
    return model(tokens.int(), targets, on_device(blocks))


def relative(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-30)).item()


def run_reference(record, named, batch, blocks, act, fp8, compute):
    """Loss and gradients of test/oracle's program at the model's weights."""
    layers, heads, width = WHOLE[record]
    if record == "short":
        config = short_record.ShortConfig(layers=layers, model=width, heads=heads, head=128, hidden=4 * width, rows=50304, fp8=fp8, compute=compute)
        shapes = short_record.parameter_shapes(config)
    else:
        config = medium_record.MediumConfig(layers=layers, model=width, heads=heads, head=128, hidden=4 * width, vocabulary=50257, rows=50304, block=128, compute=compute)
        shapes = medium_record.parameter_shapes(config)
    wide = torch.float64 if act == torch.float64 else None
    leaves = {n: (named[n].detach().to(wide) if wide else named[n].detach().clone()).reshape(s).requires_grad_() for n, s in shapes.items()}
    tokens, targets, document_start, _ = batch
    with torch.device("cuda"):
        if record == "short":
            loss = short_record.forward(config, leaves, tokens, targets, document_start, (blocks // 2 * 128, blocks * 128),
                                        op.rope_frequencies(128).float().double(), 0.1, act)
        else:
            loss = medium_record.forward(config, leaves, tokens, targets, document_start, blocks, act)
    return loss.detach(), dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values()))))


def compare(what, loss, gradients, other_loss, other):
    names = [n for n in other if not n.startswith("scalars.")]
    errors = sorted(((relative(gradients[n].reshape(other[n].shape), other[n]), n) for n in names), reverse=True)
    scalars = [n for n in other if n.startswith("scalars.")]
    scalar = relative(torch.stack([gradients[n].double() for n in scalars]), torch.stack([other[n].double() for n in scalars]))
    median = errors[len(errors) // 2][0]
    print(f"{what:52} loss {abs(loss.item() / other_loss.item() - 1):.1e}  gradients: median {median:.1e}, worst {errors[0][0]:.1e} ({errors[0][1]}), scalars {scalar:.1e}",
          flush=True)


def check(record, log, dump):
    program = record_program.load(log, record)
    model = record_program.make_model(program, record, *WHOLE[record], 2048)
    named = record_program.by_smelt_names(model, record, lambda p: p.data)
    set_weights(named)
    batch, blocks = make_batch(2048, 700), 3 if record == "short" else 5
    model.train()
    torch._inductor.config.coordinate_descent_tuning = False  # The medium record sets it; here it would only take time.
    if record == "medium":  # Uncompiled it does not obey the lists of blocks.
        program.flex_attention = torch.compile(program.flex_attention, dynamic=False)
    loss = call(program, record, model, batch, blocks)
    loss.backward()
    own = record_program.by_smelt_names(model, record, lambda p: p.grad)
    bf16 = run_reference(record, named, batch, blocks, torch.bfloat16, record == "short", torch.bfloat16)
    exact = run_reference(record, named, batch, blocks, torch.float64, record == "short", torch.bfloat16)
    compare(f"{record}: its program against ours, bf16", loss, own, *bf16)
    compare(f"{record}: its program against ours, float64", loss, own, *exact)
    compare(f"{record}: ours in bf16 against ours in float64", *bf16, *exact)
    if dump:
        from safetensors.torch import save_file
        folder = pathlib.Path(dump)
        folder.mkdir(parents=True, exist_ok=True)
        rows = {f"step.0.{n}": t[None].int().cpu() for n, t in zip(("tokens", "targets", "document_start"), batch)}
        save_file({**{n: named[n].cpu().contiguous().clone() for n in exact[1]}, **rows}, folder / "weights.safetensors")
        per_token = exact[0] / (2048 if record == "short" else 1)
        save_file({**{n: g.float().cpu().contiguous() for n, g in exact[1].items()}, "losses": per_token.float().cpu().reshape(1)},
                  folder / "gradients.safetensors")


def read_batch(path):
    """A batch that gpu_turns wrote, as make_batch gives it."""
    tokens, targets, document_start = torch.from_file(path, size=pathlib.Path(path).stat().st_size // 4, dtype=torch.int32).view(3, -1)
    T, starts = len(tokens), torch.cat([document_start.unique(), torch.tensor([tokens.numel()])])
    tokens[starts[:-1].long()] = 50256  # Where the medium record's program finds its documents; gpu_turns' tokens are drawn.
    padded = torch.full((max(128, -(-T // 300 // 128) * 128 + 128, len(starts)),), T, dtype=torch.int32)
    padded[: len(starts)] = starts
    return tokens.long().cuda(), targets.long().cuda(), document_start.long().cuda(), padded.cuda()


class Compiled:
    """A record's forward and backward as its program compiles them."""

    def __init__(self, record, log, which):
        self.record, self.which = record, which
        self.program = record_program.load(log, record)
        self.model = record_program.make_model(self.program, record, *WHOLE[record], 262144)
        set_weights(record_program.by_smelt_names(self.model, record, lambda p: p.data))
        self.batch = make_batch(STAGES[which][0] if record == "short" else 65536)
        self.model.train()
        options = {"fullgraph": True} if record == "short" else {}
        self.compiled = torch.compile(self.model, dynamic=False, **options)
        begin = time.time()
        for _ in range(3):
            self.step()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()  # Several programs wait on one GPU for their turn.
        self.seconds = time.time() - begin

    def step(self, blocks=None):
        blocks = blocks or (STAGES[self.which][1] if self.record == "short" else self.which)
        call(self.program, self.record, self.compiled, self.batch, blocks).backward()
        self.model.zero_grad(set_to_none=True)

    def profile(self, blocks):
        """Launches, milliseconds of the GPU by kind of kernel, and the peak of forward and backward."""
        torch.cuda.reset_peak_memory_stats()
        self.step(blocks)
        torch.cuda.synchronize()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            self.step(blocks)
            torch.cuda.synchronize()
        kernels = [e for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA and not e.name.startswith("Mem")]
        attention = [e for e in kernels if "flash" in e.name or "flex" in e.name or "tem_fused" in e.name and "attention" in e.name]
        busy = lambda events: round(sum(e.device_time for e in events) / 1e3, 3)
        return {"kernels": len(kernels), "kernels_ms": busy(kernels), "attention_ms": busy(attention),
                "peak_mib": torch.cuda.max_memory_allocated() >> 20,
                "parameters_mib": sum(p.nbytes for p in self.model.parameters()) >> 20}


def measure(record, log, which, rounds, together):
    """`together` processes may compile at the same time; when all have, one after the other measures."""
    begin = time.time()
    compiled = Compiled(record, log, which)
    ready = pathlib.Path("/tmp/pytorch_step")
    ready.mkdir(exist_ok=True)
    (ready / f"{record}-{which}").touch()
    while len(list(ready.iterdir())) < together and time.time() < begin + 300:
        time.sleep(0.2)
    with open("/tmp/pytorch_step.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        torch.cuda.reset_peak_memory_stats()
        times = []
        for _ in range(rounds):
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            compiled.step()
            stop.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(stop))
    times.sort()
    peak = torch.cuda.max_memory_allocated() / 2**20
    print(f"{record} {which}: {len(compiled.batch[0])} tokens, forward + backward {times[len(times) // 2]:.2f} ms "
          f"({times[len(times) // 10]:.2f}-{times[len(times) * 9 // 10]:.2f}), peak {peak:.0f} MiB, compiled in {compiled.seconds:.0f} s", flush=True)


def take_turns(record, log, which):
    """gpu_turns' protocol, for alternate.py: `batch FILE`, `run WHICH N` and `profile WHICH`, a line of JSON each."""
    faulthandler.dump_traceback_later(60, repeat=True)  # What it was at, should it never end.
    compiled = Compiled(record, log, which)
    faulthandler.cancel_dump_traceback_later()
    with contextlib.suppress(Exception):  # Not an interface that PyTorch promises.
        print(torch._dynamo.utils.compile_times(aggregate=True), file=sys.stderr, flush=True)
    answer = lambda value: print(json.dumps(value), flush=True)
    answer({"ready": True, "compiled_s": round(compiled.seconds, 1)})
    for line in sys.stdin:
        what, *rest = line.split()
        if what == "batch":
            compiled.batch = read_batch(rest[0])
            compiled.step()
            answer({"tokens": len(compiled.batch[0])})
            continue
        blocks = int(rest[0]) if record == "medium" else None
        if what == "profile":
            answer(compiled.profile(blocks))
            continue
        count = int(rest[1])
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(count):
            compiled.step(blocks)
        torch.cuda.synchronize()
        answer({"ms": (time.perf_counter() - begin) * 1e3 / count})


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("record", choices=WHOLE)
    parser.add_argument("log")
    parser.add_argument("what", choices=["check", "time", "turns"])
    parser.add_argument("which", type=int, nargs="?")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--dump")
    parser.add_argument("--untuned", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "check":
        check(arguments.record, arguments.log, arguments.dump)
        return
    if arguments.untuned:
        record_program.tune = False
    if arguments.what == "turns":
        take_turns(arguments.record, arguments.log, arguments.which)
    else:
        measure(arguments.record, arguments.log, arguments.which, arguments.rounds, arguments.together)


if __name__ == "__main__":
    main()
