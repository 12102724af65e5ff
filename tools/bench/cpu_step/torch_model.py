"""models/tiny.json in plain PyTorch: the eager baseline of cpu_step, written as one would write it by hand.

Numbers (widths, layers, windows, rates) are read from the spec; the structure is written out here and is that of models/tiny.json:
smear on the embedding, x0 mixed into each layer, QK norm, half-rotary heads, a partial key offset on some layers, a gate per head on
attention's output, relu² MLP, softcapped logits, Muon on matrices and AdamW on the rest.
"""

import json
import math
from fractions import Fraction

import torch
import torch.nn.functional as F

EPS = 1.1920928955078125e-07  # of rms_norm, the importer's default


def rms_norm(x):
    return F.rms_norm(x, (x.size(-1),), eps=EPS)


class Tiny(torch.nn.Module):
    def __init__(self, spec, tokens, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        dims = spec["dims"]
        self.layers, self.width, self.heads, self.head = dims["layers"], dims["model"], dims["heads"], dims["head"]
        hidden, vocab = dims["mlp"], dims["vocab"]
        self.tokens, self.sequence = tokens, spec["data"]["sequence"]
        steps = {next(iter(s)): s for s in spec["forward"]}
        block = {next(iter(s)): s for s in steps["layers"]["layers"]}
        attention = block["attention"]["attention"]
        shift = next(s for s in attention["k"] if "token_shift" in s)
        self.shifted_layers = set(shift.get("only", range(self.layers)))
        self.shifted = [list(r) for r in shift["token_shift"]["features"]]
        self.smear_features = steps["token_shift"]["token_shift"]["gate"]["features"]
        self.gate_features = attention["output"][0]["gate"]["features"]
        window = attention["window"]
        self.window_names = [window.get(str(i), window["default"]) for i in range(self.layers)]
        self.cap = steps["head"]["head"]["softcap"]["tanh"]["amplitude"]

        def uniform(rows, columns):  # uniform_std 0.5
            bound = 0.5 * math.sqrt(3 / columns)
            return torch.nn.Parameter(torch.empty(rows, columns).uniform_(-bound, bound))

        def zeros(*shape):
            return torch.nn.Parameter(torch.zeros(*shape))

        span = self.heads * self.head
        self.token = torch.nn.Parameter(torch.randn(vocab, self.width))
        self.smear, self.smear_gate = zeros(()), zeros(1, self.smear_features)
        self.resid = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(())) for _ in range(self.layers)])
        self.x0 = torch.nn.ParameterList([zeros(()) for _ in range(self.layers)])
        self.qkv = torch.nn.ParameterList([uniform(3 * span, self.width) for _ in range(self.layers)])
        self.out = torch.nn.ParameterList([zeros(self.width, span) for _ in range(self.layers)])
        self.gate = torch.nn.ParameterList([zeros(self.heads, self.gate_features) for _ in range(self.layers)])
        self.up = torch.nn.ParameterList([uniform(hidden, self.width) for _ in range(self.layers)])
        self.down = torch.nn.ParameterList([zeros(self.width, hidden) for _ in range(self.layers)])
        self.output = zeros(vocab, self.width)

        rotating = int(Fraction(spec["rope"]["rotate"]) * self.head) // 2
        frequency = torch.zeros(self.head // 2, dtype=torch.float64)
        frequency[:rotating] = spec["rope"]["base"] ** -(torch.arange(rotating, dtype=torch.float64) / (rotating - 1))
        angle = torch.outer(torch.arange(tokens, dtype=torch.float64), frequency)
        self.register_buffer("cos", angle.cos().float()[:, None, :])
        self.register_buffer("sin", angle.sin().float()[:, None, :])
        self.masks = {}

    def mask(self, window):
        """Query i of a document sees keys max(0, i - window) .. i."""
        if window not in self.masks:
            i = torch.arange(self.sequence)
            self.masks[window] = (i[None, :] <= i[:, None]) & (i[None, :] >= i[:, None] - window)
        return self.masks[window]

    def rope(self, x):
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cos + b * self.sin, b * self.cos - a * self.sin), dim=-1)

    def key_offset(self, k):
        shifted = k.clone()
        for begin, end in self.shifted:
            shifted[1:, :, begin:end] = k[:-1, :, begin:end]
        return shifted

    def logits(self, tokens, windows):
        T, documents = self.tokens, self.tokens // self.sequence
        x = F.embedding(tokens, self.token)
        gate = torch.sigmoid(x[1:, : self.smear_features] @ self.smear_gate.T)
        x = torch.cat((x[:1], x[1:] + self.smear * gate * x[:-1]))
        x = start = rms_norm(x)
        for i in range(self.layers):
            x = self.resid[i] * x + self.x0[i] * start
            u = rms_norm(x)
            q, k, v = (u @ self.qkv[i].T).view(T, 3, self.heads, self.head).unbind(1)
            q, k = self.rope(rms_norm(q)), self.rope(rms_norm(k))
            if i in self.shifted_layers:
                k = self.key_offset(k)
            split = lambda t: t.view(documents, self.sequence, self.heads, self.head).transpose(1, 2)
            y = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=self.mask(windows[self.window_names[i]]))
            y = y.transpose(1, 2).reshape(T, self.heads, self.head)
            y = y * torch.sigmoid(u[:, : self.gate_features] @ self.gate[i].T)[..., None]
            x = x + y.reshape(T, -1) @ self.out[i].T
            x = x + F.relu(rms_norm(x) @ self.up[i].T).square() @ self.down[i].T
        z = rms_norm(x) @ self.output.T
        return self.cap * torch.tanh(z / self.cap)

    def loss(self, tokens, targets, windows):
        return F.cross_entropy(self.logits(tokens, windows), targets)


class Muon:
    """Orthogonalised momentum; matrices of one shape go through the iteration together, as a batch."""

    def __init__(self, matrices, splits, lr, coefficients=(3.4445, -4.7750, 2.0315), rounds=5):
        self.groups, self.lr, self.coefficients, self.rounds = {}, lr, coefficients, rounds
        for p, split in zip(matrices, splits):
            rows, columns = p.shape[0] // split, p.shape[1]
            self.groups.setdefault((rows, columns), []).append((p, split))
        self.momentum = {p: torch.zeros_like(p) for p in matrices}

    @torch.no_grad()
    def step(self, level, mu):
        for (rows, columns), members in self.groups.items():
            updates = []
            for p, split in members:
                buffer = self.momentum[p].lerp_(p.grad, 1 - mu)
                updates.append(p.grad.lerp(buffer, mu).view(split, rows, columns))
            x = torch.cat(updates)
            x = x / (x.norm(dim=(1, 2), keepdim=True) * (1 + 2**-6) + 1e-7)
            tall = rows > columns
            if tall:
                x = x.mT
            a, b, c = self.coefficients
            for _ in range(self.rounds):
                g = x @ x.mT
                x = torch.baddbmm(x, torch.baddbmm(g, g, g, beta=b, alpha=c), x, beta=a)
            if tall:
                x = x.mT
            rate, first = self.lr * level * math.sqrt(max(1, rows / columns)), 0
            for p, split in members:
                p.add_(x[first : first + split].reshape(p.shape), alpha=-rate)
                first += split


class Trainer:
    """The model with the spec's optimisers and schedules; `step` is one training step."""

    def __init__(self, spec, tokens=None, seed=1):
        training = spec["training"]
        self.training, self.total = training, training["steps"]
        self.tokens = tokens or training["stages"][0]["tokens"]
        self.model = Tiny(spec, self.tokens, seed)
        m = self.model
        adam, muon = training["optimizers"][0]["adamw"], training["optimizers"][1]["muon"]
        scale = training["optimizers"][0]["parameters"]
        rate = lambda pattern: adam["lr"] * scale[pattern].get("lr", 1)
        self.groups = [
            {"params": [m.token], "peak": rate("embeddings.*")},
            {"params": [m.output], "peak": rate("head")},
            {"params": [m.smear, *m.resid, *m.x0], "peak": rate("scalars.*")},
            {"params": [m.smear_gate, *m.gate], "peak": rate("*.gate")},
        ]
        self.adam = torch.optim.AdamW(self.groups, lr=adam["lr"], betas=tuple(adam["betas"]), eps=adam["eps"],
                                      weight_decay=adam.get("weight_decay", 0), fused=True)
        matrices = [*m.qkv, *m.out, *m.up, *m.down]
        scales = training["optimizers"][1]["parameters"]
        assert all(set(s) <= {"split"} for s in scales.values()) and "weight_decay" not in muon, "not mirrored here"
        self.muon = Muon(matrices, [3] * m.layers + [1] * (3 * m.layers), muon["lr"])
        self.momentum = muon["momentum"]

    def level(self, step):
        lr, flat = self.training["lr"], 1 - Fraction(self.training["lr"]["cooldown"])
        if step < lr["warmup"]:
            return (step + 1) / lr["warmup"]
        if step < flat * self.total:
            return 1.0
        w = (1 - step / self.total) / float(1 - flat)
        return w + lr["floor"] * (1 - w)

    def mu(self, step):
        m = self.momentum
        return m["from"] + (m["to"] - m["from"]) * min(step / m["warmup"], 1)

    def windows(self, step):
        for stage in self.training["stages"]:
            if step < Fraction(stage["until"]) * self.total:
                return stage["windows"]
        return self.training["stages"][-1]["windows"]

    def step(self, step, tokens, targets):
        self.model.zero_grad(set_to_none=True)
        loss = self.model.loss(tokens, targets, self.windows(step))
        loss.backward()
        level = self.level(step)
        for group in self.adam.param_groups:
            group["lr"] = group["peak"] * level
        self.adam.step()
        self.muon.step(level, self.mu(step))
        return loss.item()


def read_spec(path):
    with open(path) as file:
        return json.load(file)
