"""What the records' programs are measured on: their sizes, weights of the size that training gives them, packed documents."""
import functools
import zlib

import torch

WHOLE = {"short": (11, 6, 768), "medium": (16, 8, 1024)}
STAGES = {1: (16384, 3), 2: (32768, 7), 3: (49152, 11)}  # tokens, long window in blocks


def generator(*key):
    return torch.Generator("cuda").manual_seed(zlib.crc32(repr(key).encode()))


@torch.no_grad()
def set_weights(named):
    """Values of the size that training gives them."""
    for name, p in named.items():
        r = torch.randn(p.shape, generator=generator(name), device="cuda")
        size = {"head": 0.05}.get(name, 0.5 * p.shape[-1] ** -0.5 if p.dim() == 2 and name.startswith("layers.") else 1.0)
        if name.endswith(".gate"):
            size = 0.3
        if name.startswith("scalars."):
            kind = name.split(".")[1]
            r = {"resid": 1.0, "qkv": 0.7, "out": 0.8, "skip": -0.5, "backout": 0.4, "v_self": 0.6, "v_embed": 0.4, "final": 0.9}.get(kind, 0.2) + 0.1 * r
            size = 1.0
        p.copy_(size * r)


def make_batch(tokens, longest=2048, seed=0):
    """Documents of median length 400, cut at `longest`, the last cut to fit; each begins with token 50256."""
    g = torch.Generator().manual_seed(tokens + seed)
    sequence, starts = torch.randint(0, 50256, (tokens + 1,), generator=g), [0]
    while starts[-1] < tokens:
        sequence[starts[-1]] = 50256
        length = min(longest, max(2, int(400 * torch.randn((), generator=g).exp())))
        starts.append(min(tokens, starts[-1] + length))
    document_start = torch.zeros(tokens, dtype=torch.int64)
    for begin in starts[:-1]:
        document_start[begin:] = begin
    padded = torch.full((max(128, -(-tokens // 300 // 128) * 128 + 128, len(starts)),), tokens, dtype=torch.int32)
    padded[: len(starts)] = torch.tensor(starts)
    return sequence[:-1].cuda(), sequence[1:].clone().cuda(), document_start.cuda(), padded.cuda()


@functools.lru_cache
def on_device(number):
    return torch.tensor(number, dtype=torch.int32, device="cuda")
