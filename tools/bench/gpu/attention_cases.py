"""Attention and its gradients for cases.py: attention_T_H_d_WINDOW_DOCUMENTS_SHIFT and backward_… of the same.

DOCUMENTS: see document_starts; SHIFT: none, key (the record's features), half, gated (no shift, the output times a factor per head).
"""
import dataclasses
import math

from case import Case, rows_to_check, tensor


@dataclasses.dataclass
class Problem:
    """T tokens, H heads of width d; a token sees keys from first_keys(…) on to itself."""
    t: int
    h: int
    d: int
    window: int
    documents: str
    shift: str

    @staticmethod
    def parse(name):
        _, t, h, d, window, documents, shift = name.split("_")
        return Problem(int(t), int(h), int(d), int(window), documents, shift)

    def shifted(self):
        """Ranges of features whose keys come from the token before."""
        d = self.d
        return {"none": [], "gated": [], "key": [(d // 4, d // 2), (3 * d // 4, d)], "half": [(d // 2, d)]}[self.shift]


def attention_mlir(name):
    problem = Problem.parse(name)
    t, h, d, shift = problem.t, problem.h, problem.d, problem.shift
    heads, wide, rows, lse = tensor((t, h, d), "bf16"), tensor((t, h, d), "f32"), tensor((t,), "i32"), tensor((t, h), "f32")
    load = lambda x: f"{{ ^bb0(%{x}b: {heads}): %{x}w = lm.cast %{x}b : {heads} -> {wide} kernel.yield %{x}w : {wide} }}"
    features = ", ".join(str(bound) for feature_range in problem.shifted() for bound in feature_range)
    key = load("k")
    if features:
        key = (f"{{ ^bb0(%kb: {heads}): %kw = lm.cast %kb : {heads} -> {wide} %ks = lm.token_shift replace cross %kw "
               f"{{features = array<i64: {features}>, heads = array<i64>}} : ({wide}) -> {wide} kernel.yield %ks : {wide} }}")
    flat, result, gate, gates = tensor((t, h * d), "bf16"), heads, "", ""
    last = f"^bb0(%o: {wide}): %y = lm.cast %o : {wide} -> {heads} kernel.yield %y : {heads}"
    if shift == "gated":
        result, gate, gates = flat, "%gate", f"{lse}, "
        last = (f"^bb0(%o: {wide}, %g: {lse}): %s = lm.row_scale %o, %g : {wide}, {lse} %c = lm.cast %s : {wide} -> {heads} "
                f"%y = lm.reshape %c : {heads} -> {flat} kernel.yield %y : {flat}")
    return f"""func.func private @{name}(%q: {heads}, %k: {heads}, %v: {heads}, %first: {rows}, %scale: tensor<f32>{f", %gate: {lse}" if gate else ""}) -> ({result}, {lse}) {{
  %0:2 = kernel.attention q(%q) k(%k) v(%v) result({gate}) first(%first) scale(%scale) : ({heads}, {heads}, {heads}, {gates}{rows}, tensor<f32>) -> ({result}, {lse})
    q {load("q")}
    k {key}
    v {load("v")}
    result {{ {last} }}
  return %0#0, %0#1 : {result}, {lse}
}}
"""


def backward_mlir(name):
    forward = attention_mlir(name.replace("backward", "attention"))
    problem = Problem.parse(name)
    t, h, d = problem.t, problem.h, problem.d
    heads, wide, rows, lse = tensor((t, h, d), "bf16"), tensor((t, h, d), "f32"), tensor((t,), "i32"), tensor((t, h), "f32")
    regions = [line for line in forward.splitlines() if line.startswith("    ")][:3]
    return "\n".join([
        f"func.func private @{name}(%q: {heads}, %k: {heads}, %v: {heads}, %first: {rows}, %scale: tensor<f32>, %out: {heads}, %lse: {lse}, %dout: {heads}) -> ({heads}, {heads}, {heads}) {{",
        f"  %0:3 = kernel.attention_backward q(%q) k(%k) v(%v) first(%first) scale(%scale) out(%out, %lse, %dout) : ({heads}, {heads}, {heads}, {rows}, tensor<f32>, {heads}, {lse}, {heads}) -> ({heads}, {heads}, {heads})",
        *regions, f"  return %0#0, %0#1, %0#2 : {heads}, {heads}, {heads}", "}", ""])


def first_keys(problem):
    """The first key of each token: its document's, or `window` tokens before it (documents blocks: before its block of 128)."""
    import torch
    here = torch.arange(problem.t)
    if problem.documents == "blocks":
        here = here // 128 * 128
    return torch.maximum(torch.tensor(document_starts(problem.t, problem.documents)), here - problem.window)


def document_starts(t, kind):
    """causal: documents of 2048 tokens; docs, blocks: log-normal lengths with median 400, cut at 2048; tiny: 1, 3, 124, then short ones."""
    import numpy
    random = numpy.random.default_rng(t)
    starts, begin = [], 0
    while begin < t:
        length = 2048
        if kind != "causal":
            length = min(max(2, int(random.lognormal(math.log(20 if kind == "tiny" else 400), 1.04))), 2048)
        if kind == "tiny" and len(starts) < 3:
            length = (1, 3, 124)[len(starts)]
        starts.append(begin)
        begin += length
    result = numpy.zeros(t, dtype=numpy.int64)
    result[starts] = starts
    return numpy.maximum.accumulate(result)


def attention_case(name):
    import torch
    problem = Problem.parse(name)
    t, h, d, shift = problem.t, problem.h, problem.d, problem.shift
    first = first_keys(problem)
    pairs = int((torch.arange(t) - first + 1).sum())

    def fill(inputs):
        for x in inputs[:3]:
            x.copy_(torch.randn(x.shape, device="cuda"))
        inputs[3].copy_(first)
        inputs[4].fill_(0.1)
        for gate in inputs[5:]:
            gate.copy_(torch.rand(gate.shape, device="cuda"))

    def expect(inputs):
        q, k, v = inputs[:3]
        rows = rows_to_check(t, random=24)
        outputs, logs = [], []
        for r in rows.tolist():
            lo = int(first[r])
            key = k[lo:r + 1].double()
            for a, b in problem.shifted():
                index = (torch.arange(lo, r + 1, device="cuda") - 1).clamp(min=0)
                key[:, :, a:b] = k[index, :, a:b].double()
            scores = torch.einsum("hd,jhd->hj", q[r].double(), key) * inputs[4].double()
            logs.append(scores.logsumexp(-1))
            outputs.append(torch.einsum("hj,jhd->hd", scores.softmax(-1), v[lo:r + 1].double()))
        outputs = torch.stack(outputs)
        if shift == "gated":
            outputs = (outputs * inputs[5][rows].double()[:, :, None]).flatten(1)
        # P is rounded to bf16 (2^-9 each), and the output; lse in f32 from approximate log and exp.
        return [(rows, outputs, 5e-3), (rows, torch.stack(logs), 2e-6)]

    def yardstick(inputs):
        n = t // 2048
        q, k, v = (x[:n * 2048].view(n, 2048, h, d).transpose(1, 2) for x in inputs[:3])
        return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.1)

    return Case(name, f"attention_{t}_{h}_{d}", 4.0 * d * h * pairs, fill, expect, attention_mlir(name), yardstick if t >= 16384 else None)


def backward_case(name):
    """Gradients with respect to what the regions give: shifted keys for a shifted case."""
    import torch
    base = attention_case(name.replace("backward", "attention"))
    problem = Problem.parse(name)
    t, h, d = problem.t, problem.h, problem.d
    first = first_keys(problem)

    def shifted(k, keys):
        """Keys in the range `keys`, in float64, with what they take from the key before."""
        before = max(keys.start - 1, 0)
        key = k[before:keys.stop].double()
        for a, b in problem.shifted():
            key[1:, :, a:b] = k[before:keys.stop - 1, :, a:b].double()
        return key[keys.start - before:]

    def sees(queries, keys):
        i, j = torch.arange(queries.start, queries.stop, device="cuda")[:, None], torch.arange(keys.start, keys.stop, device="cuda")[None]
        return (j <= i) & (j >= first.cuda()[queries][:, None])

    def weights(inputs, queries, keys):
        """P [H, queries, keys] and dS for index ranges, from the given lse and out."""
        q, k, v, _, scale, out, lse, dout = inputs
        s = torch.einsum("qhd,khd->hqk", q[queries].double(), shifted(k, keys)) * scale.double()
        p = torch.exp(s - lse[queries].double().t()[:, :, None]) * sees(queries, keys)
        dp = torch.einsum("qhd,khd->hqk", dout[queries].double(), v[keys].double())
        delta = (dout[queries].double() * out[queries].double()).sum(-1).t()[:, :, None]
        return p, p * (dp - delta) * scale.double()

    def fill(inputs):
        base.fill(inputs[:5])
        q, k, v, _, scale, out, lse, dout = inputs
        dout.copy_(torch.randn(dout.shape, device="cuda"))
        lse.zero_()
        out.zero_()
        for begin in range(0, t, 512):  # The forward pass in float64, by blocks of queries.
            rows = slice(begin, min(begin + 512, t))
            keys = slice(int(first[begin]), rows.stop)
            s = torch.einsum("qhd,khd->hqk", q[rows].double(), shifted(k, keys)) * scale.double()
            s.masked_fill_(~sees(rows, keys), -math.inf)
            lse[rows] = s.logsumexp(-1).t().float()
            out[rows] = torch.einsum("hqk,khd->qhd", s.softmax(-1), v[keys].double()).bfloat16()

    def expect(inputs):
        q, k, v = inputs[:3]
        dout = inputs[7]
        results = [[], [], []]
        rows = rows_to_check(t)
        for r in rows.tolist():
            keys = slice(int(first[r]), r + 1)
            _, ds = weights(inputs, slice(r, r + 1), keys)
            results[0].append(torch.einsum("hqk,khd->hd", ds, shifted(k, keys)))
            last = int((first <= r).nonzero().max()) + 1
            p, ds = weights(inputs, slice(r, last), slice(r, r + 1))
            results[1].append(torch.einsum("hqk,qhd->hd", ds, q[r:last].double()))
            results[2].append(torch.einsum("hqk,qhd->hd", p, dout[r:last].double()))
        # P and dS are rounded to bf16 before the products, the gradients after them; dS cancels in part.
        # The gradients of a lone token's q and k are 0 by cancellation: what is left is measured against their terms.
        floor = 1e-3 * dout[rows].double().norm().item()
        return [(rows, torch.stack(x), 8e-3, floor) for x in results]

    def yardstick(inputs):
        n = t // 2048
        q, k, v = (x[:n * 2048].view(n, 2048, h, d).transpose(1, 2).detach().requires_grad_() for x in inputs[:3])
        o = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.1)
        g = torch.randn_like(o)
        return lambda: torch.autograd.grad(o, (q, k, v), g, retain_graph=True)

    return Case(name, f"backward_{t}_{h}_{d}", 2.5 * base.flops, fill, expect, backward_mlir(name), yardstick if t >= 16384 else None)


ATTENTION = [(49152, 6, 128, 640, "docs", "none"), (49152, 6, 128, 640, "docs", "key"), (49152, 6, 128, 1408, "docs", "none"),
             (49152, 6, 128, 2048, "causal", "none"), (49152, 6, 128, 2048, "causal", "key"), (16384, 12, 64, 640, "docs", "none"),
             (1, 2, 64, 640, "docs", "none"), (1, 1, 128, 640, "docs", "key"), (131, 3, 64, 50, "docs", "half"), (1000, 2, 128, 200, "tiny", "key"),
             (2048, 6, 128, 2048, "causal", "key"), (777, 5, 128, 100000, "docs", "half"), (4096, 2, 64, 300, "tiny", "none"),
             (3000, 8, 128, 384, "blocks", "none")]
GATED = [(1000, 3, 128, 200, "docs", "gated"), (16384, 6, 128, 640, "docs", "gated")]
ALL = ["_".join([kind, *map(str, case)]) for kind in ("attention", "backward") for case in ATTENTION] + [
    "_".join(["attention", *map(str, case)]) for case in GATED]


def mlir(name):
    return backward_mlir(name) if name.startswith("backward") else attention_mlir(name)


def find(name):
    return backward_case(name) if name.startswith("backward") else attention_case(name)
