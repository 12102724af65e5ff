"""What a kernel case is, and what the families of cases (gemm_cases, attention_cases, fp8_cases, head_cases) share."""
import dataclasses
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


def operand_shapes(m, n, k, layout):
    """tn: a [M, K], b [N, K] (a linear layer); nn: a [M, K], b [K, N] (its input's gradient); nt: a [K, M], b [K, N] (its weight's gradient)."""
    return {"tn": ((m, k), (n, k)), "nn": ((m, k), (k, n)), "nt": ((k, m), (k, n))}[layout]


def rows_to_check(count, more=(), random=12):
    """Row numbers below `count`: those at the edges of tiles, `more`, and up to `random` others."""
    import torch
    rows = [0, 1, 63, 64, 127, 128, 129, count - 2, count - 1, *more] + torch.randint(0, count, (random,)).tolist()
    return torch.unique(torch.tensor(rows, device="cuda").clamp(0, count - 1))


def normalise(h):
    import torch
    return h * torch.rsqrt((h * h).mean(-1, keepdim=True) + EPS)


def rotate(h, table):
    """RoPE of heads h [rows, H, d] by table [rows, d]: cosines, then sines."""
    import torch
    cos, sin = (t[:, None, :] for t in table.chunk(2, -1))
    x1, x2 = h.chunk(2, -1)
    return torch.cat([x1 * cos + x2 * sin, -x1 * sin + x2 * cos], -1)
