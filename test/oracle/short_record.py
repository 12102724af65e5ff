"""The short-track record with the partial key offset (RECORDS.md §1) in plain PyTorch: model, loss, schedules, optimisers.

Parameters are a dict by Smelt's names. `mlp.down` is stored [hidden, model] as in the record (`"layout": "transposed"` in Smelt's
spec), so the MLP multiplies by it untransposed. Dimensions, layer roles and tricks are fields of `ShortConfig`.
"""
import math
from dataclasses import dataclass, field
from fractions import Fraction

import torch
import torch.nn.functional as F

import steps as op


@dataclass
class ShortConfig:
    layers: int = 11
    model: int = 768
    heads: int = 6
    head: int = 128
    hidden: int = 3072
    rows: int = 50304  # of the embeddings and of the head: the vocabulary padded
    gate_features: int = 12
    long_layers: tuple = (3, 10)
    no_attention: tuple = (6,)
    skip: tuple = (3, 6)  # layer 6 starts from its input plus layer 3's output
    backout_layer: int = 7
    value_tables: int = 3
    value_layers: dict = field(default_factory=lambda: {0: 1, 1: 2, 8: 0, 9: 1, 10: 2})
    fp8: bool = True
    softcap: str = "sigmoid"
    # Shifts of q, k, v, the embedded stream and the MLPs' inputs: `layers` and arguments of steps.token_shift, with `scale` a
    # scalar's name, `constant` a number, `gate` a parameter's name with {} for the layer, `mask` for documents. The record has
    # one, on k of the long layers.
    shifts: dict = None
    gates: bool = True
    smear: bool = True
    qkv_scale: bool = True
    compute: torch.dtype = None  # of the matrices in use and of the rotary tables; bfloat16 in the record

    def __post_init__(self):
        if self.shifts is None:
            self.shifts = {"k": self.key_offset()}

    def stationary(self):
        d = self.head
        return [(d // 4, d // 2), (3 * d // 4, d)]

    def key_offset(self):
        return {"layers": self.long_layers, "mode": "replace", "features": self.stationary()}


def parameter_shapes(c):
    """Name → shape, in Smelt's order of first use."""
    shapes = {"embeddings.token": (c.rows, c.model)}
    if c.smear:
        shapes["scalars.smear"] = ()
        shapes["forward.1.gate"] = (1, c.gate_features)
    for i in range(c.layers):
        shapes[f"scalars.resid.{i}"] = shapes[f"scalars.x0.{i}"] = ()
        if c.skip and i == c.skip[1]:
            shapes["scalars.skip"] = ()
        if i not in c.no_attention:
            at = f"layers.{i}.attention."
            shapes[at + "qkv"] = (3 * c.heads * c.head, c.model)
            shapes[at + "out"] = (c.model, c.heads * c.head)
            if c.qkv_scale:
                shapes[f"scalars.qkv.{i}"] = shapes[f"scalars.out.{i}"] = ()
            if c.gates:
                shapes[at + "output.0.gate"] = (c.heads, c.gate_features)
            if i in c.value_layers:
                shapes[f"embeddings.value.{c.value_layers[i]}"] = (c.rows, c.model)
        shapes[f"layers.{i}.mlp.up"] = shapes[f"layers.{i}.mlp.down"] = (c.hidden, c.model)
        for place, shift in c.shifts.items():
            if place in ("q", "k", "v", "mlp") and i in shift.get("layers", range(c.layers)) and (place == "mlp" or i not in c.no_attention):
                if "gate" in shift:
                    shapes[shift["gate"].format(i)] = (1, c.gate_features)
    for shift in c.shifts.values():
        if "scale" in shift:
            shapes["scalars." + shift["scale"]] = ()
    if c.backout_layer is not None:
        shapes["scalars.backout"] = ()
    shapes["head"] = (c.rows, c.model)
    return shapes


def record_dtype(name):
    """The type in which the record keeps a parameter."""
    if name.startswith("embeddings.") or name == "head" or name.endswith(".gate"):
        return torch.bfloat16
    return torch.float32


def gate(weight, source):
    return torch.sigmoid(F.linear(source[:, : weight.size(1)], weight.to(source.dtype)))


def apply_shift(c, p, place, layer, x, source, document_start):
    shift = c.shifts.get(place)
    if not shift or layer not in shift.get("layers", range(c.layers)):
        return x
    arguments = {key: shift[key] for key in ("mode", "features", "heads", "distance") if key in shift}
    if "scale" in shift:
        arguments["scale"] = p["scalars." + shift["scale"]].to(x.dtype)
    if "constant" in shift:
        arguments["scale"] = shift["constant"]
    if "gate" in shift:
        arguments["gate"] = gate(p[shift["gate"].format(layer)], source)
    if shift.get("mask"):
        arguments["document_start"] = document_start
    return op.token_shift(x, **arguments)


def attention_layer(c, p, i, u, tables, mask, scale, tokens, document_start):
    at, T = f"layers.{i}.attention.", u.size(0)
    qkv_weight = op.in_use(p[at + "qkv"], c.compute, u.dtype)
    if c.qkv_scale:
        qkv_weight = p[f"scalars.qkv.{i}"] * qkv_weight
    q, k, v = F.linear(u, qkv_weight).view(T, 3, c.heads, c.head).unbind(1)
    q, k = op.rope(op.rms_norm(q), tables), op.rope(op.rms_norm(k), tables)
    q = apply_shift(c, p, "q", i, q, u, document_start)
    k = apply_shift(c, p, "k", i, k, u, document_start)
    if i in c.value_layers:
        v = v + p[f"embeddings.value.{c.value_layers[i]}"].to(u.dtype)[tokens].view_as(v)
    v = apply_shift(c, p, "v", i, v, u, document_start)
    y = op.attention(q, k, v, mask, scale)
    if c.gates:
        y = y * gate(p[at + "output.0.gate"], u)[:, :, None]
    out_weight = op.in_use(p[at + "out"], c.compute, u.dtype)
    if c.qkv_scale:
        out_weight = p[f"scalars.out.{i}"] * out_weight
    return F.linear(y.reshape(T, -1), out_weight)


def mlp_layer(c, p, i, u):
    up, down = (op.in_use(p[f"layers.{i}.mlp.{name}"], c.compute, u.dtype) for name in ("up", "down"))
    return F.relu(F.linear(u, up)).square() @ down


def forward(c, p, tokens, targets, document_start, windows, frequencies, scale, act=torch.float64, training=True):
    """The loss: a sum over the tokens in training, a mean in validation. `windows` = (short, long) in tokens; `frequencies` and
    `scale` as YaRN left them; `act` is the type of the activations."""
    T = tokens.numel()
    masks = {True: op.token_mask(document_start, windows[1]), False: op.token_mask(document_start, windows[0])}
    tables = op.rope_tables(frequencies, T, act, c.compute)
    x = p["embeddings.token"].to(act)[tokens]
    if c.smear:
        x = op.token_shift(x, "add", scale=p["scalars.smear"].to(act), gate=gate(p["forward.1.gate"], x))
    x = apply_shift(c, p, "stream", 0, x, x, document_start)
    x = x0 = op.rms_norm(x)
    saved = {}
    for i in range(c.layers):
        if c.skip and i == c.skip[1]:
            x = x + torch.sigmoid(p["scalars.skip"]) * saved[c.skip[0]]
        if i == 0:
            x = (p["scalars.resid.0"] + p["scalars.x0.0"]) * x
        else:
            x = p[f"scalars.resid.{i}"] * x + p[f"scalars.x0.{i}"] * x0
        if i not in c.no_attention:
            x = x + attention_layer(c, p, i, op.rms_norm(x), tables, masks[i in c.long_layers], scale, tokens, document_start)
        u = op.rms_norm(x)
        x = x + mlp_layer(c, p, i, apply_shift(c, p, "mlp", i, u, u, document_start))
        saved[i] = x
    if c.backout_layer is not None:
        x = x - p["scalars.backout"] * saved[c.backout_layer]
    x = op.rms_norm(x)
    if c.fp8 and training:
        z = op.QuantizedMatmul.apply(x, p["head"], math.sqrt(c.model) / 448, 1 / 512, 1 / 448)
    else:
        z = F.linear(x, p["head"].to(act))
    if c.softcap == "sigmoid":
        z = 30 * torch.sigmoid(z / 7.5)
    elif c.softcap == "tanh":
        z = 15 * torch.tanh(z / 15)
    return F.cross_entropy(z if training else z.float(), targets.long(), reduction="sum" if training else "mean")


# --- Schedules ---------------------------------------------------------------------------------------------------------------------


@dataclass
class ShortSchedule:
    scheduled: int = 2070
    extension: int = 40
    tokens: tuple = (131072, 262144, 393216)  # of a step, by third; the extension keeps the last
    windows: tuple = (3, 7, 11, 13)  # long, in blocks, by third and in the extension; short is half, rounded down
    final_window: int = 20
    block: int = 128
    lr_levels: tuple = (1.0, 1.51, 1.93)
    cooldown: Fraction = Fraction(55, 100)
    floor: float = 0.1
    momentum: tuple = (0.85, 0.95)
    momentum_warmup: int = 300
    momentum_cooldown: int = 50

    def third(self, step):
        return 3 * step // self.scheduled if step < self.scheduled else 3

    def step_tokens(self, step):
        return self.tokens[min(self.third(step), 2)]

    def window_blocks(self, step):
        return self.windows[self.third(step)]

    def lr(self, step):
        """The level changes one step after the batch: where step/scheduled is strictly greater than the third."""
        x = Fraction(step, self.scheduled)
        if x > 1:
            return self.floor
        level = self.lr_levels[2 if x > Fraction(2, 3) else 1 if x > Fraction(1, 3) else 0]
        if x < 1 - self.cooldown:
            return level
        left = float((1 - x) / self.cooldown)
        return level * left + (1 - left) * self.floor

    def muon_momentum(self, step):
        low, high = self.momentum
        cooldown_start = self.scheduled + self.extension - self.momentum_cooldown
        if step < self.momentum_warmup:
            return low + step / self.momentum_warmup * (high - low)
        if step > cooldown_start:
            return high - (step - cooldown_start) / self.momentum_cooldown * (high - low)
        return high


# --- Optimisers --------------------------------------------------------------------------------------------------------------------

POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def orthogonalize(G, coefficients, safety, eps, dtype):
    """A quintic iteration on the smaller side, in `dtype` (bfloat16 in the records)."""
    X = G.to(dtype)
    tall = G.size(-2) > G.size(-1)
    X = X.mT if tall else X
    X = X / (X.norm(dim=(-2, -1), keepdim=True) * safety + eps)
    for a, b, c in coefficients:
        A = X @ X.mT
        X = a * X + (b * A + c * (A @ A)) @ X
    return X.mT if tall else X


class Adam:
    """The record's own: no weight decay, eps beside the uncorrected root, moments in bfloat16 (`state`), its own step count."""

    def __init__(self, parameters, betas=(0.65, 0.95), eps=1e-8, state=torch.bfloat16):
        self.betas, self.eps, self.state, self.count = betas, eps, state, 0
        self.m = {name: torch.zeros_like(p, dtype=state) for name, p in parameters.items()}
        self.v = {name: torch.zeros_like(p, dtype=state) for name, p in parameters.items()}

    def step(self, parameters, gradients, lr):
        """`lr` by name. Computes in float32 or better and rounds once at each store, as the record's compiled step does."""
        self.count += 1
        b1, b2 = self.betas
        correction = math.sqrt(1 - b2**self.count) / (1 - b1**self.count)
        for name, p in parameters.items():
            wide = torch.promote_types(p.dtype, torch.float32)
            g = gradients[name].to(wide)
            m = b1 * self.m[name].to(wide) + (1 - b1) * g
            v = b2 * self.v[name].to(wide) + (1 - b2) * g * g
            self.m[name], self.v[name] = m.to(self.state), v.to(self.state)
            p.copy_((p.to(wide) - lr[name] * correction * m / (v.sqrt() + self.eps)).to(p.dtype))


class NorMuon:
    """`groups` maps a parameter's name to the number of matrices in it (qkv has three). State and update in the parameter's type,
    the orthogonalisation in `dtype`."""

    def __init__(self, parameters, matrices, beta2=0.95, decay=1.2, dtype=torch.bfloat16):
        self.matrices, self.beta2, self.decay, self.dtype = matrices, beta2, decay, dtype
        self.buffer = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.second = {}

    def step(self, parameters, gradients, lr, rate_scale, momentum):
        """`rate_scale` by name: √max(1, rows/columns) of the shape that the record stores, times the record's lr_mul."""
        for name, p in parameters.items():
            buffer = self.buffer[name].lerp_(gradients[name], 1 - momentum)
            update = torch.lerp(gradients[name], buffer, momentum)
            n = self.matrices.get(name, 1)
            update = update.view(n, p.size(0) // n, p.size(1))
            v = orthogonalize(update, POLAR_EXPRESS, 1.02, 1e-6, self.dtype)
            wide = torch.promote_types(v.dtype, torch.float32)
            mean = v.to(wide).square().mean(-1, keepdim=True)
            second = self.second.setdefault(name, torch.zeros_like(mean, dtype=p.dtype))
            second.lerp_(mean.to(second.dtype), 1 - self.beta2)
            scale = second.clamp_min(1e-10).rsqrt().to(wide)
            columns = v.size(-1)
            before = (mean * columns).sum((-2, -1), keepdim=True).sqrt()
            after = (mean * columns * scale.square()).sum((-2, -1), keepdim=True).sqrt()
            v = (v.to(wide) * (scale * (before / after.clamp_min(1e-10))).to(v.dtype).to(wide)).to(v.dtype).view_as(p)
            rate = lr * rate_scale[name]
            wide = torch.promote_types(p.dtype, torch.float32)
            old, v = p.to(wide), v.to(wide)
            p.copy_((old - old * (v * old >= 0) * (self.decay * lr) * rate - v * rate).to(p.dtype))


def split_parameters(p):
    adam = {n: t for n, t in p.items() if n.startswith(("embeddings.", "scalars.")) or n == "head"}
    return adam, {n: t for n, t in p.items() if n not in adam}


def adam_rate(name):
    return 75.0 if name.startswith("embeddings.") else 5.0 if name.startswith("scalars.") else 1.0


def normuon_rate(name, shape):
    """qkvo is stored [4D, D] and both MLP matrices [4D, D], so each has √4; the MLP's second has lr_mul 2; gates have neither."""
    if name.endswith(".gate"):
        return math.sqrt(max(1.0, shape[0] / shape[1]))
    return 4.0 if name.endswith("mlp.down") else 2.0


def train(c, s, p, batches, first_step=0, act=torch.float64, state=torch.float64, muon=torch.float64, lr=(0.008, 0.023), observe=None):
    """Runs len(batches) steps from `p` (changed in place). batches[s] is a list of micro-batches (tokens, targets,
    document_start), one a rank: the gradient is their mean. Returns the mean losses per token of the steps."""
    adam_p, muon_p = split_parameters(p)
    adam, muon_state = Adam(adam_p, state=state), NorMuon(muon_p, {n: 3 for n in p if n.endswith(".qkv")}, dtype=muon)
    frequencies, scale = op.rope_frequencies(c.head), 0.1
    window = s.window_blocks(first_step)
    sums = {n: torch.zeros_like(t) for n, t in p.items()}  # in the parameter's type, as .grad is
    losses = []
    for step, micro_batches in enumerate(batches, first_step):
        if s.window_blocks(step) != window:
            frequencies, scale = op.yarn(frequencies, scale, window, s.window_blocks(step), s.block)
            window = s.window_blocks(step)
        total = 0.0
        for tokens, targets, document_start in micro_batches:
            leaves = {n: t.detach().requires_grad_() for n, t in p.items()}
            loss = forward(c, leaves, tokens, targets, document_start, (window // 2 * s.block, window * s.block),
                           frequencies.float().double(), scale, act)
            gradients = torch.autograd.grad(loss / len(micro_batches), list(leaves.values()))
            for name, g in zip(leaves, gradients):
                sums[name] += g
            total += loss.item() / tokens.numel()
        losses.append(total / len(micro_batches))
        if observe:
            observe(step, sums)
        rate = s.lr(step)
        with torch.no_grad():
            scales = {n: normuon_rate(n, t.shape) for n, t in muon_p.items()}
            muon_state.step(muon_p, sums, lr[1] * rate, scales, s.muon_momentum(step))
            if step % 2 == 1:
                adam.step(adam_p, sums, {n: lr[0] * rate * adam_rate(n) for n in adam_p})
            for name in p if step % 2 == 1 else muon_p:
                sums[name].zero_()
    return losses
