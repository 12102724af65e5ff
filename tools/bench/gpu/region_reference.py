"""What a kernel computes, from its own text: the row ops of its regions evaluated in float64 with torch, op by op, nothing rounded.

  expect(text, inputs)    the outputs of a func.func with one kernel.rowwise or kernel.gemm, from its inputs as float64 (tables' rows as integers)
"""
import re

import torch

DEVICE = "cuda"
F = torch.float64


def numbers(text): return [int(x) for x in re.findall(r"\d+", text)]
def shape_of(kind): return [int(x) for x in re.findall(r"(\d+)x", kind)]


def features(attrs, width):
    mask = torch.zeros(width, dtype=torch.bool, device=DEVICE)
    spans = numbers(re.search(r"features = array<i64(.*?)>", attrs).group(1))
    for a, b in zip(spans[::2], spans[1::2]): mask[a:b] = True
    return mask if spans else ~mask


def norm_factor(x, eps): return (x.square().mean(-1, keepdim=True) + eps).rsqrt()


def evaluate(line, env):
    """%a[:n] = lm.op operands {attributes} : types"""
    left, right = line.split(" = ", 1)
    name, rest = re.match(r"lm\.(\w+)\s*(.*)", right).groups()
    body, types = rest.rsplit(" : ", 1) if " : " in rest else (rest, "")
    if name in ("split", "mix", "concat", "token_shift_adjoint", "token_shift_dot"): body, types = re.match(r"(.*?) : (\(.*)$", rest).groups()
    v = [env[x] for x in re.findall(r"%[\w#]+", body)]
    result = types.split("->")[-1].strip() if "->" in types else types.split(", tensor")[0]
    shape = shape_of(result.split("tensor<")[-1])
    eps = float(re.search(r"eps = ([\d.eE+-]+)", body).group(1)) if "eps" in body else 0
    unary = {"sigmoid": torch.sigmoid, "sqrt": torch.sqrt, "reciprocal": lambda x: 1 / x, "relu_squared": lambda x: x.clamp(min=0).square(), "negate": lambda x: -x}
    if name == "cast": out = v[0]
    elif name == "reshape": out = v[0].reshape(shape)
    elif name == "constant": out = torch.full(shape, float(re.search(r"dense<(.*?)>", body).group(1)), dtype=F, device=DEVICE)
    elif name == "broadcast": out = v[0].expand(shape)
    elif name == "add": out = v[0] + v[1]
    elif name == "multiply": out = v[0] * v[1]
    elif name == "scale": out = v[0] * v[1]
    elif name == "mix":
        n = len(v) // 2; out = sum(a * c for a, c in zip(v[:n], v[n:]))
    elif name == "split":
        parts = [shape_of(t)[-1] for t in re.findall(r"tensor<(.*?)>", types.split("->")[1])]
        for i, part in enumerate(torch.split(v[0], parts, -1)): env[left.split(":")[0] + f"#{i}"] = part
        return
    elif name == "concat": out = torch.cat(v, -1)
    elif name == "row_dot":
        out = (v[0] * v[1])
        out = out.sum(-1) if out.dim() == len(shape) + 1 else out.flatten(1).sum(1)
        out = out.reshape(shape)
    elif name == "row_scale":
        out = v[0] * v[1].reshape(list(v[1].shape) + [1] * (v[0].dim() - v[1].dim()))
    elif name == "unary": out = unary[body.split()[0]](v[0])
    elif name == "unary_backward": out = v[1] * (v[0] * (1 - v[0]) if "sigmoid" in body else 2 * v[0].sqrt())
    elif name == "at_least": out = v[0].clamp(min=float(re.search(r"bound = ([\d.eE+-]+)", body).group(1)))
    elif name == "dot": out = (v[0] * v[1]).sum()
    elif name == "quantize": out = v[0] / float(re.search(r"scale = ([\d.eE+-]+)", body).group(1))
    elif name == "embedding": out = v[0][v[1].long()]
    elif name == "token_shift_dot": out = (v[0][:-1] * v[1][1:]).sum(-1, keepdim=True); out = torch.cat([torch.zeros_like(v[0][:1, :1]), out])
    elif name == "gate_backward":
        da = v[3] * v[2] * (1 - v[2]); width = v[1].shape[1]; dx = torch.zeros_like(v[0]); dx[:, :width] = da @ v[1]
        left, second = left.split(", "); env[second.strip()] = da.T @ v[0][:, :width]; out = dx
    elif name == "rms_norm": out = v[0] * norm_factor(v[0], eps)
    elif name == "rms_norm_backward":
        r = norm_factor(v[0], eps); y = v[0] * r; out = r * (v[1] - y * (v[1] * y).mean(-1, keepdim=True))
    elif name == "rope":
        h = v[0].shape[-1] // 2; cos, sin = v[1][:, None, :h], v[1][:, None, h:]
        if "inverse" in body: sin = -sin
        a, b = v[0][..., :h], v[0][..., h:]; out = torch.cat([a * cos + b * sin, b * cos - a * sin], -1)
    elif name == "gate": out = torch.sigmoid(v[0][:, :v[1].shape[1]] @ v[1].T)
    elif name == "token_shift_adjoint":
        mask = features(body, v[0].shape[-1]); out = v[0].clone(); moved = torch.zeros_like(out)
        moved[:-1] = v[0][1:]; moved[0] += v[0][0]; out[..., mask] = moved[..., mask]
    else: raise SystemExit(f"region_reference: lm.{name} is not written")
    env[left.strip()] = out


def region(text, arguments):
    env = {}
    lines = [l.strip() for l in text.strip().split("\n")]
    for name, value in zip(re.findall(r"(%\w+):", lines[0]), arguments): env[name] = value
    for line in lines[1:]:
        if line.startswith("kernel.yield"): return [env[x] for x in re.findall(r"%[\w#]+", line.split(" : ")[0])]
        evaluate(line, env)


def expect(text, inputs):
    head = re.search(r"kernel\.(\w+)(.*?) : \(", text).group(0)
    position = {name: i for i, name in enumerate(re.findall(r"(%arg\d+):", text.split("\n")[0]))}
    take = lambda group: [inputs[position[x]] for x in re.findall(r"%\w+", group)]
    bodies = re.findall(r"(\^bb0\(.*?kernel\.yield [^\n]*)", text, re.S)
    if "kernel.rowwise" in head: return region(bodies[0], take(re.search(r"rowwise\((.*?)\)", head).group(1)))
    groups = re.search(r"a\((.*?)\) b\((.*?)\) result\((.*?)\)", head).groups()
    a, b = region(bodies[0], take(groups[0]))[0], region(bodies[1], take(groups[1]))[0]
    product = (a.T if "transpose_a" in head else a) @ (b.T if "transpose_b" in head else b)
    return region(bodies[2], [product, *take(groups[2])])
