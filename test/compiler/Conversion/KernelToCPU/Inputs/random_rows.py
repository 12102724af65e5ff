#!/usr/bin/env python3
"""Random kernel.rowwise functions: random_rows.py SEED COUNT prints a module of `kernel_0`, `kernel_1` … on random shapes.

Each draws a few row ops over rows, heads, gates and scalars, whose sizes are mostly no multiple of any vector."""
import random
import sys


class Kernel:
    def __init__(self, number):
        self.number, self.body, self.count = number, [], 0
        self.tokens = random.choice([1, 2, 5, 13, 33])
        self.heads = random.choice([1, 2, 3, 4])
        self.width = random.choice([2, 6, 10, 16, 20, 32, 64])
        self.rows = self.type(self.heads * self.width)
        self.cube = self.type(self.heads, self.width)
        self.row, self.gate, self.scalar = self.type(), self.type(self.heads), "tensor<f32>"
        self.indices, self.table = f"tensor<{self.tokens}xi32>", self.type(self.width)
        types = [self.rows] * 2 + [self.cube] * 2 + [self.row, self.gate] + [self.scalar] * 2
        self.values = {t: [f"%a{i}" for i, x in enumerate(types) if x == t] for t in types}
        self.types = types + [self.table, self.indices]
        self.totals = []

    def type(self, *sizes):
        return "tensor<" + "x".join(str(n) for n in (self.tokens, *sizes)) + "xf32>"

    def pick(self, t):
        values = self.values[t]
        return random.choice(values[-4:] if random.random() < 0.7 else values)

    def emit(self, text, t=None):
        """Adds `%v = text`; its result may be picked later if its type is given."""
        self.count += 1
        name = f"%v{self.count}"
        self.body.append(f"{name} = {text}")
        if t:
            self.values[t].append(name)
        return name

    def shift(self, kind, t):
        rank3 = t == self.cube
        width = self.width if rank3 else self.heads * self.width
        features = sorted(random.sample(range(width + 1), min(width + 1, random.choice([2, 2, 4]))))
        features = features[: len(features) // 2 * 2] if random.random() < 0.7 else []
        heads = sorted(random.sample(range(self.heads), random.randint(1, self.heads))) if rank3 and random.random() < 0.4 else []
        array = lambda xs: "array<i64" + (": " + ", ".join(map(str, xs)) if xs else "") + ">"
        attributes = f"{{features = {array(features)}, heads = {array(heads)}, distance = {random.choice([1, 1, 2, 3])} : i64}}"
        mode, documents = random.choice(["replace", "add"]), random.choice(["cross", "mask"])
        gate = random.choice([self.row, self.gate]) if rank3 else self.row
        operands, types, text = self.pick(t), [t], ""
        if kind == "dot":
            operands += ", " + self.pick(t)
            types.append(t)
        else:
            for word, other in (("scale", self.scalar), ("gate", gate)):
                if random.random() < 0.5:
                    text += f" {word} {self.pick(other)}"
                    types.append(other)
        if documents == "mask":
            text += f" document_start %a{len(self.types) - 1}"
            types.append(self.indices)
        name = {"shift": "token_shift", "adjoint": "token_shift_adjoint", "dot": "token_shift_dot"}[kind]
        result = gate if kind == "dot" else t
        value = self.emit(f"lm.{name} {mode} {documents} {operands}{text} {attributes} : ({', '.join(types)}) -> {result}",
                          None if kind == "dot" else t)
        if kind == "dot":
            self.emit(f"lm.unary tanh {value} : {gate}", gate)

    def cut(self, whole, piece, width):
        """Splits the last axis at a random place and joins the pieces the other way round."""
        if width < 4:
            return
        at = random.randint(1, width - 1)
        a, b = piece(at), piece(width - at)
        self.count += 1
        name = f"%s{self.count}"
        self.body.append(f"{name}:2 = lm.split {self.pick(whole)} : ({whole}) -> ({a}, {b})")
        last = name + "#1"
        if random.random() < 0.5:
            last = self.emit(f"lm.rms_norm {last} {{eps = 1.0e-2}} : {b}")
        self.emit(f"lm.concat {last}, {name}#0 : ({b}, {a}) -> {whole}", whole)

    def step(self):
        t = random.choice([self.rows, self.cube])
        x, y, s = self.pick(t), self.pick(t), self.pick(self.scalar)
        eps = "{eps = 1.0e-2}"
        normed = lambda v: self.emit(f"lm.rms_norm {v} {eps} : {t}")
        gate = random.choice([self.row, self.gate]) if t == self.cube else self.row
        random.choice([
            lambda: self.emit(f"lm.add {x}, {y} : {t}", t),
            lambda: self.emit(f"lm.mix {x}, {y} by {s}, {s} : ({t}, {t}, {self.scalar}, {self.scalar}) -> {t}", t),
            lambda: self.emit(f"lm.scale {x}, {s} : {t}, {self.scalar}", t),
            lambda: self.emit(f"lm.rms_norm {x} {eps} : {t}", t),
            lambda: self.emit(f"lm.rms_norm_backward {x}, {y} {eps} : {t}", t),
            lambda: self.emit(f"lm.row_scale {x}, {self.pick(gate)} : {t}, {gate}", t),
            lambda: self.emit(f"lm.unary tanh {self.emit(f'lm.row_dot {normed(x)}, {normed(y)} : {t} -> {gate}')} : {gate}", gate),
            lambda: self.emit(f"lm.unary {random.choice(['sigmoid', 'tanh', 'relu', 'negate'])} {x} : {t}", t),
            lambda: self.emit(f"lm.unary_backward {random.choice(['sigmoid', 'tanh', 'silu'])} {x}, {y} : {t}", t),
            lambda: self.emit(f"lm.reshape {self.pick(self.rows)} : {self.rows} -> {self.cube}", self.cube),
            lambda: self.emit(f"lm.reshape {self.pick(self.cube)} : {self.cube} -> {self.rows}", self.rows),
            lambda: self.emit(f"lm.rope {self.pick(self.cube)}, %a{len(self.types) - 2} {random.choice(['', '{inverse}'])} : {self.cube}, {self.table}", self.cube),
            lambda: self.emit(f"lm.rope {self.pick(self.cube)}, %a{len(self.types) - 2} document_start %a{len(self.types) - 1} : "
                              f"{self.cube}, {self.table}, {self.indices}", self.cube),
            lambda: self.shift("shift", t), lambda: self.shift("adjoint", t), lambda: self.shift("dot", t),
            lambda: self.emit(f"lm.broadcast {self.pick(self.gate)} : {self.gate} -> {self.cube}", self.cube),
            lambda: self.emit(f"lm.broadcast {self.pick(self.row)} : {self.row} -> {self.rows}", self.rows),
            lambda: self.emit(f"lm.softcap {random.choice(['tanh', 'sigmoid', 'rsqrt'])} {x} {{amplitude = 3.0, temperature = 2.0}} : {t}", t),
            lambda: self.cut(self.rows, self.type, self.heads * self.width),
            lambda: self.cut(self.cube, lambda n: self.type(self.heads, n), self.width),
            lambda: self.totals.append(self.emit(f"lm.dot {(n := normed(x))}, {n} : {t} -> {self.scalar}")),
        ])()

    def print(self):
        outs = [(self.values[t][-1], t) for t in (self.rows, self.cube)]
        outs += [(self.pick(t), t) for t in (self.row, self.gate, self.rows, self.cube) if random.random() < 0.4]
        outs += [(v, self.scalar) for v in self.totals]
        types, results = ", ".join(self.types), ", ".join(t for _, t in outs)
        arguments = ", ".join(f"%a{i}: {t}" for i, t in enumerate(self.types))
        names = ", ".join(f"%x{i}" for i in range(len(self.types)))
        print(f"func.func private @kernel_{self.number}({arguments.replace('%a', '%x')}) -> ({results}) {{")
        print(f"  %r:{len(outs)} = kernel.rowwise({names}) : ({types}) -> ({results}) {{\n  ^bb0({arguments}):")
        for line in self.body:
            print("    " + line)
        print(f"    kernel.yield {', '.join(v for v, _ in outs)} : {results}\n  }}")
        print(f"  return {', '.join(f'%r#{i}' for i in range(len(outs)))} : {results}\n}}")


random.seed(int(sys.argv[1]))
for number in range(int(sys.argv[2])):
    kernel = Kernel(number)
    for _ in range(random.randint(3, 12)):
        kernel.step()
    kernel.print()
