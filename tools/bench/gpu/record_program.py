"""A record's own program, from the head of its public log, made to run on one GPU without its data and its machine.

`load(log, record)` gives its namespace: GPT, args and the functions before the training loop. Not changed: any line of the model. Replaced:
FlashAttention-3, which the program downloads, by the FlashAttention-2 inside PyTorch; the overlapping in-place copy of the key offset by a
copy of a copy, which is what torch.compile makes of it. The log itself is not ours: bring it, do not commit it.
"""
import importlib.util
import os
import pathlib
import sys
import tempfile
import types

import torch
import torch.distributed as dist

tune = True  # False: without torch.compile's search for better tiles, which the medium record turns on.


@torch.library.custom_op("record::attention", mutates_args=())
def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, starts: torch.Tensor, longest: int, scale: float,
              window: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ops.aten._flash_attention_forward(q, k, v, starts, starts, longest, longest, 0.0, True, False, scale=scale,
                                                   window_size_left=window, window_size_right=0)[:2]


@attention.register_fake
def _(q, k, v, starts, longest, scale, window):
    return torch.empty_like(q), q.new_empty((q.size(1), q.size(0)), dtype=torch.float32)


@torch.library.custom_op("record::attention_backward", mutates_args=())
def attention_backward(g: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor, sums: torch.Tensor,
                       starts: torch.Tensor, longest: int, scale: float, window: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    seed, offset = (torch.zeros(shape, dtype=torch.uint64, device=q.device) for shape in (2, ()))  # Of the dropout, which there is not.
    return torch.ops.aten._flash_attention_backward(g.contiguous(), q, k, v, out, sums, starts, starts, longest, longest, 0.0, True, seed, offset,
                                                    scale=scale, window_size_left=window, window_size_right=0)


@attention_backward.register_fake
def _(g, q, k, v, *_):
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def keep(ctx, inputs, output):
    q, k, v, starts, ctx.longest, ctx.scale, ctx.window = inputs
    ctx.save_for_backward(q, k, v, *output, starts)


def differentiate(ctx, g, *_):
    *saved, starts = ctx.saved_tensors
    return *attention_backward(g, *saved, starts, ctx.longest, ctx.scale, ctx.window), None, None, None, None


attention.register_autograd(differentiate, setup_context=keep)


def flash_attn_varlen_func(q, k, v, cu_seqlens_q, max_seqlen_q, softmax_scale, window_size, **_):
    return attention(q, k, v, cu_seqlens_q, max_seqlen_q, softmax_scale, window_size[0])[0]


def load(log, record):
    text = pathlib.Path(log).read_text().split("\n" + "=" * 100)[0]
    end = {"short": "\ndata_path = os.environ.get", "medium": "\nrun_id = int(os.environ.get"}[record]
    assert text.count(end) == 1, f"{log} is not the {record} record's log"
    text = text.split(end)[0]
    if record == "short":
        for place in ("self.head_dim//4:self.head_dim//2]", "self.head_dim//4+self.head_dim//2:]"):
            assert text.count(f"k[:, :-1, :, {place}") == 1
            text = text.replace(f"k[:, :-1, :, {place}", f"k[:, :-1, :, {place}.clone()")
    interface = types.SimpleNamespace(flash_attn_varlen_func=flash_attn_varlen_func)
    sys.modules["kernels"] = types.ModuleType("kernels")
    sys.modules["kernels"].get_kernel = lambda _: types.SimpleNamespace(flash_attn_interface=interface)
    if not dist.is_initialized():
        dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    path = os.path.join(tempfile.mkdtemp(), f"{record}_program.py")  # Triton reads its kernels' source from a file.
    pathlib.Path(path).write_text(text)
    spec = importlib.util.spec_from_file_location(f"{record}_program", path)
    program = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = program
    spec.loader.exec_module(program)
    if not tune:
        torch._inductor.config.coordinate_descent_tuning = False
    program.device, program.world_size, program.grad_accum_steps = torch.device("cuda", 0), 1, 8
    return program


def make_model(program, record, layers, heads, width, tokens):
    if record == "short":
        model = program.GPT(50257, layers, heads, 128, width, tokens)
        dtyped = (torch.nn.Embedding, torch.nn.Linear)
    else:
        model = program.GPT(50257, layers, heads, width, tokens)
        dtyped = torch.nn.Embedding
    model = model.cuda()
    for module in model.modules():
        if isinstance(module, dtyped):
            module.bfloat16()
    return model


def by_smelt_names(model, record, of=lambda parameter: parameter):
    """Parameters under Smelt's names: views, so that writing into them sets the model. `of` gives the tensor, for example the gradient."""
    p, n = {name: of(parameter) for name, parameter in model.named_parameters()}, len(model.blocks)
    out, s = {}, p["scalars"]
    for i in range(len(model.value_embeds)):
        out[f"embeddings.value.{i}"] = p[f"value_embeds.{i}.weight"]
    for i in range(n):
        block, at = f"blocks.{i}.", f"layers.{i}."
        if block + "attn.qkvo_w" in p:
            w = p[block + "attn.qkvo_w"]
            width = w.size(-1)
            w = w.view(4 * width, width)
            out[at + "attention.qkv"], out[at + "attention.out"] = w[: 3 * width], w[3 * width :]
        if record == "short":
            if block + "attn.attn_gate.weight" in p:
                out[at + "attention.output.0.gate"] = p[block + "attn.attn_gate.weight"]
            out[at + "mlp.up"], out[at + "mlp.down"] = p[block + "mlp.c_fc"], p[block + "mlp.c_proj"]
            names = {"resid": i, "x0": n + i, "qkv": 2 * n + 2 * i, "out": 2 * n + 2 * i + 1}
        else:
            out[at + "mlp.up"], out[at + "mlp.down"] = p[block + "mlp.fc_w"], p[block + "mlp.proj_w"]
            names = {"skip": i, "resid": n + 3 * i, "x00": n + 3 * i + 1, "x01": n + 3 * i + 2, "v_self": 4 * n + 2 * i, "v_embed": 4 * n + 2 * i + 1}
        out.update({f"scalars.{name}.{i}": s[place] for name, place in names.items()})
    if record == "short":
        out.update({"embeddings.token": p["embed.weight"], "forward.1.gate": p["smear_gate.weight"], "head": p["lm_head.weight"]})
        out.update({f"scalars.{name}": s[4 * n + i] for i, name in enumerate(("smear", "backout", "skip"))})
    else:
        out.update({"embeddings.first": p["embed1.weight"], "embeddings.second": p["embed2.weight"], "head": p["lm_head_w"]})
        out.update({f"scalars.{name}": s[6 * n + i] for i, name in enumerate(("smear_mtp", "final", "backout"))})
    return out
