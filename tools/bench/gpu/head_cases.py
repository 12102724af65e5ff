"""The language-model head for cases.py: head_T_V_D_KIND_CAP is softcap and cross-entropy of x[T, D]·W[V, D]ᵀ.

KIND: f8 (x and W in e4m3, gradient in e5m2), bf16 (gradient in bf16), loss (bf16, no gradient). CAP: sigmoid (A 30, τ 7.5), rsqrt (A 15),
tanh (A 15), none.
"""
import math

from case import Case, rows_to_check, tensor

SCALES = {"x": 0.0625, "w": 2.0 ** -9, "g": 0.002232142857142857}
DLOSS = 0.125
CAPS = {"sigmoid": (30.0, 7.5), "rsqrt": (15.0, 15.0), "tanh": (15.0, 15.0), "none": None}


def parse(name):
    _, t, v, d, kind, cap = name.split("_")
    return int(t), int(v), int(d), kind, cap


def mlir(name):
    t, v, d, kind, cap = parse(name)
    f8 = kind == "f8"
    x, w, targets = tensor((t, d), "f8E4M3FN" if f8 else "bf16"), tensor((v, d), "bf16"), tensor((t,), "i32")
    z, rows, row8 = tensor((t, v), "f32"), tensor((t,), "f32"), tensor((v, d), "f8E4M3FN")
    wide_w, g = tensor((v, d), "f32"), tensor((t, v), "f8E5M2" if f8 else "bf16")
    b = f"kernel.yield %w1 : {w}"
    if f8:
        b = f"%1 = lm.cast %w1 : {w} -> {wide_w} %2 = lm.quantize %1 {{scale = {SCALES['w']} : f64}} : {wide_w} -> {row8} kernel.yield %2 : {row8}"
    body, logits, curve = "", "%c", ""
    if f8:
        body += f"%s = lm.constant dense<{SCALES['x'] * SCALES['w']:.10e}> : tensor<f32> %z = lm.scale %c, %s : {z}, tensor<f32> "
        logits = "%z"
    inner = logits
    if CAPS[cap]:
        curve = f"{{amplitude = {CAPS[cap][0]} : f64, temperature = {CAPS[cap][1]} : f64}} : {z} "
        body += f"%l = lm.softcap {cap} {logits} {curve}"
        logits = "%l"
    body += f"%loss, %lse = lm.cross_entropy {logits}, %y : {z}, {targets} -> {rows}, {rows} %sum = lm.sum %loss : {rows} -> tensor<f32> "
    body += f"%n = lm.count_targets %y : {targets} -> tensor<f32> %r = lm.unary reciprocal %n : tensor<f32> %mean = lm.scale %sum, %r : tensor<f32>, tensor<f32> "
    results, types = ["%sum", "%mean"], ["tensor<f32>", "tensor<f32>"]
    if kind != "loss":
        body += f"%dl = lm.constant dense<{DLOSS}> : {rows} %d = lm.cross_entropy_backward {logits}, %y, %lse, %dl : {z}, {targets}, {rows} "
        last = "%d"
        if CAPS[cap]:
            body += f"%dz = lm.softcap_backward {cap} {inner}, %d {curve}"
            last = "%dz"
        body += (f"%g = lm.quantize {last} {{scale = {SCALES['g']} : f64}} : {z} -> {g} " if f8 else f"%g = lm.cast {last} : {z} -> {g} ")
        results, types = results + ["%g"], types + [g]
    many = ", ".join(types)
    return f"""func.func private @{name}(%x: {x}, %w: {w}, %t: {targets}) -> ({many}) {{
  %0:{len(types)} = kernel.gemm a(%x) b(%w) result(%t) {{transpose_b}} : ({x}, {w}, {targets}) -> ({many})
    a {{ ^bb0(%x1: {x}): kernel.yield %x1 : {x} }}
    b {{ ^bb0(%w1: {w}): {b} }}
    result {{ ^bb0(%c: {z}, %y: {targets}): {body} kernel.yield {', '.join(results)} : {many} }}
  return {', '.join(f'%0#{i}' for i in range(len(types)))} : {many}
}}
"""


def find(name):
    import torch
    t, v, d, kind, cap = parse(name)
    f8 = kind == "f8"
    scale = SCALES["x"] * SCALES["w"] if f8 else 1.0

    def fill(inputs):
        x, w, targets = inputs
        x.copy_(torch.randn(x.shape, device="cuda") / (SCALES["x"] if f8 else 1))
        w.copy_(torch.randn(w.shape, device="cuda") * (3 / math.sqrt(d)))
        targets.copy_(torch.randint(0, v, targets.shape, device="cuda"))
        if t > 2:
            targets[t // 2] = -1

    def weight(inputs):
        w = inputs[1]
        return (w.float() * (1 / SCALES["w"])).clamp(-448, 448).to(torch.float8_e4m3fn) if f8 else w

    def curve(z):
        if cap == "none":
            return z, torch.ones_like(z)
        a, tau = CAPS[cap]
        if cap == "sigmoid":
            y = torch.sigmoid(z / tau)
            return a * y, a / tau * y * (1 - y)
        if cap == "tanh":
            y = torch.tanh(z / tau)
            return a * y, a / tau * (1 - y * y)
        r = torch.rsqrt(z * z + a * a)
        return a * z * r, a ** 3 * r ** 3

    def expect(inputs):
        x, w, targets = inputs[0].float(), weight(inputs).float(), inputs[2].long()
        total, count = torch.zeros((), dtype=torch.float64, device="cuda"), int((targets >= 0).sum())
        for begin in range(0, t, 2048):
            rows = slice(begin, begin + 2048)
            logits = curve((scale * (x[rows] @ w.t())).double())[0]
            loss = logits.logsumexp(-1) - logits.gather(1, targets[rows].clamp(min=0)[:, None])[:, 0]
            total += (loss * (targets[rows] >= 0)).sum()
        bound = 2e-4 if f8 else 1e-5  # The tensor cores' own sums of f8 products keep 14 bits.
        outputs = [(None, total, bound), (None, total / max(count, 1), bound)]
        if kind != "loss":
            rows = rows_to_check(t, more=[t // 2])
            logits, slope = curve(scale * (x[rows].double() @ w.double().t()))
            p = logits.softmax(-1)
            p[torch.arange(len(rows), device="cuda"), targets[rows].clamp(min=0)] -= 1
            g = p * (targets[rows] >= 0)[:, None] * DLOSS * slope / (SCALES["g"] if f8 else 1)
            # Every element counts by its relative error (but for those below the format's least normal number). What rounding the
            # exact gradient costs, and a little for logits of 16 bits: f16 under a softcap, else bf16.
            w = 1 / (g.abs() + (6.1e-5 if f8 else 1e-9))
            rounded = g.float().to(torch.float8_e5m2 if f8 else torch.bfloat16).double()
            ideal = (((rounded - g) * w).norm() / (g * w).norm()).item()
            outputs.append((rows, g, 1.02 * ideal + (1.2e-2 if cap == "none" else 3e-3), 0, w))
        return outputs

    def yardstick(inputs):
        x, w, targets = inputs[0], inputs[1], inputs[2].long().clamp(min=0)
        one = [torch.full((), value, device="cuda") for value in (SCALES["x"], SCALES["w"])]
        a, tau = CAPS[cap] or (1, 1)

        def loss(z):
            logits = a * torch.sigmoid(z / tau) if cap == "sigmoid" else a * z * torch.rsqrt(z * z + a * a)
            return torch.nn.functional.cross_entropy(logits if kind != "loss" else logits.float(), targets, reduction="sum")

        compiled = torch.compile(loss)

        def run():
            if f8:
                w8 = (w * (1 / SCALES["w"])).to(torch.float8_e4m3fn)
                z = torch._scaled_mm(x, w8.t(), scale_a=one[0], scale_b=one[1], out_dtype=torch.bfloat16, use_fast_accum=True)
            else:
                z = x @ w.t()
            if kind == "loss":
                with torch.no_grad():
                    return compiled(z)
            z.requires_grad_()
            g, = torch.autograd.grad(compiled(z), z)
            return (g * (1 / SCALES["g"])).to(torch.float8_e5m2) if f8 else g
        return run

    large = t * v > 1e9
    return Case(name, f"head_{t}_{v}_{d}_{kind}", 2.0 * t * v * d, fill, expect, mlir(name), yardstick if large else None)


HEAD = [(49152, 50304, 768, "f8", "sigmoid"), (65536, 50304, 1024, "bf16", "rsqrt"), (32768, 50304, 768, "loss", "sigmoid"),
        (1, 1000, 64, "f8", "sigmoid"), (300, 1000, 144, "f8", "sigmoid"), (2100, 4104, 256, "f8", "none"), (200, 1000, 72, "bf16", "rsqrt"),
        (1, 24, 8, "bf16", "none"), (513, 1032, 96, "bf16", "tanh"), (513, 1032, 128, "bf16", "none"), (129, 1001, 64, "loss", "sigmoid"),
        (1, 37, 64, "loss", "none"), (2100, 777, 1024, "loss", "rsqrt")]
ALL = ["_".join(["head", *map(str, case)]) for case in HEAD]
