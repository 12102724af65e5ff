#!/usr/bin/env python3
"""A picture of one program of a trace with two lanes: draw_trace.py TRACE.json PROGRAM OUT.svg [MS]      its last MS [whole]

TRACE is what rank_step --trace or smelt train --profile writes. Launches above, collectives below; a launch's name appears when it is pointed at.
"""
import html
import json
import sys

COLOURS = (("attention", "#c2571a"), ("gemm", "#3465a4"), ("adam", "#75507b"), ("row", "#4e9a06"), ("embedding", "#4e9a06"), ("reduce_scatter", "#a40000"),
           ("all_reduce", "#5c3566"), ("all_gather", "#ce9b00"))
WIDTH, HEIGHT = 1200, 34


def main():
    trace, program, out = sys.argv[1:4]
    events = [e for e in json.load(open(trace))["traceEvents"] if e["ph"] == "X"]
    whole = next((e for e in events if e["name"] == program), None)
    if not whole:
        sys.exit(f"draw_trace: {trace} has no program {program}")
    end = whole["ts"] + whole["dur"]
    end = max([end] + [e["ts"] + e["dur"] for e in events if e["tid"] == 2 and whole["ts"] <= e["ts"] <= end])
    begin = max(whole["ts"], end - float(sys.argv[4]) * 1e3) if len(sys.argv) > 4 else whole["ts"]
    scale = WIDTH / (end - begin)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 20}" height="{2 * HEIGHT + 70}" font-family="sans-serif" font-size="11">',
             f'<text x="10" y="14">{html.escape(program)}: the last {(end - begin) / 1e3:.1f} ms of {whole["dur"] / 1e3:.1f}; launches above, collectives below</text>']
    for e in events:
        if e is whole or e["ts"] + e["dur"] <= begin or e["ts"] >= end or (e["tid"] == 1 and "part" not in e["args"]):
            continue
        left, right = (max(e["ts"], begin) - begin) * scale, (min(e["ts"] + e["dur"], end) - begin) * scale
        colour = next((c for word, c in COLOURS if word in e["name"]), "#888a85")
        name = html.escape(f'{e["name"]}: {e["dur"] / 1e3:.3f} ms')
        lines.append(f'<rect x="{10 + left:.1f}" y="{22 + (e["tid"] - 1) * (HEIGHT + 4)}" width="{max(right - left, 0.3):.1f}" height="{HEIGHT}" fill="{colour}">'
                     f"<title>{name}</title></rect>")
    x = 10
    for name, colour in (("GEMM", "#3465a4"), ("attention", "#c2571a"), ("row kernels", "#4e9a06"), ("Adam", "#75507b"), ("other", "#888a85"), ("reduce-scatter", "#a40000"),
                         ("all-gather", "#ce9b00")):
        lines.append(f'<rect x="{x}" y="{2 * HEIGHT + 36}" width="10" height="10" fill="{colour}"/><text x="{x + 14}" y="{2 * HEIGHT + 45}">{name}</text>')
        x += 100
    open(out, "w").write("\n".join([*lines, "</svg>", ""]))


if __name__ == "__main__":
    main()
