#!/usr/bin/env python3
"""The short record's own program trains 200 steps on one GPU: its model, loader, optimisers and schedules, from its log.

  pytorch_train.py LOG weights OUT.safetensors [--seed N]             its initial weights under Smelt's names
  pytorch_train.py LOG train WEIGHTS TRAIN.bin VALIDATION.bin OUT.json [--steps N]

Steps and sizes are those of specs/curves.json: 4096 tokens a step on one rank, the thirds and the extension of 180 + 20 steps. Not
compiled, because torch.compile takes 45 s at each change of YaRN's scale; the optimisers' own compiled functions stay, their two
Triton kernels with one size of tiles instead of a search among 30. With DISABLE_FP8=1
in the environment the head is bf16, as the record's program has it.
"""
import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import torch
import torch.distributed as dist

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[3] / "test/oracle")]
import record_program  # noqa: E402
import short_record  # noqa: E402

TOKENS, SCHEDULED, EXTENSION = 4096, 180, 20
SIZES = (11, 6, 768)


def open_program(log):
    torch.cuda.set_device(0)
    dist.init_process_group("nccl", rank=0, world_size=1, store=dist.HashStore(), device_id=torch.device("cuda", 0))
    program = record_program.load(log, "short")
    program.grad_accum_steps = 1
    for kernel in (program.XXT_kernel, program.ba_plus_cAA_kernel):
        kernel.configs = [c for c in kernel.configs
                          if [c.kwargs[f"BLOCK_SIZE_{x}"] for x in "MNK"] == [128, 128, 64] and (c.num_stages, c.num_warps) == (3, 8)]
        assert len(kernel.configs) == 1
    a = program.args
    a.train_bs_schedule, a.train_bs_extension = (TOKENS,) * 3, TOKENS
    a.num_scheduled_iterations, a.num_extension_iterations, a.num_iterations = SCHEDULED, EXTENSION, SCHEDULED + EXTENSION
    a.val_batch_size, a.val_tokens = TOKENS, 12 * TOKENS
    return program


def parameters(model):
    """Views under Smelt's names; the two scalars of the layer without attention, which nothing uses, are left out."""
    used = short_record.parameter_shapes(short_record.ShortConfig())
    return {name: p for name, p in record_program.by_smelt_names(model, "short", lambda p: p.data).items() if name in used}


def add_optimizers(program, log):
    """The log's text from its lists of parameters to its compilation of the model: optimisers and schedules."""
    text = pathlib.Path(log).read_text()
    begin, end = "# collect the parameters to optimize\n", "\nmodel: nn.Module = torch.compile("
    assert text.count(begin) == 1 and text.count(end) == 1, f"{log} is not the short record's log"
    exec(compile(text[text.index(begin): text.index(end)], "optimizers of the log", "exec"), program.__dict__)


def train(log, weights, train_file, validation_file, out, steps):
    from safetensors.torch import load_file
    program = open_program(log)
    program.model = model = record_program.make_model(program, "short", *SIZES, 16384)
    stored = load_file(weights)
    named = parameters(model)
    assert stored.keys() == named.keys(), stored.keys() ^ named.keys()
    for name, p in named.items():
        p.copy_(stored[name].reshape(p.shape))
    add_optimizers(program, log)
    loader = program.distributed_data_generator(train_file, TOKENS, program.args.train_max_seq_len, grad_accum_steps=1)
    model.train()
    losses, times = [], []
    ws_short, ws_long = program.get_ws(0)
    for step in range(steps):
        begin = time.perf_counter()
        ws_short, new_long = program.get_ws(step)
        if new_long != ws_long:
            model.yarn.apply(ws_long, new_long)
            ws_long = new_long
        if step % 2 == 1:
            program.optimizers[0].should_sync = True
        inputs, targets, starts = loader.send(None)
        loss = model(inputs, targets, starts, ws_short, ws_long)
        loss.backward()
        program.step_optimizers(step, program.optimizers, model)
        losses.append(loss.item() / TOKENS)
        times.append(time.perf_counter() - begin)
    model.eval()
    ws_short, ws_long = program.get_ws(steps)[0], program.args.ws_validate_post_yarn_ext
    batches = program.distributed_data_generator(validation_file, TOKENS, -1, grad_accum_steps=1, align_to_bos=False)
    with torch.no_grad():
        validation = sum(model(*next(batches), ws_short, ws_long).item() for _ in range(12)) / 12
    pathlib.Path(out).write_text(json.dumps({"losses": losses, "validation": validation, "median_ms": statistics.median(times[20:]) * 1e3}))
    print(f"{out}: {steps} steps, loss {losses[-1]:.4f}, validation {validation:.4f}, {statistics.median(times[20:]) * 1e3:.1f} ms a step", flush=True)


def write_weights(log, out, seed):
    from safetensors.torch import save_file
    program = open_program(log)
    torch.manual_seed(seed)
    model = record_program.make_model(program, "short", *SIZES, 16384)
    save_file({name: p.cpu().contiguous().clone() for name, p in parameters(model).items()}, out)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("log")
    parser.add_argument("what", choices=["weights", "train"])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=SCHEDULED + EXTENSION)
    arguments = parser.parse_args()
    if arguments.what == "weights":
        write_weights(arguments.log, arguments.files[0], arguments.seed)
    else:
        train(arguments.log, *arguments.files, arguments.steps)
    sys.stdout.flush()
    os._exit(0)  # Leaving a NCCL group of one took half a minute.


if __name__ == "__main__":
    main()
