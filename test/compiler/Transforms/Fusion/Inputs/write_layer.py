"""Writes an lm module: one transformer layer with QK-norm, RoPE, a gate, relu², softcap and cross-entropy, as the importer would.

Options, each a word: `shift` (token_shift replace on the keys), `smear` (gated token_shift behind the embedding), `untied` …
Used by the fusion tests: `%python write_layer.py shift smear | smelt-opt …`.
"""
import sys

options = set(sys.argv[1:])
T, D, H, d, F, V = 16, 8, 2, 4, 32, 12
x, heads, qkv, hidden, logits = (f"tensor<{T}x{n}xf32>" for n in (D, f"{H}x{d}", 3 * D, F, V))
i, f = f"tensor<{T}xi32>", "tensor<f32>"
parameters = {"embedding": (V, D), "qkv": (3 * D, D), "out": (D, D), "up": (F, D), "down": (D, F), "head": (V, D), "gate": (H, 4),
              "smear.gate": (1, 4)}
lines, count = [], 0


def emit(text, step=None, results=1):
    global count
    names = [f"%{count + n}" for n in range(results)]
    count += results
    where = f' loc("{step}"("model.json":{count}:3))' if step else ""
    lines.append(f"    {', '.join(names)} = {text}{where}")
    return names[0] if results == 1 else names


def read(name):
    shape = "x".join(map(str, parameters[name]))
    return emit(f'lm.read @"{name}" : tensor<{shape}xf32>')


def scalar(name):
    return emit(f'lm.read @"{name}" : {f}')


def shape(name):
    return "tensor<" + "x".join(map(str, parameters[name])) + "xf32>"


def linear(value, kind, name, result, step):
    return emit(f"lm.matmul {value}, {read(name)} {{transpose_b}} : {kind}, {shape(name)} -> {result}", step)


def norm(value, kind, step):
    return emit(f"lm.rms_norm {value} {{eps = 1.0e-6}} : {kind}", step)


stream = emit(f"lm.embedding {read('embedding')}, %tokens : {shape('embedding')}, {i} -> {x}", "forward[0].embed")
if "smear" in options:
    gate = emit(f"lm.gate {stream}, {read('smear.gate')} : {x}, {shape('smear.gate')} -> tensor<{T}x1xf32>", "forward[1].gate")
    stream = emit(f"lm.token_shift add cross {stream} scale {scalar('smear')} gate {gate} "
                  f"{{features = array<i64>, heads = array<i64>}} : ({x}, {f}, tensor<{T}x1xf32>) -> {x}", "forward[1].token_shift")
stream = first = norm(stream, x, "forward[2].rms_norm")
stream = emit(f"lm.mix {stream}, {first} by {scalar('resid')}, {scalar('x0')} : ({x}, {x}, {f}, {f}) -> {x}", "layers[0].mix")
normed = norm(stream, x, "layers[0].attention.input[0].rms_norm")
product = linear(normed, x, "qkv", qkv, "layers[0].attention")
q, k, v = emit(f"lm.split {product} : ({qkv}) -> ({x}, {x}, {x})", "layers[0].attention", 3)
q, k, v = (emit(f"lm.reshape {value} : {x} -> {heads}", "layers[0].attention") for value in (q, k, v))
table = emit(f'lm.read @rope_table : tensor<{T}x{d}xf32>')
q = emit(f"lm.rope {norm(q, heads, 'layers[0].attention.q[0].rms_norm')}, {table} : {heads}, tensor<{T}x{d}xf32>", "layers[0].attention.q[1].rope")
k = emit(f"lm.rope {norm(k, heads, 'layers[0].attention.k[0].rms_norm')}, {table} : {heads}, tensor<{T}x{d}xf32>", "layers[0].attention.k[1].rope")
if "shift" in options:
    k = emit(f"lm.token_shift replace cross {k} {{features = array<i64: 1, 2, 3, 4>, heads = array<i64>}} : ({heads}) -> {heads}",
             "layers[0].attention.k[2].token_shift")
window = emit("lm.setting @window : tensor<i32>")
begin = emit(f"lm.attention_range %document_start, {window} : {i}, tensor<i32> -> {i}", "layers[0].attention.window")
scale = emit(f"lm.constant dense<0.12> : {f}")
attended, lse = emit(f"lm.attention {q}, {k}, {v} first {begin} scale {scale} : {heads}, {i}, {f} -> {heads}, tensor<{T}x{H}xf32>",
                     "layers[0].attention", 2)
gate = emit(f"lm.gate {normed}, {read('gate')} : {x}, {shape('gate')} -> tensor<{T}x{H}xf32>", "layers[0].attention.output[0].gate")
attended = emit(f"lm.row_scale {attended}, {gate} : {heads}, tensor<{T}x{H}xf32>", "layers[0].attention.output[0].gate")
attended = emit(f"lm.reshape {attended} : {heads} -> {x}", "layers[0].attention")
out = linear(attended, x, "out", x, "layers[0].attention")
stream = emit(f"lm.add {stream}, {out} : {x}", "layers[0].attention")
normed = norm(stream, x, "layers[0].mlp.input[0].rms_norm")
up = linear(normed, x, "up", hidden, "layers[0].mlp")
active = emit(f"lm.unary relu_squared {up} : {hidden}", "layers[0].mlp")
down = linear(active, hidden, "down", x, "layers[0].mlp")
stream = emit(f"lm.add {stream}, {down} : {x}", "layers[0].mlp")
normed = norm(stream, x, "forward[4].rms_norm")
z = linear(normed, x, "head", logits, "forward[5].head")
z = emit(f"lm.softcap tanh {z} {{amplitude = 15.0, temperature = 15.0}} : {logits}", "forward[5].head.softcap")
loss, lse = emit(f"lm.cross_entropy {z}, %targets : {logits}, {i} -> tensor<{T}xf32>, tensor<{T}xf32>", "forward[5].head.loss", 2)
total = emit(f"lm.sum {loss} : tensor<{T}xf32> -> {f}", "forward[5].head.loss")
valid = emit(f"lm.count_targets %targets : {i} -> {f}", "forward[5].head.loss")
inverse = emit(f"lm.unary reciprocal {valid} : {f}", "forward[5].head.loss")
mean = emit(f"lm.multiply {total}, {inverse} : {f}", "forward[5].head.loss")

print("module {")
for name, (rows, columns) in parameters.items():
    if name != "smear.gate" or "smear" in options:
        print(f'  lm.parameter @"{name}" : tensor<{rows}x{columns}xf32> uniform 0.5')
for name in ("resid", "x0") + (("smear",) if "smear" in options else ()):
    print(f'  lm.parameter @"{name}" : {f} constant 0.9')
print(f"  train.state @rope_table : tensor<{T}x{d}xf32> {{derived}}")
print("  train.schedule @window : tensor<i32> = [0.0, 99.0, 6.0, 0.0]")
print(f'  func.func @"train.T{T}"(%tokens: {i}, %targets: {i}, %document_start: {i}) -> ({f}, {f}) '
      f'attributes {{smelt.role = "train", smelt.tokens = {T} : i64}} {{')
print("\n".join(lines))
print(f"    return {mean}, {total} : {f}, {f}\n  }}\n}}")
