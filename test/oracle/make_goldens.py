#!/usr/bin/env python3
"""Writes the goldens of test/oracle/data: PYTHON make_goldens.py [short] [medium] [variants | VARIANT…]. Needs torch (CPU), numpy, safetensors.

Everything is computed in float64 and stored as float32. Gradients of variants are stored as sixteen signed sums a tensor, see `project`.
"""
import dataclasses
import pathlib
import sys
import zlib

import numpy
import torch
from safetensors.torch import save_file

import medium_record as medium
import short_record as short
import steps as op

DATA = pathlib.Path(__file__).parent / "data"
VOCABULARY = 90

SHORT = short.ShortConfig(model=24, heads=3, head=8, hidden=96, rows=96, fp8=False)
SHORT_SCHEDULE = short.ShortSchedule(scheduled=18, extension=4, tokens=(256, 384, 384), block=8, momentum_warmup=10, momentum_cooldown=5)
MEDIUM = medium.MediumConfig(model=24, heads=3, head=8, hidden=96, vocabulary=VOCABULARY, rows=96, block=16)
MEDIUM_SCHEDULE = medium.MediumSchedule(steps=40, peak=160, block=16, momentum_warmup=10)
STEPS = 20


def generator(*key):
    return torch.Generator().manual_seed(zlib.crc32(repr(key).encode()))


def make_parameters(shapes, dtype=None):
    """Values of the size that training gives them, none of them zero: float32 numbers, or of `dtype(name)`, as float64."""
    parameters = {}
    for name, shape in shapes.items():
        r = torch.randn(shape, generator=generator("parameter", name), dtype=torch.float64)
        if name.startswith("scalars."):
            center = {"resid": 1.0, "x0": 0.2, "qkv": 0.7, "out": 0.8, "smear": 0.3, "backout": 0.4, "skip": -0.5, "x00": 0.2, "x01": 0.1,
                      "v_self": 0.6, "v_embed": 0.4, "final": 0.9, "smear_mtp": 0.3}.get(name.split(".")[1], 0.5)
            r = center + 0.1 * r
        elif name.endswith(".gate"):
            r = 0.5 * r
        elif name == "head":
            r = 0.3 * r
        elif name.startswith("layers."):
            r = r * shape[-1] ** -0.5 if not name.endswith("mlp.down") else 0.1 * r
        parameters[name] = r.to(dtype(name) if dtype else torch.float32).to(torch.float64)
    return parameters


def make_batch(tokens, *key):
    """Documents of 3 to 70 tokens; each starts with token 0, which is nowhere else. Repeats, so that shifted keys matter."""
    g = generator("batch", tokens, *key)
    sequence = torch.randint(1, VOCABULARY, (tokens + 1,), generator=g)
    sequence[tokens // 2 :] = torch.where(torch.rand(tokens + 1 - tokens // 2, generator=g) < 0.5, sequence[: tokens + 1 - tokens // 2], sequence[tokens // 2 :])
    start, document_start = 0, torch.zeros(tokens, dtype=torch.int64)
    while start < tokens:
        sequence[start] = 0
        document_start[start:] = start
        start += int(torch.randint(3, 70, (1,), generator=g))
    return sequence[:-1], sequence[1:].clone(), document_start


def batches_of(step_tokens, steps, ranks=2):
    return [[make_batch(step_tokens(s) // ranks, s, r) for r in range(ranks)] for s in range(steps)]


def batch_tensors(batches):
    out = {}
    for s, micro_batches in enumerate(batches):
        for name, parts in zip(("tokens", "targets", "document_start"), zip(*micro_batches)):
            out[f"step.{s}.{name}"] = torch.stack(parts).int()
    return out


def save(name, tensors, **about):
    DATA.mkdir(exist_ok=True)
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    save_file({k: v.float() if v.dtype == torch.float64 else v for k, v in tensors.items()}, DATA / (name + ".safetensors"),
              {k: str(v) for k, v in about.items()})
    print(name, (DATA / (name + ".safetensors")).stat().st_size, "bytes")


def project(gradient):
    """Sixteen sums Σ ±g[i]; the sign of the k-th is bit k of SplitMix64(i). The mean square of the sums of a difference d is ‖d‖²."""
    g = gradient.detach().reshape(-1).numpy().astype(numpy.float64)
    with numpy.errstate(over="ignore"):
        z = (numpy.arange(g.size, dtype=numpy.uint64) + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    return torch.tensor([numpy.where((z >> numpy.uint64(k)) & numpy.uint64(1), g, -g).sum() for k in range(16)] + [float(numpy.sqrt((g * g).sum()))])


def run(record, config, schedule, name):
    parameters = make_parameters(record.parameter_shapes(config))
    batches = batches_of(getattr(schedule, "step_tokens", lambda s: 384), STEPS)
    save(name + "-weights", {**parameters, **batch_tensors(batches)})
    first = {}

    def observe(step, sums):
        if step == 0:
            first.update({n: t.clone() for n, t in sums.items()})

    extra = {"snoo_every": 7} if record is medium else {}
    losses = record.train(config, schedule, parameters, batches, observe=observe, **extra)
    print(name, "losses", " ".join(f"{l:.4f}" for l in losses))
    save(name + "-gradients", {**first, "losses": torch.tensor(losses)})
    save(name + "-final", parameters)


def loss_and_gradients(record, config, leaves, step):
    """Of the step's golden batches at these weights, with the settings of that step; the gradient is the mean over the ranks."""
    schedule = SHORT_SCHEDULE if record is short else MEDIUM_SCHEDULE
    batches = batches_of(getattr(schedule, "step_tokens", lambda s: 384), STEPS)[step]
    total, frequencies, scale = 0, op.rope_frequencies(config.head), 0.1
    if record is short:
        for s in range(1, step + 1):
            old, new = schedule.window_blocks(s - 1), schedule.window_blocks(s)
            if old != new:
                frequencies, scale = op.yarn(frequencies, scale, old, new, schedule.block)
    for batch in batches:
        if record is short:
            window = schedule.window_blocks(step)
            loss = short.forward(config, leaves, *batch, (window // 2 * schedule.block, window * schedule.block), frequencies.float().double(), scale)
        else:
            loss = medium.forward(config, leaves, *batch, schedule.window_blocks(step))
        total = total + loss / len(batches)
    gradients = torch.autograd.grad(total, list(leaves.values()))
    return total / (batches[0][0].numel() if record is short else 1), gradients


def make_record_parameters(config, backout=0):
    """The short record's parameters in its types. `backout` changes one scalar, and with it every input of the head."""
    parameters = make_parameters(short.parameter_shapes(config), short.record_dtype)
    parameters["scalars.backout"] = (parameters["scalars.backout"] + 0.001 * backout).float().double()
    return parameters


def find_backout_without_ties(config, first=260, distance=4e-6):
    """A backout with which no value that is rounded to FP8 lies so near to a tie that fp32 arithmetic could decide it: one that
    falls on the other side changes the scalars' gradients by 1e-5. PyTorch in float32 is off by at most half of `distance` (head's
    input, of a row's size) and 2.9e-6 (gradient, of each value)."""
    for backout in range(first, 4000):  # from 0: the first 260 have some
        op.watched_distance, op.close_to_tie = distance, 0
        leaves = {n: t.requires_grad_() for n, t in make_record_parameters(config, backout).items()}
        loss_and_gradients(short, config, leaves, 0)
        op.watched_distance = None
        if op.close_to_tie == 0:
            print("backout", backout)
            return backout
    raise SystemExit("every backout has a value close to a tie")


def variants():
    """The parity table's rows: name → (record, configuration, step). The specs of the same names are in Inputs/variants/."""
    c, offset = SHORT, SHORT.key_offset()
    change = lambda **fields: dataclasses.replace(c, **fields)
    key = lambda **fields: change(shifts={"k": {**offset, **fields}})
    also = lambda place: change(shifts={"k": offset, place: offset})
    table = {
        "no-key-offset": change(shifts={}),
        "no-smear": change(smear=False),
        "no-attention-gate": change(gates=False),
        "no-value-embeddings": change(value_layers={}),
        "no-skip": change(skip=()),
        "no-backout": change(backout_layer=None),
        "no-softcap": change(softcap=""),
        "tanh-softcap": change(softcap="tanh"),
        "no-weight-scale": change(qkv_scale=False),
        "add-keys": key(mode="add"),
        "shift-values": also("v"),
        "shift-queries": also("q"),
        "all-dims": key(features=None),
        "all-layers": key(layers=range(c.layers)),
        "one-head": key(heads=[1]),
        "gated-shift": key(gate="layers.{}.attention.k.2.gate"),
        "mask-documents": key(mask=True),
        "half-dims-stream": change(smear=False, shifts={"k": offset, "stream": {"mode": "replace", "features": [(0, 12)]}}),
        "smear-mlps": change(shifts={"k": offset, "mlp": {"mode": "add", "scale": "mlp_smear", "gate": "layers.{}.mlp.input.1.gate"}}),
    }
    rows = {name: (short, config, 0) for name, config in table.items()}
    rows["yarn-twice"] = (short, SHORT, 13)
    medium_change = lambda **fields: (medium, dataclasses.replace(MEDIUM, **fields), 0)
    rows["short-spec"] = (short, change(fp8=True, compute=torch.bfloat16), 0)
    rows["medium-spec"] = (medium, dataclasses.replace(MEDIUM, compute=torch.bfloat16), 0)
    rows["medium-no-smear-mtp"] = medium_change(smear=False)
    rows["medium-no-skips"] = medium_change(skips={})
    rows["medium-no-softcap"] = medium_change(softcap="")
    rows["medium-no-value-embeddings"] = medium_change(value_layers={})
    rows["medium-wider-windows"] = (medium, MEDIUM, 19)
    return rows


def make_variant(name, record, config, step):
    """Loss and gradients of the step's golden batches at the initial weights."""
    shapes = record.parameter_shapes(config)
    parameters = make_parameters(shapes)
    own = set(shapes) - set(record.parameter_shapes(SHORT if record is short else MEDIUM))
    if config.compute is not None:  # The stored weights are rounded when they are loaded.
        parameters = make_parameters(shapes, record.record_dtype)
        if record is short:
            parameters, own = make_record_parameters(config, find_backout_without_ties(config)), {"scalars.backout"}
    leaves = {n: t.clone().requires_grad_() for n, t in parameters.items()}
    loss, gradients = loss_and_gradients(record, config, leaves, step)
    tensors = {n: g if g.numel() <= 64 else project(g) for n, g in zip(leaves, gradients)}
    tensors["losses"] = loss.reshape(1)
    tensors["step"] = torch.tensor([step], dtype=torch.int32)
    tensors.update({"parameter." + n: parameters[n] for n in parameters if n in own})
    save(name, tensors)


def main():
    torch.set_num_threads(1)
    chosen = sys.argv[1:] or ["short", "medium", "variants"]
    if "short" in chosen:
        run(short, SHORT, SHORT_SCHEDULE, "short")
    if "variants" in chosen:
        chosen += variants()
    for name, row in variants().items():
        if name in chosen:
            make_variant(name, *row)
    if "medium" in chosen:
        run(medium, MEDIUM, MEDIUM_SCHEDULE, "medium")


if __name__ == "__main__":
    main()
