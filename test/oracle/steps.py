"""What both records are made of, in plain PyTorch: norm, rotary embedding, token shift, masks, attention, FP8 matmul.

Everything runs in the dtype of its inputs: float64 for goldens, bfloat16 to imitate the records' activations. Written from
RECORDS.md and checked against the records' own programs (README.md says how and what came out).
"""
import math

import torch
import torch.nn.functional as F

# PyTorch's rms_norm without an eps takes the one of the type it computes in, which is float32 for bfloat16 inputs (pytorch #142848).
EPS = 2.0**-23


def rms_norm(x):
    return F.rms_norm(x, (x.size(-1),), eps=EPS)


def shifted(x, distance=1):
    """Row t is x[t - distance]; the first rows are x's own (callers leave them alone)."""
    return torch.cat([x[:distance], x[:-distance]])


def token_shift(x, mode, features=None, heads=None, scale=1.0, gate=None, document_start=None, distance=1):
    """x + c·e (mode add) or x + c·(e − x) (mode replace), e the row `distance` before and c = scale·gate, on some features and heads.

    `gate` is one value a token, [T, 1]. With `document_start` the first tokens of each document keep their own row.
    """
    T = x.size(0)
    e = shifted(x, distance)
    c = scale * (gate if gate is not None else torch.ones(T, 1, dtype=x.dtype))
    c = c.reshape(T, *[1] * (x.dim() - 1)).to(x.dtype)
    moved = c * e if mode == "add" else c * (e - x)
    where = torch.zeros(x.shape[1:], dtype=torch.bool)
    for begin, end in features or [(0, x.size(-1))]:
        where[..., begin:end] = True
    if heads is not None:
        chosen = torch.zeros(x.size(1), 1, dtype=torch.bool)
        chosen[list(heads)] = True
        where = where & chosen
    t = torch.arange(T)
    has_row = t >= distance
    if document_start is not None:
        has_row &= t - distance >= document_start
    mask = has_row.reshape(T, *[1] * (x.dim() - 1)) & where
    return x + torch.where(mask, moved, torch.zeros_like(moved))


def rope_frequencies(head, base=1024.0):
    """Half-truncated: head/4 rotating pairs, then head/4 that stand still. float64 values that are float32 numbers."""
    rotating = (1 / base) ** torch.linspace(0, 1, steps=head // 4, dtype=torch.float64)
    return torch.cat([rotating, rotating.new_zeros(head // 4)]).float().double()


def yarn(frequencies, attention_scale, old, new, block=128, alpha=1.0, beta=32.0):
    """What a change of the long window from `old` to `new` blocks does to the frequencies and to the scale of the scores."""
    rotations = block * old * frequencies / (2 * math.pi)
    ratio = old / new
    weight = ((rotations - alpha) / (beta - alpha)).clamp(0, 1)
    return frequencies * (ratio + weight * (1 - ratio)), attention_scale * (0.2 * math.log(new / old) + 1)


def rope_tables(frequencies, tokens, dtype, compute=None):
    """cos and sin of position × frequency, rounded to `compute`; positions run over the packed sequence."""
    angle = torch.outer(torch.arange(tokens, dtype=torch.float64), frequencies.double())
    return tuple(table.to(compute or dtype).to(dtype) for table in (angle.cos(), angle.sin()))


def rope(x, tables):
    cos, sin = (table[:, None, :] for table in tables)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos + second * sin, first * -sin + second * cos), dim=-1)


def token_mask(document_start, window):
    """Causal, same document, itself and `window` tokens before."""
    t = torch.arange(document_start.numel())
    return (t[None, :] <= t[:, None]) & (t[None, :] >= document_start[:, None]) & (t[:, None] - t[None, :] <= window)


def block_mask(document_start, blocks, block=128):
    """The medium record's rule, counted as its program counts: of the key blocks that a query block sees, nearest first, at most
    blocks − 1 that are wholly visible, and of the partly visible ones (its own among them) max(blocks − wholly visible, 1)."""
    T = document_start.numel()
    visible = token_mask(document_start, T)
    number = T // block
    tiles = visible.reshape(number, block, number, block)
    some, whole = tiles.any(3).any(1), tiles.all(3).all(1)
    chosen = torch.zeros(number, number, dtype=torch.bool)
    for q in range(number):
        wholly = [j for j in range(q, -1, -1) if whole[q, j]]
        partly = [j for j in range(q, -1, -1) if some[q, j] and not whole[q, j]]
        for j in wholly[: max(blocks - 1, 0)] + partly[: max(blocks - len(wholly), 1)]:
            chosen[q, j] = True
    return visible & chosen.repeat_interleave(block, 0).repeat_interleave(block, 1)


def attention(q, k, v, mask, scale):
    """q, k, v: [T, H, d]. Scores and softmax in float32 or better, as the records' kernels do."""
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = torch.einsum("qhd,khd->hqk", q.to(wide), k.to(wide)) * scale
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights.to(q.dtype).to(wide), v.to(wide)).to(q.dtype)


def in_use(weight, compute, act):
    """A weight as matrix products see it: rounded to `compute` (None: not), the gradient passing unrounded."""
    if compute is not None:
        weight = weight + (weight.to(compute).to(weight.dtype) - weight).detach()
    return weight.to(act)


# A relative distance, or None: with it, `close_to_tie` counts the values that an error of that size would round to another FP8 number.
watched_distance = None
close_to_tie = 0


def quantize(values, dtype, size):
    """`size` is what an error of fp32 arithmetic in these values is relative to."""
    global close_to_tie
    if watched_distance is not None:
        error = watched_distance * size
        close_to_tie += int(((values + error).to(dtype).float() != (values - error).to(dtype).float()).sum())
    return values.to(dtype)


class QuantizedMatmul(torch.autograd.Function):
    """x·wᵀ on FP8 operands: x and w as e4m3, the incoming gradient as e5m2, each divided by its scale first; products summed in
    the wide type. Rounding is to nearest even; e4m3 saturates."""

    @staticmethod
    def forward(ctx, x, w, x_scale, w_scale, gradient_scale):
        wide = torch.promote_types(x.dtype, torch.float32)
        x8 = x.to(wide) / x_scale
        x8 = quantize(x8, torch.float8_e4m3fn, x8.square().mean(-1, keepdim=True).sqrt())  # a row is normed: its small values have its error
        w8 = (w.to(wide) / w_scale).to(torch.float8_e4m3fn)
        ctx.save_for_backward(x8, w8)
        ctx.scales, ctx.dtypes, ctx.wide = (x_scale, w_scale, gradient_scale), (x.dtype, w.dtype), wide
        return ((x8.to(wide) @ w8.to(wide).T) * (x_scale * w_scale)).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        x8, w8 = (t.to(ctx.wide) for t in ctx.saved_tensors)
        x_scale, w_scale, gradient_scale = ctx.scales
        g8 = g.to(ctx.wide) / gradient_scale
        g8 = quantize(g8, torch.float8_e5m2, g8.abs()).to(ctx.wide)  # softmax's error is relative to each value
        dx = (g8 @ w8) * (gradient_scale * w_scale)
        dw = (g8.T @ x8) * (gradient_scale * x_scale)
        return dx.to(ctx.dtypes[0]), dw.to(ctx.dtypes[1]), None, None, None
