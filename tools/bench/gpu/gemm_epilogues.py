"""What the products of gemm_cases do with their results: the region's MLIR beside its meaning in float64.

An epilogue is a function of the product's Shape: the region's inputs %i0 … and outputs, its body from %c, the product in f32, to the yield, and
`expect`: from z, rows of the product, and x, the inputs (numbers, or the same rows), to those rows of the outputs.
"""
import dataclasses
from typing import Callable

from case import EPS, normalise, rotate, tensor

NUMBER = "tensor<f32>"


@dataclasses.dataclass
class Shape:
    """A product [m, n] with k terms each, of all groups below each other."""
    m: int
    n: int
    k: int
    wide: str = ""  # The product's type in f32 and in bf16.
    narrow: str = ""

    def __post_init__(self):
        self.wide, self.narrow = (tensor((self.m, self.n), dtype) for dtype in ("f32", "bf16"))


@dataclasses.dataclass
class Epilogue:
    inputs: list
    outputs: list
    body: str
    expect: Callable


def narrowed(shape, value):
    return f"%y = lm.cast {value} : {shape.wide} -> {shape.narrow} kernel.yield %y : {shape.narrow}"


def mix(shape, values, factors):
    types = ", ".join([shape.wide] * len(values) + [NUMBER] * len(factors))
    return f"lm.mix {', '.join(values)} by {', '.join(factors)} : ({types}) -> {shape.wide} "


def plain(s):
    """bf16."""
    return Epilogue([], [s.narrow], narrowed(s, "%c"), lambda z, x: [z])


def f32(s):
    return Epilogue([], [s.wide], f"kernel.yield %c : {s.wide}", lambda z, x: [z])


def relu2(s):
    return Epilogue([], [s.narrow], f"%1 = lm.unary relu_squared %c : {s.wide} " + narrowed(s, "%1"), lambda z, x: [z.clamp(min=0) ** 2])


def drelu2(s):
    """The gradient of relu², from its output."""
    body = f"%h = lm.cast %i0 : {s.narrow} -> {s.wide} %1 = lm.unary_backward relu_squared %h, %c {{from_output}} : {s.wide} "
    return Epilogue([s.narrow], [s.narrow], body + narrowed(s, "%1"), lambda z, x: [2 * x[0].sqrt() * z])


def mixed(s):
    """Two bf16 matrices times a number each, plus the product."""
    body = (f"%x = lm.cast %i0 : {s.narrow} -> {s.wide} %x0 = lm.cast %i1 : {s.narrow} -> {s.wide} %one = lm.constant dense<1.0> : {NUMBER} "
            "%1 = " + mix(s, ["%x", "%x0", "%c"], ["%i2", "%i3", "%one"]) + narrowed(s, "%1"))
    return Epilogue([s.narrow, s.narrow, NUMBER, NUMBER], [s.narrow], body, lambda z, x: [x[2] * x[0] + x[3] * x[1] + z])


def accumulate(s):
    """An f32 gradient times a number plus the product in bf16."""
    body = (f"%n = lm.cast %c : {s.wide} -> {s.narrow} %w = lm.cast %n : {s.narrow} -> {s.wide} %one = lm.constant dense<1.0> : {NUMBER} "
            "%1 = " + mix(s, ["%i0", "%w"], ["%i1", "%one"]) + f"kernel.yield %1 : {s.wide}")
    return Epilogue([s.wide, NUMBER], [s.wide], body, lambda z, x: [x[1] * x[0] + z])


def step(s):
    """A bf16 matrix times a number plus the product: Newton-Schulz."""
    body = (f"%x = lm.cast %i0 : {s.narrow} -> {s.wide} %one = lm.constant dense<1.0> : {NUMBER} "
            "%1 = " + mix(s, ["%x", "%c"], ["%i1", "%one"]) + narrowed(s, "%1"))
    return Epilogue([s.narrow, NUMBER], [s.narrow], body, lambda z, x: [x[1] * x[0] + z])


def residual(s):
    """The product, and x plus it times a number."""
    body = (f"%raw = lm.cast %c : {s.wide} -> {s.narrow} %x = lm.cast %i1 : {s.narrow} -> {s.wide} %w = lm.scale %c, %i0 : {s.wide}, {NUMBER} "
            f"%1 = lm.add %x, %w : {s.wide} %y = lm.cast %1 : {s.wide} -> {s.narrow} kernel.yield %raw, %y : {s.narrow}, {s.narrow}")
    return Epilogue([NUMBER, s.narrow], [s.narrow, s.narrow], body, lambda z, x: [z, x[1] + x[0] * z])


def carry(s, between=False):
    """x + product, and its mix with x0; `between`: with a third matrix mixed in first."""
    body = f"%x = lm.cast %i2 : {s.narrow} -> {s.wide} %x0 = lm.cast %i3 : {s.narrow} -> {s.wide} %1 = lm.add %x, %c : {s.wide} "
    last = "%1"
    if between:
        body += f"%z = lm.cast %i4 : {s.narrow} -> {s.wide} %2 = " + mix(s, ["%1", "%z"], ["%i0", "%i1"])
        last = "%2"
    body += (f"%y1 = lm.cast {last} : {s.wide} -> {s.narrow} %3 = " + mix(s, [last, "%x0"], ["%i0", "%i1"]) +
             f"%y2 = lm.cast %3 : {s.wide} -> {s.narrow} kernel.yield %y1, %y2 : {s.narrow}, {s.narrow}")

    def expect(z, x):
        y = x[2] + z
        if between:
            y = x[0] * y + x[1] * x[4]
        return [y, x[0] * y + x[1] * x[3]]
    return Epilogue([NUMBER, NUMBER, s.narrow, s.narrow] + [s.narrow] * between, [s.narrow, s.narrow], body, expect)


#===- A layer's queries, keys and values: thirds of the product, in heads of d -===#

class Thirds:
    def __init__(self, s, d):
        self.third = s.n // 3
        self.part, self.flat = tensor((s.m, self.third), "f32"), tensor((s.m, self.third), "bf16")
        self.heads, self.narrow = (tensor((s.m, self.third // d, d), dtype) for dtype in ("f32", "bf16"))
        self.d = d

    def split(self, s, value):
        return f"%s:3 = lm.split {value} : ({s.wide}) -> ({self.part}, {self.part}, {self.part}) "

    def reshape(self, to, i):
        return f"%{to} = lm.reshape %s#{i} : {self.part} -> {self.heads} "

    def norm(self, to, value):
        return f"%{to} = lm.rms_norm %{value} {{eps = {EPS:.9e} : f64}} : {self.heads} "

    def heads_of(self, z):
        """Queries, keys and values of rows z: [rows, heads, d] each."""
        return (x.reshape(len(z), -1, self.d) for x in z.split(self.third, 1))


def parts(s):
    """The product, and its thirds: scaled, with a norm per head, with a bf16 matrix added: outputs that overlap, as a layer's QKV in training has."""
    t = Thirds(s, 128)
    outputs = [s.narrow, t.flat, t.narrow, t.flat]
    body = (t.split(s, "%c") + f"%t = lm.scale %s#0, %i1 : {t.part}, {NUMBER} " + t.reshape("h", 1) + t.norm("n", "h") +
            f"%x = lm.cast %i0 : {t.flat} -> {t.part} %v = lm.add %s#2, %x : {t.part} %o0 = lm.cast %t : {t.part} -> {t.flat} "
            f"%o1 = lm.cast %n : {t.heads} -> {t.narrow} %o2 = lm.cast %v : {t.part} -> {t.flat} "
            f"%o = lm.cast %c : {s.wide} -> {s.narrow} kernel.yield %o, %o0, %o1, %o2 : {', '.join(outputs)}")

    def expect(z, x):
        queries, keys, values = t.heads_of(z)
        return [z, x[1] * queries.flatten(1), normalise(keys), values.flatten(1) + x[0]]
    return Epilogue([t.flat, NUMBER], outputs, body, expect)


def layer(s, d=128):
    """All that a layer's QKV stores in training, with a bf16 RoPE table."""
    t, wide, table = Thirds(s, d), tensor((s.m, d), "f32"), tensor((s.m, d), "bf16")
    outputs = [s.narrow] + [t.narrow] * 5
    body = (f"%raw = lm.cast %c : {s.wide} -> {s.narrow} %t = lm.cast %i1 : {table} -> {wide} %e = lm.cast %i2 : {t.narrow} -> {t.heads} "
            f"%w = lm.scale %c, %i0 : {s.wide}, {NUMBER} " + t.split(s, "%w"))
    for i in range(2):
        body += (f"%p{i} = lm.cast %s#{i} : {t.part} -> {t.flat} %k{i} = lm.reshape %p{i} : {t.flat} -> {t.narrow} " + t.reshape(f"h{i}", i) +
                 t.norm(f"n{i}", f"h{i}") + f"%r{i} = lm.rope %n{i}, %t : {t.heads}, {wide} %o{i} = lm.cast %r{i} : {t.heads} -> {t.narrow} ")
    body += (t.reshape("h2", 2) + f"%v = lm.add %h2, %e : {t.heads} %o2 = lm.cast %v : {t.heads} -> {t.narrow} "
             f"kernel.yield %raw, %k0, %o0, %k1, %o1, %o2 : {', '.join(outputs)}")

    def expect(z, x):
        queries, keys, values = t.heads_of(x[0] * z)
        return [z, queries, rotate(normalise(queries), x[1]), keys, rotate(normalise(keys), x[1]), values + x[2]]
    return Epilogue([NUMBER, table, t.narrow], outputs, body, expect)


def qkv(s):
    """The thirds in heads: queries and keys with norm and RoPE, values."""
    t, table = Thirds(s, 128), tensor((s.m, 128), "f32")
    outputs = [t.narrow] * 3
    body = t.split(s, "%c")
    for i in range(3):
        last = f"h{i}"
        body += t.reshape(last, i)
        if i < 2:
            body += t.norm(f"n{i}", last) + f"%r{i} = lm.rope %n{i}, %i0 : {t.heads}, {table} "
            last = f"r{i}"
        body += f"%o{i} = lm.cast %{last} : {t.heads} -> {t.narrow} "
    body += f"kernel.yield %o0, %o1, %o2 : {', '.join(outputs)}"

    def expect(z, x):
        queries, keys, values = t.heads_of(z)
        return [rotate(normalise(queries), x[0]), rotate(normalise(keys), x[0]), values]
    return Epilogue([table], outputs, body, expect)


EPILOGUES = {"plain": plain, "f32": f32, "relu2": relu2, "drelu2": drelu2, "mix": mixed, "accumulate": accumulate, "step": step, "residual": residual,
             "carry": carry, "carry3": lambda s: carry(s, between=True), "parts": parts, "layer": layer, "layer64": lambda s: layer(s, 64), "qkv": qkv,
             "gram": plain, "square": step}  # The last two: both operands are the same matrix, in square a symmetric one; marked symmetric.
SYMMETRIC = ("gram", "square")
