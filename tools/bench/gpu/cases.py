"""The kernels of tools/bench/gpu: their MLIR (write_cases.py), inputs, meaning in float64 and yardstick in PyTorch.

A name is gemm_M_N_K_LAYOUT_EPILOGUE. LAYOUT: tn = a [M, K], b [N, K] (a linear layer); nn = a [M, K], b [K, N] (its input's gradient);
nt = a [K, M], b [K, N] (its weight's gradient). M may be GxM: G such products below each other. EPILOGUE: plain (bf16), f32, relu2, drelu2, mix, qkv, accumulate (an f32
gradient times a number plus the product in bf16), step (bf16 matrix times a number plus the product: Newton-Schulz), gram and square (plain and step where both operands are the same matrix, in square a symmetric one: marked
symmetric), parts (the product, and its thirds: scaled, with a norm per head, with a
bf16 matrix added: outputs that overlap, as a layer's QKV in training has), layer and layer64 (all that a layer's QKV stores in training, with a bf16 RoPE
table; heads of 128 or 64), residual (the product, and x plus it times a number), carry (x + product, and its mix with x0), carry3 (the same with a third matrix in between).
Or attention_T_H_d_WINDOW_DOCUMENTS_SHIFT: see document_starts; SHIFT: none, key (the record's features), half.
"""
import dataclasses
import math
import sys
from typing import Callable, Optional

EPS = 1.1920929e-7


@dataclasses.dataclass
class Case:
    name: str
    group: str
    flops: float
    fill: Callable
    expect: Callable  # inputs -> per output (rows or None, expected in float64, bound on the relative error[, least norm to compare with])
    mlir: str
    yardstick: Optional[Callable] = None


def tensor(shape, dtype):
    return f"tensor<{'x'.join(map(str, list(shape) + [dtype]))}>"


def parse(name):
    _, m, n, k, layout, epilogue = name.split("_")
    return int(m.split("x")[-1]), int(n), int(k), layout, epilogue


def groups_of(name):
    m = name.split("_")[1]
    return int(m.split("x")[0]) if "x" in m else 1


def operand_shapes(m, n, k, layout):
    return {"tn": ((m, k), (n, k)), "nn": ((m, k), (k, n)), "nt": ((k, m), (k, n))}[layout]


SYMMETRIC = ("gram", "square")


def gemm_mlir(name):
    m, n, k, layout, epilogue = parse(name)
    groups = groups_of(name)
    a, b = (tensor((groups * s[0], s[1]), "bf16") for s in operand_shapes(m, n, k, layout))
    flags = [{"tn": "transpose_b", "nn": "", "nt": "transpose_a"}[layout], f"groups = {groups}" if groups > 1 else "", "kernel.symmetric" if epilogue in SYMMETRIC else ""]
    flags = " {" + ", ".join(filter(None, flags)) + "}" if any(flags) else ""
    m *= groups
    c, bf = tensor((m, n), "f32"), tensor((m, n), "bf16")
    inputs, outputs, body = [], [bf], None
    cast = lambda x: f"%y = lm.cast {x} : {c} -> {bf} kernel.yield %y : {bf}"
    if epilogue in ("plain", "gram"):
        body = cast("%c")
    elif epilogue == "f32":
        outputs, body = [c], f"kernel.yield %c : {c}"
    elif epilogue == "relu2":
        body = f"%1 = lm.unary relu_squared %c : {c} " + cast("%1")
    elif epilogue == "drelu2":
        inputs = [bf]
        body = f"%h = lm.cast %i0 : {bf} -> {c} %1 = lm.unary_backward relu_squared %h, %c {{from_output}} : {c} " + cast("%1")
    elif epilogue == "mix":
        inputs = [bf, bf, "tensor<f32>", "tensor<f32>"]
        body = (f"%x = lm.cast %i0 : {bf} -> {c} %x0 = lm.cast %i1 : {bf} -> {c} %one = lm.constant dense<1.0> : tensor<f32> "
                f"%1 = lm.mix %x, %x0, %c by %i2, %i3, %one : ({c}, {c}, {c}, tensor<f32>, tensor<f32>, tensor<f32>) -> {c} " + cast("%1"))
    elif epilogue == "accumulate":
        inputs, outputs = [c, "tensor<f32>"], [c]
        body = (f"%n = lm.cast %c : {c} -> {bf} %w = lm.cast %n : {bf} -> {c} %one = lm.constant dense<1.0> : tensor<f32> "
                f"%1 = lm.mix %i0, %w by %i1, %one : ({c}, {c}, tensor<f32>, tensor<f32>) -> {c} kernel.yield %1 : {c}")
    elif epilogue in ("step", "square"):
        inputs = [bf, "tensor<f32>"]
        body = (f"%x = lm.cast %i0 : {bf} -> {c} %one = lm.constant dense<1.0> : tensor<f32> "
                f"%1 = lm.mix %x, %c by %i1, %one : ({c}, {c}, tensor<f32>, tensor<f32>) -> {c} " + cast("%1"))
    elif epilogue == "parts":
        third = n // 3
        heads, part = tensor((m, third // 128, 128), "f32"), tensor((m, third), "f32")
        narrow = [tensor((m, third), "bf16"), tensor((m, third // 128, 128), "bf16"), tensor((m, third), "bf16")]
        inputs, outputs = [narrow[2], "tensor<f32>"], [bf, *narrow]
        body = (f"%s:3 = lm.split %c : ({c}) -> ({part}, {part}, {part}) %t = lm.scale %s#0, %i1 : {part}, tensor<f32> "
                f"%h = lm.reshape %s#1 : {part} -> {heads} %n = lm.rms_norm %h {{eps = {EPS:.9e} : f64}} : {heads} "
                f"%x = lm.cast %i0 : {narrow[2]} -> {part} %v = lm.add %s#2, %x : {part} %o0 = lm.cast %t : {part} -> {narrow[0]} "
                f"%o1 = lm.cast %n : {heads} -> {narrow[1]} %o2 = lm.cast %v : {part} -> {narrow[2]} "
                f"%o = lm.cast %c : {c} -> {bf} kernel.yield %o, %o0, %o1, %o2 : {', '.join(outputs)}")
    elif epilogue.startswith("layer"):
        d, third = 64 if epilogue == "layer64" else 128, n // 3
        heads, part, narrow = tensor((m, third // d, d), "f32"), tensor((m, third), "f32"), tensor((m, third // d, d), "bf16")
        table, flat = tensor((m, d), "bf16"), tensor((m, third), "bf16")
        inputs, outputs = ["tensor<f32>", table, narrow], [bf, narrow, narrow, narrow, narrow, narrow]
        body = (f"%raw = lm.cast %c : {c} -> {bf} %t = lm.cast %i1 : {table} -> {tensor((m, d), 'f32')} %e = lm.cast %i2 : {narrow} -> {heads} "
                f"%w = lm.scale %c, %i0 : {c}, tensor<f32> %s:3 = lm.split %w : ({c}) -> ({part}, {part}, {part}) ")
        for i in range(2):
            body += (f"%p{i} = lm.cast %s#{i} : {part} -> {flat} %k{i} = lm.reshape %p{i} : {flat} -> {narrow} %h{i} = lm.reshape %s#{i} : {part} -> {heads} "
                     f"%n{i} = lm.rms_norm %h{i} {{eps = {EPS:.9e} : f64}} : {heads} %r{i} = lm.rope %n{i}, %t : {heads}, {tensor((m, d), 'f32')} "
                     f"%o{i} = lm.cast %r{i} : {heads} -> {narrow} ")
        body += (f"%h2 = lm.reshape %s#2 : {part} -> {heads} %v = lm.add %h2, %e : {heads} %o2 = lm.cast %v : {heads} -> {narrow} "
                 f"kernel.yield %raw, %k0, %o0, %k1, %o1, %o2 : {', '.join(outputs)}")
    elif epilogue == "residual":
        inputs, outputs = ["tensor<f32>", bf], [bf, bf]
        body = (f"%raw = lm.cast %c : {c} -> {bf} %x = lm.cast %i1 : {bf} -> {c} %w = lm.scale %c, %i0 : {c}, tensor<f32> %1 = lm.add %x, %w : {c} "
                f"%y = lm.cast %1 : {c} -> {bf} kernel.yield %raw, %y : {bf}, {bf}")
    elif epilogue.startswith("carry"):
        inputs, outputs = ["tensor<f32>", "tensor<f32>", bf, bf] + [bf] * (epilogue == "carry3"), [bf, bf]
        body = (f"%x = lm.cast %i2 : {bf} -> {c} %x0 = lm.cast %i3 : {bf} -> {c} %1 = lm.add %x, %c : {c} ")
        last = "%1"
        if epilogue == "carry3":
            body += f"%z = lm.cast %i4 : {bf} -> {c} %2 = lm.mix %1, %z by %i0, %i1 : ({c}, {c}, tensor<f32>, tensor<f32>) -> {c} "
            last = "%2"
        body += (f"%y1 = lm.cast {last} : {c} -> {bf} %3 = lm.mix {last}, %x0 by %i0, %i1 : ({c}, {c}, tensor<f32>, tensor<f32>) -> {c} "
                 f"%y2 = lm.cast %3 : {c} -> {bf} kernel.yield %y1, %y2 : {bf}, {bf}")
    elif epilogue == "qkv":
        d, third = 128, n // 3
        heads, part = tensor((m, third // d, d), "f32"), tensor((m, third), "f32")
        table = tensor((m, d), "f32")
        inputs = [table]
        outputs = [tensor((m, third // d, d), "bf16")] * 3
        body = f"%s:3 = lm.split %c : ({c}) -> ({part}, {part}, {part}) "
        for i in range(3):
            body += f"%h{i} = lm.reshape %s#{i} : {part} -> {heads} "
            last = f"%h{i}"
            if i < 2:
                body += f"%n{i} = lm.rms_norm %h{i} {{eps = {EPS:.9e} : f64}} : {heads} %r{i} = lm.rope %n{i}, %i0 : {heads}, {table} "
                last = f"%r{i}"
            body += f"%o{i} = lm.cast {last} : {heads} -> {outputs[0]} "
        body += f"kernel.yield %o0, %o1, %o2 : {', '.join(outputs)}"
    names = [f"%in{i}" for i in range(len(inputs))]
    arguments = ", ".join(["%a: " + a, "%b: " + b] + [f"{x}: {t}" for x, t in zip(names, inputs)])
    block = ", ".join([f"%c: {c}"] + [f"%i{i}: {t}" for i, t in enumerate(inputs)])
    many = f"({', '.join(outputs)})" if len(outputs) > 1 else outputs[0]
    results = [f"%0#{i}" for i in range(len(outputs))] if len(outputs) > 1 else ["%0"]
    return f"""func.func private @{name}({arguments}) -> {many} {{
  %0{f':{len(outputs)}' if len(outputs) > 1 else ''} = kernel.gemm a(%a) b(%b) result({', '.join(names)}){flags} : ({', '.join([a, b] + inputs)}) -> {many}
    a {{ ^bb0(%x: {a}): kernel.yield %x : {a} }}
    b {{ ^bb0(%x: {b}): kernel.yield %x : {b} }}
    result {{ ^bb0({block}): {body} }}
  return {', '.join(results)} : {', '.join(outputs)}
}}
"""


def gemm_case(name):
    import torch
    m, n, k, layout, epilogue = parse(name)
    groups = groups_of(name)
    if groups > 1:
        m *= groups

    def fill(inputs):
        inputs[0].copy_(torch.randn(inputs[0].shape, device="cuda"))
        inputs[1].copy_(torch.randn(inputs[1].shape, device="cuda") / math.sqrt(k))
        if epilogue == "square":
            matrices = inputs[1].reshape(groups, -1, k)
            inputs[1].copy_((matrices + matrices.mT).reshape(inputs[1].shape))
        if epilogue in SYMMETRIC:
            inputs[0].copy_(inputs[1])
        for i, x in enumerate(inputs[2:]):
            value = torch.randn(x.shape, device="cuda")
            if epilogue == "drelu2":
                value = value.clamp(min=0) ** 2
            if epilogue == "qkv" or (epilogue.startswith("layer") and x.ndim == 2):
                half = x.shape[1] // 4
                angle = torch.arange(m, device="cuda").double()[:, None] * (1 / 1024) ** torch.linspace(0, 1, half, device="cuda").double()
                angle = torch.cat([angle, torch.zeros(m, half, device="cuda")], 1)
                value = torch.cat([angle.cos(), angle.sin()], 1)
            x.copy_(inputs[0] if epilogue == "square" and x.ndim == 2 else value)

    def product(inputs, rows):
        a, b = (x.reshape(groups, -1, x.shape[1]) for x in inputs[:2])
        a = (a.mT if layout == "nt" else a).reshape(m, k)[rows].double()
        b = b.mT if layout == "tn" else b
        return torch.stack([a[i] @ b[row // (m // groups)].double() for i, row in enumerate(rows.tolist())])

    def expect(inputs):
        rows = torch.unique(torch.tensor(([0, 1, 63, 64, 127, 128, 129, m - 2, m - 1] +
                                          torch.randint(0, m, (12,)).tolist()), device="cuda").clamp(0, m - 1))
        z = product(inputs, rows)
        bound = 2.5e-3  # A rounding to bf16: 2^-9/sqrt(3) at most, with the operands exact; f32 sums add less than 1e-5.
        if epilogue in ("plain", "gram"):
            return [(rows, z, bound)]
        if epilogue == "f32":
            return [(rows, z, 2e-6 * math.sqrt(k / 64))]
        if epilogue == "relu2":
            return [(rows, z.clamp(min=0) ** 2, bound)]
        if epilogue == "drelu2":
            return [(rows, 2 * inputs[2][rows].double().sqrt() * z, bound)]
        if epilogue in ("accumulate", "step", "square"):
            return [(rows, inputs[3].double() * inputs[2][rows].double() + z, bound)]
        if epilogue == "mix":
            x, x0, ca, cb = (i.double() if i.ndim == 0 else i[rows].double() for i in inputs[2:])
            return [(rows, ca * x + cb * x0 + z, bound)]
        if epilogue == "residual":
            return [(rows, z, bound), (rows, inputs[3][rows].double() + inputs[2].double() * z, bound)]
        if epilogue.startswith("carry"):
            ca, cb, x, x0, *more = (i.double() if i.ndim == 0 else i[rows].double() for i in inputs[2:])
            y = x + z
            if more:
                y = ca * y + cb * more[0]
            return [(rows, y, bound), (rows, ca * y + cb * x0, bound)]
        third, outputs = n // 3, []
        if epilogue.startswith("layer"):
            scaled = z * inputs[2].double()
            outputs.append((rows, z, bound))
            for i in range(2):
                h = scaled[:, i * third:(i + 1) * third].reshape(len(rows), -1, inputs[3].shape[1])
                outputs.append((rows, h, bound))
                h = h * torch.rsqrt((h * h).mean(-1, keepdim=True) + EPS)
                cos, sin = (t[:, None, :] for t in inputs[3][rows].double().chunk(2, -1))
                x1, x2 = h.chunk(2, -1)
                outputs.append((rows, torch.cat([x1 * cos + x2 * sin, -x1 * sin + x2 * cos], -1), bound))
            return outputs + [(rows, scaled[:, 2 * third:].reshape(len(rows), -1, inputs[3].shape[1]) + inputs[4][rows].double(), bound)]
        if epilogue == "parts":
            queries, keys, values = z.split(third, 1)
            keys = keys.reshape(len(rows), -1, 128)
            keys = keys * torch.rsqrt((keys * keys).mean(-1, keepdim=True) + EPS)
            return [(rows, x, bound) for x in (z, queries * inputs[3].double(), keys, values + inputs[2][rows].double())]
        for i in range(3):
            h = z[:, i * third:(i + 1) * third].reshape(len(rows), -1, 128)
            if i < 2:
                h = h * torch.rsqrt((h * h).mean(-1, keepdim=True) + EPS)
                cos, sin = (t[:, None, :] for t in inputs[2][rows].double().chunk(2, -1))
                x1, x2 = h.chunk(2, -1)
                h = torch.cat([x1 * cos + x2 * sin, -x1 * sin + x2 * cos], -1)
            outputs.append((rows, h, bound))
        return outputs

    def yardstick(inputs):
        a, b = inputs[0], inputs[1]
        if groups > 1:
            a, b = (x.reshape(groups, -1, x.shape[1]) for x in (a, b))
            left, right = a.mT if layout == "nt" else a, b.mT if layout == "tn" else b
            out = torch.empty(groups, m // groups, n, dtype=torch.bfloat16, device="cuda")
            return lambda: torch.bmm(left, right, out=out)
        left = a.t() if layout == "nt" else a
        right = b.t() if layout == "tn" else b
        out = torch.empty(m, n, dtype=torch.bfloat16, device="cuda")
        return lambda: torch.mm(left, right, out=out)

    return Case(name, "_".join(name.split("_")[:5]), 2.0 * m * n * k, fill, expect, gemm_mlir(name), yardstick if m * n * k > 1e9 else None)


def attention_mlir(name):
    _, t, h, d, _, _, shift = name.split("_")
    t, h, d = int(t), int(h), int(d)
    heads, wide, rows, lse = tensor((t, h, d), "bf16"), tensor((t, h, d), "f32"), tensor((t,), "i32"), tensor((t, h), "f32")
    load = lambda x: f"{{ ^bb0(%{x}b: {heads}): %{x}w = lm.cast %{x}b : {heads} -> {wide} kernel.yield %{x}w : {wide} }}"
    features = {"none": None, "gated": None, "key": f"{d // 4}, {d // 2}, {3 * d // 4}, {d}", "half": f"{d // 2}, {d}"}[shift]
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
    _, t, h, d, _, _, _ = name.split("_")
    t, h, d = int(t), int(h), int(d)
    heads, wide, rows, lse = tensor((t, h, d), "bf16"), tensor((t, h, d), "f32"), tensor((t,), "i32"), tensor((t, h), "f32")
    regions = [line for line in forward.splitlines() if line.startswith("    ")][:3]
    return "\n".join([
        f"func.func private @{name}(%q: {heads}, %k: {heads}, %v: {heads}, %first: {rows}, %scale: tensor<f32>, %out: {heads}, %lse: {lse}, %dout: {heads}) -> ({heads}, {heads}, {heads}) {{",
        f"  %0:3 = kernel.attention_backward q(%q) k(%k) v(%v) first(%first) scale(%scale) out(%out, %lse, %dout) : ({heads}, {heads}, {heads}, {rows}, tensor<f32>, {heads}, {lse}, {heads}) -> ({heads}, {heads}, {heads})",
        *regions, f"  return %0#0, %0#1, %0#2 : {heads}, {heads}, {heads}", "}", ""])


def first_keys(t, window, kind):
    """The first key of each token: its document's, or `window` tokens before it (kind blocks: before its block of 128)."""
    import torch
    here = torch.arange(t) // 128 * 128 if kind == "blocks" else torch.arange(t)
    return torch.maximum(torch.tensor(document_starts(t, kind)), here - window)


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
    _, t, h, d, window, kind, shift = name.split("_")
    t, h, d, window = int(t), int(h), int(d), int(window)
    first = first_keys(t, window, kind)
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
        rows = sorted({0, 1, 63, 64, 127, 128, 129, t - 2, t - 1} | set(torch.randint(0, t, (24,)).tolist()))
        rows = [r for r in rows if 0 <= r < t]
        outputs, logs = [], []
        groups = {"none": [], "gated": [], "key": [(d // 4, d // 2), (3 * d // 4, d)], "half": [(d // 2, d)]}[shift]
        for r in rows:
            lo = int(first[r])
            key = k[lo:r + 1].double()
            for a, b in groups:
                index = (torch.arange(lo, r + 1, device="cuda") - 1).clamp(min=0)
                key[:, :, a:b] = k[index, :, a:b].double()
            scores = torch.einsum("hd,jhd->hj", q[r].double(), key) * inputs[4].double()
            logs.append(scores.logsumexp(-1))
            outputs.append(torch.einsum("hj,jhd->hd", scores.softmax(-1), v[lo:r + 1].double()))
        index = torch.tensor(rows, device="cuda")
        outputs = torch.stack(outputs)
        if shift == "gated":
            outputs = (outputs * inputs[5][index].double()[:, :, None]).flatten(1)
        # P is rounded to bf16 (2^-9 each), and the output; lse in f32 from approximate log and exp.
        return [(index, outputs, 5e-3), (index, torch.stack(logs), 2e-6)]

    def yardstick(inputs):
        n = t // 2048
        q, k, v = (x[:n * 2048].view(n, 2048, h, d).transpose(1, 2) for x in inputs[:3])
        return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.1)

    return Case(name, f"attention_{t}_{h}_{d}", 4.0 * d * h * pairs, fill, expect, attention_mlir(name), yardstick if t >= 16384 else None)


def backward_case(name):
    """Gradients with respect to what the regions give: shifted keys for a shifted case."""
    import torch
    base = attention_case(name.replace("backward", "attention"))
    _, t, h, d, window, kind, shift = name.split("_")
    t, h, d, window = int(t), int(h), int(d), int(window)
    first = first_keys(t, window, kind)
    groups = {"none": [], "key": [(d // 4, d // 2), (3 * d // 4, d)], "half": [(d // 2, d)]}[shift]

    def shifted(k):
        key = k.double()
        for a, b in groups:
            key[1:, :, a:b] = k[:-1, :, a:b].double()
        return key

    def weights(inputs, queries, keys):
        """P [H, queries, keys] and dS for index ranges, from the given lse and out."""
        q, k, v, _, scale, out, lse, dout = inputs
        s = torch.einsum("qhd,khd->hqk", q[queries].double(), shifted(k[max(keys.start - 1, 0):keys.stop])[keys.start - max(keys.start - 1, 0):]) * scale.double()
        i, j = torch.arange(queries.start, queries.stop, device="cuda")[:, None], torch.arange(keys.start, keys.stop, device="cuda")[None]
        seen = (j <= i) & (j >= first.cuda()[queries][:, None])
        p = torch.exp(s - lse[queries].double().t()[:, :, None]) * seen
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
            q64 = q[rows].double()
            k64 = shifted(k[max(keys.start - 1, 0):keys.stop])[keys.start - max(keys.start - 1, 0):]
            s = torch.einsum("qhd,khd->hqk", q64, k64) * scale.double()
            i, j = torch.arange(rows.start, rows.stop, device="cuda")[:, None], torch.arange(keys.start, keys.stop, device="cuda")[None]
            s.masked_fill_(~((j <= i) & (j >= first.cuda()[rows][:, None])), -math.inf)
            lse[rows] = s.logsumexp(-1).t().float()
            out[rows] = torch.einsum("hqk,khd->qhd", s.softmax(-1), v[keys].double()).bfloat16()

    def expect(inputs):
        q, k, v = inputs[:3]
        dout = inputs[7]
        results = [[], [], []]
        rows = sorted({0, 1, 63, 64, 127, 128, 129, t - 2, t - 1} | set(torch.randint(0, t, (12,)).tolist()))
        rows = [r for r in rows if 0 <= r < t]
        for r in rows:
            keys = slice(int(first[r]), r + 1)
            _, ds = weights(inputs, slice(r, r + 1), keys)
            k64 = shifted(k[max(keys.start - 1, 0):keys.stop])[keys.start - max(keys.start - 1, 0):]
            results[0].append(torch.einsum("hqk,khd->hd", ds, k64))
            last = int((first <= r).nonzero().max()) + 1
            p, ds = weights(inputs, slice(r, last), slice(r, r + 1))
            results[1].append(torch.einsum("hqk,qhd->hd", ds, q[r:last].double()))
            results[2].append(torch.einsum("hqk,qhd->hd", p, dout[r:last].double()))
        index = torch.tensor(rows, device="cuda")
        # P and dS are rounded to bf16 before the products, the gradients after them; dS cancels in part.
        # The gradients of a lone token's q and k are 0 by cancellation: what is left is measured against their terms.
        floor = 1e-3 * dout[index].double().norm().item()
        return [(index, torch.stack(x), 8e-3, floor) for x in results]

    def yardstick(inputs):
        n = t // 2048
        q, k, v = (x[:n * 2048].view(n, 2048, h, d).transpose(1, 2).detach().requires_grad_() for x in inputs[:3])
        o = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.1)
        g = torch.randn_like(o)
        return lambda: torch.autograd.grad(o, (q, k, v), g, retain_graph=True)

    return Case(name, f"backward_{t}_{h}_{d}", 2.5 * base.flops, fill, expect, backward_mlir(name), yardstick if t >= 16384 else None)


def find(name):
    if name.startswith("f8_") or name.startswith("head_"):
        import head_cases
        return head_cases.find(name)
    if name.startswith("backward"):
        return backward_case(name)
    return attention_case(name) if name.startswith("attention") else gemm_case(name)


LARGE = [(49152, 3072, 768, "tn", "plain"), (49152, 3072, 768, "tn", "relu2"), (49152, 3072, 768, "nn", "plain"), (49152, 3072, 768, "nn", "drelu2"),
         (49152, 768, 3072, "tn", "plain"), (49152, 768, 3072, "tn", "mix"), (49152, 768, 3072, "nn", "plain"),
         (49152, 2304, 768, "tn", "plain"), (49152, 2304, 768, "tn", "qkv"), (49152, 2304, 768, "tn", "parts"), (49152, 768, 768, "tn", "plain"),
         ("40x768", 768, 768, "tn", "plain"), ("40x768", 768, 768, "nn", "step"), ("22x768", 768, 3072, "tn", "plain"), ("22x768", 3072, 768, "nn", "step"),
         ("40x768", 768, 768, "tn", "gram"), ("40x768", 768, 768, "nn", "square"), ("22x768", 768, 3072, "tn", "gram"),
         (3072, 768, 49152, "nt", "accumulate"), (3072, 768, 49152, "nt", "f32"), (768, 768, 49152, "nt", "f32"), (2304, 768, 49152, "nt", "f32"),
         (49152, 2304, 768, "tn", "layer"), (49152, 768, 768, "tn", "residual"), (49152, 768, 3072, "nn", "carry"), (49152, 768, 3072, "nn", "carry3"),
         (2304, 768, 49152, "nt", "accumulate"), (768, 768, 49152, "nt", "accumulate")]
# Ragged sizes, one row, one column block, k shorter than a stage.
SMALL = [(1, 128, 64, "tn", "plain"), (1, 8, 8, "tn", "f32"), (130, 72, 136, "tn", "plain"), (257, 136, 200, "nn", "relu2"), (136, 264, 1000, "nt", "f32"),
         (500, 520, 72, "tn", "drelu2"), (384, 384, 128, "tn", "qkv"), (500, 384, 256, "tn", "parts"), (200, 384, 256, "tn", "qkv"), (127, 40, 4096, "nn", "f32"), (72, 200, 2048, "nt", "plain"),
         (333, 768, 768, "tn", "mix"), ("3x130", 72, 136, "tn", "plain"), ("5x96", 200, 72, "nn", "step"), ("2x100", 136, 2048, "nt", "accumulate"),
         ("4x1", 16, 64, "tn", "f32"), (136, 264, 1000, "nt", "accumulate"), ("3x64", 64, 4096, "nt", "step"),
         (200, 384, 256, "tn", "layer"), (513, 1152, 136, "tn", "layer"), (1, 384, 64, "tn", "layer"), (200, 384, 256, "tn", "layer64"), (130, 384, 72, "tn", "layer64"),
         (300, 200, 136, "tn", "residual"), (300, 200, 136, "nn", "carry"), (131, 264, 72, "tn", "carry3"), (8, 8, 64, "tn", "gram"),
         ("3x136", 136, 72, "tn", "gram"), ("2x264", 264, 200, "nt", "gram"), ("2x392", 392, 392, "nn", "square"), ("3x136", 136, 136, "nn", "square"), (640, 640, 264, "tn", "gram")]
ATTENTION = [(49152, 6, 128, 640, "docs", "none"), (49152, 6, 128, 640, "docs", "key"), (49152, 6, 128, 1408, "docs", "none"),
             (49152, 6, 128, 2048, "causal", "none"), (49152, 6, 128, 2048, "causal", "key"), (16384, 12, 64, 640, "docs", "none"),
             (1, 2, 64, 640, "docs", "none"), (1, 1, 128, 640, "docs", "key"), (131, 3, 64, 50, "docs", "half"), (1000, 2, 128, 200, "tiny", "key"),
             (2048, 6, 128, 2048, "causal", "key"), (777, 5, 128, 100000, "docs", "half"), (4096, 2, 64, 300, "tiny", "none"),
             (3000, 8, 128, 384, "blocks", "none")]
GATED = [(1000, 3, 128, 200, "docs", "gated"), (16384, 6, 128, 640, "docs", "gated")]
ALL = ["_".join(["gemm", *map(str, case)]) for case in LARGE + SMALL] + [
    "_".join([kind, *map(str, case)]) for kind in ("attention", "backward") for case in ATTENTION] + [
    "_".join(["attention", *map(str, case)]) for case in GATED]

if __name__ == "__main__":
    if sys.argv[1:] == ["head"]:
        import head_cases
        print("\n".join(head_cases.mlir(name) for name in head_cases.ALL))
        sys.exit()
    for name in ALL:
        print({"gemm": gemm_mlir, "attention": attention_mlir, "backward": backward_mlir}[name.split("_")[0]](name))
