#!/usr/bin/env python3
"""Runs the forward program of an lm module (`smelt compile SPEC --precision f32 --compile-to lm -o X.mlir`) in PyTorch and compares loss
and gradients with a golden:  run_lm.py X.mlir short|medium|VARIANT [--intermediates]

A second reading of what the lm ops mean, independent of the C++: when parity fails, it says whether the importer (this fails too)
or what comes after it is at fault. Covers what the record specs use.
"""
import math
import re
import sys

import torch
import torch.nn.functional as F

import make_goldens
import steps as op
from safetensors.torch import load_file

DTYPES = {"f32": torch.float64, "bf16": torch.bfloat16, "f8E4M3FN": torch.float8_e4m3fn}


def attribute(line, name, default=None):
    found = re.search(rf"\b{name} = (array<i64(?:: ([^>]*))?>|[-+0-9.eE]+)", line)
    if not found:
        return default
    if found[1].startswith("array"):
        return [int(v) for v in (found[2] or "").split(",") if v.strip()]
    return float(found[1])


def shape_of(line):
    """Of the last tensor type: the result."""
    dims = re.findall(r"tensor<([^>]*)>", line)[-1].split("x")
    return [int(d) for d in dims[:-1]]


def parse_schedules(text):
    schedules = {}
    for name, width, values in re.findall(r"train\.schedule @(\S+) : tensor<(?:(\d+)x)?\w+> = \[(.*)\]", text):
        schedules[name] = (int(width or 0), [float(v) for v in values.split(",")])
    return schedules


def value_at(schedule, step):
    width, v = schedule
    size = 2 + width if width else 4
    for i in range(0, len(v), size):
        if v[i] <= step <= v[i + 1]:
            return torch.tensor(v[i + 2 : i + size] if width else v[i + 2] + v[i + 3] * (step - v[i]), dtype=torch.float64)
    raise SystemExit(f"no value at step {step}")


def evaluate(name, line, x, out_shape):
    """One op: x are its operands."""
    if name in ("reshape",):
        return x[0].reshape(out_shape)
    if name == "embedding":
        return x[0][x[1].long()]
    if name == "rms_norm":
        return F.rms_norm(x[0], (x[0].size(-1),), eps=attribute(line, "eps"))
    if name == "matmul":
        return x[0] @ (x[1].T if "transpose_b" in line else x[1])
    if name in ("scale",):
        return x[0] * x[1]
    if name == "add":
        return x[0] + x[1]
    if name == "mix":
        half = len(x) // 2
        return sum(value * factor for value, factor in zip(x[:half], x[half:]))
    if name == "unary":
        kind = re.search(r"lm\.unary (\w+)", line)[1]
        return {"sigmoid": torch.sigmoid, "negate": torch.neg, "relu_squared": lambda v: F.relu(v).square(), "tanh": torch.tanh,
                "exp": torch.exp, "reciprocal": torch.reciprocal}[kind](x[0])
    if name == "split":
        return torch.chunk(x[0], 3, dim=-1)
    if name == "gate":
        return torch.sigmoid(x[0][:, : x[1].size(1)] @ x[1].T)
    if name == "row_scale":
        return x[0] * x[1].reshape(*x[1].shape, *[1] * (x[0].dim() - x[1].dim())) if x[1].size(-1) != 1 or x[0].dim() == 2 else x[0] * x[1][:, :, None]
    if name == "rope_table":
        return torch.cat(op.rope_tables(x[0], out_shape[0], torch.float64), dim=-1)
    if name == "rope":
        return op.rope(x[0], x[1].chunk(2, dim=-1))
    if name == "attention_range":
        t, window, blocks = torch.arange(x[0].numel()), int(x[1]), attribute(line, "blocks")
        first = t - window
        if blocks:
            first = (t // int(blocks) - (max(window // int(blocks), 1) - 1)) * int(blocks)
        return torch.maximum(x[0].long(), first)
    if name == "attention":
        q, k, v, first, scale = x
        t = torch.arange(q.size(0))
        return op.attention(q, k, v, (t[None] <= t[:, None]) & (t[None] >= first[:, None]), scale)
    if name == "token_shift":
        mode, documents = re.search(r"token_shift (\w+) (\w+)", line).groups()
        rest = list(x[1:])
        scale = rest.pop(0) if re.search(r"\bscale %", line) else 1.0
        gate = rest.pop(0) if re.search(r"\bgate %", line) else None
        start = rest.pop(0).long() if documents == "mask" else None
        pairs = attribute(line, "features") or []
        features = list(zip(pairs[::2], pairs[1::2])) or None
        return op.token_shift(x[0], mode, features, attribute(line, "heads") or None, scale, gate, start, int(attribute(line, "distance", 1)))
    if name == "softcap":
        kind = re.search(r"softcap (\w+)", line)[1]
        a, t = attribute(line, "amplitude"), attribute(line, "temperature")
        return {"sigmoid": lambda z: a * torch.sigmoid(z / t), "tanh": lambda z: a * torch.tanh(z / (t or a)),
                "rsqrt": lambda z: a * z * torch.rsqrt(z.square() + a * a)}[kind](x[0])
    if name == "cross_entropy":
        return F.cross_entropy(x[0], x[1].long(), ignore_index=-1, reduction="none")
    if name == "sum":
        return x[0].sum()
    if name == "count_targets":
        return (x[0] >= 0).sum().double()
    raise SystemExit(f"run_lm: no meaning for {line}")


def run_program(text, tokens, batch, parameters, settings):
    body = text[text.index(f"func.func @train.T{tokens}") :]
    values = {f"%arg{i}": v for i, v in enumerate(batch)}
    for line in body.splitlines()[1:]:
        line = line.strip()
        if line.startswith("return"):
            return values[re.search(r"%\w+", line)[0]], values
        left, right = line.split(" = ", 1)
        name, operands = re.match(r"lm\.(\w+)(.*)", right).groups()
        if name == "read":
            result = parameters[re.search(r"@([\w.]+)", right)[1]]
        elif name == "setting":
            result = settings(re.search(r"@([\w.]+)", right)[1])
        elif name == "constant":
            number = re.search(r"constant (?:dense<([^>]*)>|([-+0-9.eE]+))", right)
            text_value = number[1] or number[2]
            result = torch.tensor(eval(text_value), dtype=torch.float64)
        else:
            x = [values[o] for o in re.findall(r"%[\w#]+", operands.split(" : ")[0])]
            result = evaluate(name, right, x, shape_of(right))
        names = [n.strip() for n in left.split(",")]
        if ":" in names[0]:
            base = names[0].split(":")[0]
            values.update({f"{base}#{i}": r for i, r in enumerate(result)})
        else:
            values[names[0]] = result
    raise SystemExit("the program does not end")


def main():
    torch.set_num_threads(1)
    text, case = open(sys.argv[1]).read(), sys.argv[2]
    data = make_goldens.DATA
    golden = load_file(data / (case + ("-gradients" if case in ("short", "medium") else "") + ".safetensors"))
    weights = load_file(data / (("medium" if case.startswith("medium") else "short") + "-weights.safetensors"))
    weights.update({n[len("parameter.") :]: t for n, t in golden.items() if n.startswith("parameter.")})
    step = int(golden.get("step", torch.tensor([0]))[0])
    names = re.findall(r"lm\.parameter @([\w.]+)", text)
    parameters = {n: weights[n].double().requires_grad_() for n in names}
    schedules = parse_schedules(text)
    batches = [weights[f"step.{step}.{n}"] for n in ("tokens", "targets", "document_start")]
    objective = 0
    for row in range(batches[0].size(0)):
        part, _ = run_program(text, batches[0].size(1), [b[row] for b in batches], parameters, lambda n: value_at(schedules[n], step))
        objective = objective + part
    gradients = dict(zip(names, torch.autograd.grad(objective, list(parameters.values()))))
    worst = {}
    for n, g in gradients.items():
        want = golden[n].double()
        if want.shape == (17,) and g.numel() > 64:
            error = ((make_goldens.project(g) - want)[:16].square().mean().sqrt() / want[16]).item()
        else:
            error = ((g - want).norm() / want.norm()).item()
        worst[n] = error if error == error else math.inf
    ranked = sorted(worst.items(), key=lambda item: -item[1])
    per_token = objective.item() / (batches[0].size(1) if "sum" in text and objective > 50 else 1)
    print(f"{case:28} loss {abs(per_token - golden['losses'][0].item()) / golden['losses'][0].item():.2e}  "
          + "  ".join(f"{n} {e:.2e}" for n, e in ranked[:2]))
    return 0 if ranked[0][1] <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
