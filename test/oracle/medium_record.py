"""The medium-track record Smear-MTP (RECORDS.md §2) in plain PyTorch: model, loss, schedules, optimisers.

Parameters are a dict by Smelt's names; here every matrix is stored [out, in].
"""
import math
from dataclasses import dataclass, field
from fractions import Fraction

import torch
import torch.nn.functional as F

import steps as op
from short_record import orthogonalize


@dataclass
class MediumConfig:
    layers: int = 16
    model: int = 1024
    heads: int = 8
    head: int = 128
    hidden: int = 4096
    vocabulary: int = 50257  # rows of the embeddings
    rows: int = 50304  # of the head
    long_layers: tuple = (0, 4, 11, 15)
    no_attention: tuple = (7,)
    skips: dict = field(default_factory=lambda: {9: 6, 10: 4, 11: 2})
    backout_layer: int = 11
    value_layers: dict = field(default_factory=lambda: {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 11: 0, 12: 1, 13: 2, 14: 3, 15: 4})
    block: int = 128
    scale: float = 0.12
    smear: bool = True
    softcap: str = "rsqrt"
    compute: torch.dtype = None  # of the head in use; bfloat16 in the record


def parameter_shapes(c):
    D = c.model
    shapes = {"embeddings.second": (c.vocabulary, D), "embeddings.first": (c.vocabulary, D)}
    for i in range(c.layers):
        if i in c.skips:
            shapes[f"scalars.skip.{c.skips[i]}"] = ()
        for name in ("resid", "x00", "x01"):
            shapes[f"scalars.{name}.{i}"] = ()
        if i not in c.no_attention:
            shapes[f"layers.{i}.attention.qkv"] = (3 * c.heads * c.head, D)
            shapes[f"layers.{i}.attention.out"] = (D, c.heads * c.head)
            shapes[f"scalars.v_self.{i}"] = ()
            if i in c.value_layers:
                shapes[f"scalars.v_embed.{i}"] = ()
                shapes[f"embeddings.value.{c.value_layers[i]}"] = (c.vocabulary, D)
        shapes[f"layers.{i}.mlp.up"] = (c.hidden, D)
        shapes[f"layers.{i}.mlp.down"] = (D, c.hidden)
    shapes["scalars.final"] = shapes["scalars.backout"] = ()
    if c.smear:
        shapes["scalars.smear_mtp"] = ()
    shapes["head"] = (c.rows, D)
    return shapes


def record_dtype(name):
    return torch.bfloat16 if name.startswith(("embeddings.", "layers.")) else torch.float32


def attention_layer(c, p, i, x, tables, mask, tokens):
    at, T = f"layers.{i}.attention.", x.size(0)
    q, k, v = F.linear(x, p[at + "qkv"].to(x.dtype)).view(T, 3, c.heads, c.head).unbind(1)
    q, k, v = op.rms_norm(q), op.rms_norm(k), op.rms_norm(v)
    q, k = (op.rope(t.to(tables[0].dtype), tables).to(x.dtype) for t in (q, k))
    v = p[f"scalars.v_self.{i}"] * v
    if i in c.value_layers:
        table = p[f"embeddings.value.{c.value_layers[i]}"].to(x.dtype)
        v = v + p[f"scalars.v_embed.{i}"] * table[tokens].view_as(v)
    y = op.attention(q, k, v, mask, c.scale)
    return F.linear(y.reshape(T, -1), p[at + "out"].to(x.dtype))


def forward(c, p, tokens, targets, document_start, blocks, act=torch.float64):
    """The mean loss. `blocks` is the long window in blocks; the short one is half, rounded down."""
    T = tokens.numel()
    masks = {long: op.block_mask(document_start, blocks if long else blocks // 2, c.block) for long in (True, False)}
    tables = op.rope_tables(op.rope_frequencies(c.head), T, torch.promote_types(act, torch.float32))
    x01 = op.rms_norm(p["embeddings.second"].to(act)[tokens])
    x = x00 = op.rms_norm(p["embeddings.first"].to(act)[tokens])
    saved = {}
    for i in range(c.layers):
        if i in c.skips:
            x = x + p[f"scalars.skip.{c.skips[i]}"] * saved[c.skips[i]]
        x = p[f"scalars.resid.{i}"] * x + p[f"scalars.x00.{i}"] * x00 + p[f"scalars.x01.{i}"] * x01
        if i not in c.no_attention:
            x = x + attention_layer(c, p, i, x, tables, masks[i in c.long_layers], tokens)
        h = F.relu(F.linear(op.rms_norm(x), p[f"layers.{i}.mlp.up"].to(act))).square()
        x = x + F.linear(h, p[f"layers.{i}.mlp.down"].to(act))
        saved[i] = x
    x = op.rms_norm(x) * p["scalars.final"] + op.rms_norm(saved[c.backout_layer]) * p["scalars.backout"]
    if c.smear:
        x = op.token_shift(x, "add", scale=p["scalars.smear_mtp"].to(act))
    z = F.linear(x, op.in_use(p["head"], c.compute, act)).to(torch.promote_types(act, torch.float32))
    if c.softcap == "rsqrt":
        z = 15 * z * torch.rsqrt(z.square() + 225)
    return F.cross_entropy(z, targets.long())


# --- Schedules ---------------------------------------------------------------------------------------------------------------------


@dataclass
class MediumSchedule:
    steps: int = 5535
    peak: int = 3456
    block: int = 128
    cooldown: Fraction = Fraction(7, 10)
    floor: float = 0.01
    momentum: tuple = (0.85, 0.95)
    momentum_warmup: int = 300

    def window_blocks(self, step):
        x = Fraction(step, self.steps)
        return max(1, math.ceil(self.peak * (4 * x**3 - 6 * x**2 + 3 * x) / self.block))

    def lr(self, step):
        x = Fraction(step, self.steps)
        if x < 1 - self.cooldown:
            return 1.0
        return float((1 - x) / self.cooldown) * (1 - self.floor) + self.floor

    def muon_momentum(self, step):
        part = min(step / self.momentum_warmup, 1)
        return (1 - part) * self.momentum[0] + part * self.momentum[1]


# --- Optimisers --------------------------------------------------------------------------------------------------------------------

NEWTON_SCHULZ = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


class AdamW:
    """PyTorch's fused AdamW: moments in the parameter's type, arithmetic in float32 or better, eps beside the corrected root."""

    def __init__(self, parameters, betas=(0.8, 0.95), eps=1e-10):
        self.betas, self.eps, self.count = betas, eps, 0
        self.m = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.v = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def step(self, parameters, gradients, lr):
        self.count += 1
        b1, b2 = self.betas
        for name, p in parameters.items():
            wide = torch.promote_types(p.dtype, torch.float32)
            g = gradients[name].to(wide)
            m = b1 * self.m[name].to(wide) + (1 - b1) * g
            v = b2 * self.v[name].to(wide) + (1 - b2) * g * g
            self.m[name], self.v[name] = m.to(p.dtype), v.to(p.dtype)
            denominator = v.sqrt() / math.sqrt(1 - b2**self.count) + self.eps
            p.copy_((p.to(wide) - lr[name] / (1 - b1**self.count) * m / denominator).to(p.dtype))


def join(high, low):
    """The float32 number whose upper and lower halves are a bfloat16 and 16 bits."""
    return ((high.view(torch.int16).to(torch.int32) << 16) | (low.to(torch.int32) & 0xFFFF)).view(torch.float32)


def cut(master):
    """A float32 number's halves: the bfloat16 is cut off, not rounded."""
    bits = master.view(torch.int32)
    return (bits >> 16).to(torch.int16).view(torch.bfloat16), (bits & 0xFFFF).to(torch.int16)


class Muon:
    """Momentum in float32, orthogonalisation in `dtype`, smoothed updates in `smoothing`. A bfloat16 parameter is the upper half of
    its float32 master; the lower half is state. What else changes the parameter (Snoo) leaves the lower half as it is."""

    def __init__(self, parameters, matrices, dtype=torch.bfloat16, smoothing=torch.bfloat16, keep=0.2, decay=0.01):
        self.matrices, self.dtype, self.keep, self.decay = matrices, dtype, keep, decay
        self.buffer = {n: torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32)) for n, p in parameters.items()}
        self.smoothed = {n: torch.zeros_like(p, dtype=smoothing) for n, p in parameters.items()}
        self.low = {n: torch.zeros_like(p, dtype=torch.int16) for n, p in parameters.items()}

    def step(self, parameters, gradients, lr, momentum):
        for name, p in parameters.items():
            buffer = self.buffer[name]
            g = gradients[name].to(buffer.dtype)
            buffer.copy_(momentum * buffer + (1 - momentum) * g)
            update = momentum * buffer + (1 - momentum) * g
            n = self.matrices.get(name, 1)
            v = orthogonalize(update.view(n, p.size(0) // n, p.size(1)), NEWTON_SCHULZ, 1.0, 1e-7, self.dtype).view_as(p)
            smoothed = self.smoothed[name]
            smoothed.copy_(self.keep * smoothed.to(buffer.dtype) + (1 - self.keep) * v.to(buffer.dtype))
            rate = lr * math.sqrt(max(1.0, p.size(0) // n / p.size(1)))
            decay = lr * self.decay * (2.0 if ".mlp." in name else 1.0)
            bf16 = p.dtype == torch.bfloat16
            master = join(p, self.low[name]) if bf16 else p.clone()
            master.mul_(1 - decay).add_(smoothed.to(master.dtype), alpha=-rate)
            if bf16:
                high, self.low[name] = cut(master)
                p.copy_(high)
            else:
                p.copy_(master)


class Snoo:
    """Every `every` steps, the first after step 0: a Nesterov SGD step from the outer copy along (copy − parameter), everything in
    the parameter's type."""

    def __init__(self, parameters, lr=0.68, momentum=0.37, every=28):
        self.lr, self.momentum, self.every, self.count = lr, momentum, every, 0
        self.copy = {n: p.clone() for n, p in parameters.items()}
        self.buffer = {n: torch.zeros_like(p) for n, p in parameters.items()}

    def step(self, parameters):
        if self.count % self.every == 0:
            for name, p in parameters.items():
                wide = torch.promote_types(p.dtype, torch.float32)
                g = (self.copy[name] - p).to(wide)
                # The fused SGD of PyTorch keeps the momentum in the parameter's type and uses it unrounded.
                buffer = self.momentum * self.buffer[name].to(wide) + g
                self.buffer[name] = buffer.to(p.dtype)
                p.copy_((self.copy[name].to(wide) - self.lr * (g + self.momentum * buffer)).to(p.dtype))
                self.copy[name].copy_(p)
        self.count += 1


def adamw_rate(name):
    return 1 / 320 if name == "head" else 0.3 if name.startswith("embeddings.") else 0.015


def train(c, s, p, batches, first_step=0, act=torch.float64, wide=torch.float64, observe=None, snoo_every=28, muon_lr=0.03):
    """As short_record.train. `wide` is the type of the orthogonalisation and of the smoothed update."""
    muon_p = {n: t for n, t in p.items() if n.startswith("layers.")}
    adam_p = {n: t for n, t in p.items() if n not in muon_p}
    adam, muon = AdamW(adam_p), Muon(muon_p, {n: 3 for n in p if n.endswith(".qkv")}, dtype=wide, smoothing=wide)
    snoo = Snoo(p, every=snoo_every)
    losses = []
    for step, micro_batches in enumerate(batches, first_step):
        sums, total = {n: torch.zeros_like(t) for n, t in p.items()}, 0.0
        for tokens, targets, document_start in micro_batches:
            leaves = {n: t.detach().requires_grad_() for n, t in p.items()}
            loss = forward(c, leaves, tokens, targets, document_start, s.window_blocks(step), act)
            gradients = torch.autograd.grad(loss / len(micro_batches), list(leaves.values()))
            for name, g in zip(leaves, gradients):
                sums[name] += g
            total += loss.item()
        losses.append(total / len(micro_batches))
        if observe:
            observe(step, sums)
        rate = s.lr(step)
        with torch.no_grad():
            adam.step(adam_p, sums, {n: rate * adamw_rate(n) for n in adam_p})
            muon.step(muon_p, sums, muon_lr * rate, s.muon_momentum(step))
            snoo.step(p)
    return losses
