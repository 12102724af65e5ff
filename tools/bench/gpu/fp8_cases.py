"""f8 products for cases.py: f8_M_N_K_LAYOUT, a in e5m2 (e4m3 for tn) times b in e4m3, layouts as in case.py; tn and nn give bf16, nt gives f32."""
from case import Case, operand_shapes, rows_to_check, tensor


def parse(name):
    _, m, n, k, layout = name.split("_")
    return int(m), int(n), int(k), layout


def mlir(name):
    m, n, k, layout = parse(name)
    (sa, sb), c = operand_shapes(m, n, k, layout), tensor((m, n), "f32")
    a, b = tensor(sa, "f8E4M3FN" if layout == "tn" else "f8E5M2"), tensor(sb, "f8E4M3FN")
    flags = {"tn": " {transpose_b}", "nn": "", "nt": " {transpose_a}"}[layout]
    out = tensor((m, n), "f32" if layout == "nt" else "bf16")
    body = f"%s = lm.constant dense<0.25> : tensor<f32> %1 = lm.scale %c, %s : {c}, tensor<f32> "
    body += f"kernel.yield %1 : {c}" if layout == "nt" else f"%2 = lm.cast %1 : {c} -> {out} kernel.yield %2 : {out}"
    return f"""func.func private @{name}(%a: {a}, %b: {b}) -> {out} {{
  %0 = kernel.gemm a(%a) b(%b) result(){flags} : ({a}, {b}) -> {out}
    a {{ ^bb0(%x: {a}): kernel.yield %x : {a} }}
    b {{ ^bb0(%x: {b}): kernel.yield %x : {b} }}
    result {{ ^bb0(%c: {c}): {body} }}
  return %0 : {out}
}}
"""


def find(name):
    import torch
    m, n, k, layout = parse(name)

    def fill(inputs):
        for x in inputs:
            x.copy_(torch.randn(x.shape, device="cuda"))

    def expect(inputs):
        rows = rows_to_check(m)
        raw = inputs[0].view(torch.uint8)
        a = (raw[:, rows].t() if layout == "nt" else raw[rows]).contiguous().view(inputs[0].dtype).double()
        b = inputs[1].double()
        z = 0.25 * (a @ (b.t() if layout == "tn" else b))
        # Each 128 of k is summed with about 14 bits, the parts in f32; then a rounding to bf16.
        return [(rows, z, 1e-3 if layout == "nt" else 2.7e-3)]

    def yardstick(inputs):
        a = inputs[0].t().contiguous() if layout == "nt" else inputs[0]
        b = inputs[1] if layout == "tn" else inputs[1].t().contiguous()
        scale = torch.full((), 0.25, device="cuda"), torch.ones((), device="cuda")
        dtype = torch.float32 if layout == "nt" else torch.bfloat16
        return lambda: torch._scaled_mm(a, b.t(), scale_a=scale[0], scale_b=scale[1], out_dtype=dtype, use_fast_accum=layout == "tn")

    return Case(name, f"f8_{m}_{n}_{k}_{layout}", 2.0 * m * n * k, fill, expect, mlir(name), yardstick if m * n * k > 1e9 else None)


F8 = [(49152, 768, 50304, "nn"), (50304, 768, 49152, "nt"), (49152, 3072, 768, "tn"),
      (1, 16, 16, "tn"), (130, 72, 144, "tn"), (300, 136, 1000, "nn"), (136, 264, 500, "nt"), (384, 264, 512, "nt"), (2064, 136, 272, "nt"), (16, 8, 16, "nt"), (257, 768, 16384, "nn"), (1, 768, 8192, "nn")]
ALL = ["_".join(["f8", *map(str, case)]) for case in F8]
