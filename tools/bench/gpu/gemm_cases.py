"""bf16 products for cases.py: gemm_M_N_K_LAYOUT_EPILOGUE, layouts as in case.py, epilogues as in gemm_epilogues.py.

M may be GxM: G such products below each other, in one launch.
"""
import math

from case import Case, operand_shapes, rows_to_check, tensor
from gemm_epilogues import EPILOGUES, SYMMETRIC, Shape


def parse(name):
    """(groups, m, n, k, layout, epilogue) of one product."""
    _, m, n, k, layout, epilogue = name.split("_")
    groups, m = m.split("x") if "x" in m else (1, m)
    return int(groups), int(m), int(n), int(k), layout, epilogue


def mlir(name):
    groups, m, n, k, layout, kind = parse(name)
    a, b = (tensor((groups * s[0], s[1]), "bf16") for s in operand_shapes(m, n, k, layout))
    flags = [{"tn": "transpose_b", "nn": "", "nt": "transpose_a"}[layout], f"groups = {groups}" if groups > 1 else "", "kernel.symmetric" if kind in SYMMETRIC else ""]
    flags = " {" + ", ".join(filter(None, flags)) + "}" if any(flags) else ""
    shape = Shape(groups * m, n, k)
    epilogue = EPILOGUES[kind](shape)
    inputs, outputs = epilogue.inputs, epilogue.outputs
    names = [f"%in{i}" for i in range(len(inputs))]
    arguments = ", ".join(["%a: " + a, "%b: " + b] + [f"{x}: {t}" for x, t in zip(names, inputs)])
    block = ", ".join([f"%c: {shape.wide}"] + [f"%i{i}: {t}" for i, t in enumerate(inputs)])
    many = f"({', '.join(outputs)})" if len(outputs) > 1 else outputs[0]
    results = [f"%0#{i}" for i in range(len(outputs))] if len(outputs) > 1 else ["%0"]
    return f"""func.func private @{name}({arguments}) -> {many} {{
  %0{f':{len(outputs)}' if len(outputs) > 1 else ''} = kernel.gemm a(%a) b(%b) result({', '.join(names)}){flags} : ({', '.join([a, b] + inputs)}) -> {many}
    a {{ ^bb0(%x: {a}): kernel.yield %x : {a} }}
    b {{ ^bb0(%x: {b}): kernel.yield %x : {b} }}
    result {{ ^bb0({block}): {epilogue.body} }}
  return {', '.join(results)} : {', '.join(outputs)}
}}
"""


def rope_table(rows, columns):
    import torch
    half = columns // 4
    angle = torch.arange(rows, device="cuda").double()[:, None] * (1 / 1024) ** torch.linspace(0, 1, half, device="cuda").double()
    angle = torch.cat([angle, torch.zeros(rows, half, device="cuda")], 1)
    return torch.cat([angle.cos(), angle.sin()], 1)


def find(name):
    import torch
    groups, m, n, k, layout, kind = parse(name)
    m *= groups
    epilogue = EPILOGUES[kind](Shape(m, n, k))

    def fill(inputs):
        inputs[0].copy_(torch.randn(inputs[0].shape, device="cuda"))
        inputs[1].copy_(torch.randn(inputs[1].shape, device="cuda") / math.sqrt(k))
        if kind == "square":
            matrices = inputs[1].reshape(groups, -1, k)
            inputs[1].copy_((matrices + matrices.mT).reshape(inputs[1].shape))
        if kind in SYMMETRIC:
            inputs[0].copy_(inputs[1])
        for x in inputs[2:]:
            value = torch.randn(x.shape, device="cuda")
            if kind == "drelu2":
                value = value.clamp(min=0) ** 2
            if kind == "qkv" or (kind.startswith("layer") and x.ndim == 2):
                value = rope_table(m, x.shape[1])
            x.copy_(inputs[0] if kind == "square" and x.ndim == 2 else value)

    def product(inputs, rows):
        a, b = (x.reshape(groups, -1, x.shape[1]) for x in inputs[:2])
        a = (a.mT if layout == "nt" else a).reshape(m, k)[rows].double()
        b = b.mT if layout == "tn" else b
        return torch.stack([a[i] @ b[row // (m // groups)].double() for i, row in enumerate(rows.tolist())])

    def expect(inputs):
        rows = rows_to_check(m)
        # A rounding to bf16: 2^-9/sqrt(3) at most, with the operands exact; f32 sums add less than 1e-5.
        bound = 2e-6 * math.sqrt(k / 64) if kind == "f32" else 2.5e-3
        x = [i.double() if i.ndim == 0 else i[rows].double() for i in inputs[2:]]
        return [(rows, output, bound) for output in epilogue.expect(product(inputs, rows), x)]

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

    return Case(name, "_".join(name.split("_")[:5]), 2.0 * m * n * k, fill, expect, mlir(name), yardstick if m * n * k > 1e9 else None)


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
ALL = ["_".join(["gemm", *map(str, case)]) for case in LARGE + SMALL]
