"""What runs of periods.json leave in their checkpoints, folders with parameters.safetensors and state.safetensors.

    check_periods.py init CHECKPOINT FILE                  step 1 of a run that began with FILE's parameters
    check_periods.py accumulated CHECKPOINT yes|no         whether it holds gradients, which wait for an update that is not yet due
    check_periods.py poison FILE COPY                      a copy whose head is not a number in one place
    check_periods.py masters FIRST LAST WIDE_FIRST WIDE_LAST   what training changed is what it changes in f32
"""

import array
import json
import math
import os
import struct
import sys

STEPS = 24  # Between the two checkpoints of `masters`.
OUTER_RATE, OUTER_MOMENTUM = 0.68, 0.37  # Of periods.json.


def read(path):
    """Name → (dtype, values); bf16 as the floats they are, i16 as unsigned numbers."""
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        first, last = (8 + length + offset for offset in entry["data_offsets"])
        values = array.array("f" if entry["dtype"] == "F32" else "H", data[first:last])
        tensors[name] = (entry["dtype"], to_floats(values) if entry["dtype"] == "BF16" else values)
    return tensors


def to_floats(upper, lower=None):
    words = array.array("I", ((u << 16) | (lower[i] if lower else 0) for i, u in enumerate(upper)))
    return array.array("f", words.tobytes())


def to_upper(floats):
    return [word >> 16 for word in array.array("I", array.array("f", floats).tobytes())]


def read_checkpoint(folder):
    return tuple(read(os.path.join(folder, kind + ".safetensors")) for kind in ("parameters", "state"))


def norm(values):
    return math.sqrt(sum(v * v for v in values))


def check_init(folder, path):
    """The outer step after training step 0 restores the copy, FILE's value, and goes from there: with v its gradient, which is what
    the momentum begins as, p = copy − 0.68·(1 + 0.37)·v. A copy of other initial values would be as far away as these are."""
    (parameters, state), start = read_checkpoint(folder), read(path)
    assert parameters.keys() == start.keys() and len(start) == 18, sorted(start)
    moved = 0
    for name, (dtype, values) in parameters.items():
        velocity, copy = state["snoo.m." + name][1], state["snoo.outer." + name][1]
        assert copy == values, name
        wanted = [s - OUTER_RATE * (1 + OUTER_MOMENTUM) * v for s, v in zip(start[name][1], velocity)]
        error = max(abs(a - b) for a, b in zip(values, wanted))
        # Values of a size of at most 8, in bf16 rounded four times, by 2⁻⁹ each: copy, gradient, momentum, difference.
        assert error <= (2**-7 if dtype == "BF16" else 1e-6) * max(1, max(map(abs, start[name][1]))), (name, error)
        moved += any(v != 0 for v in velocity)
    assert moved >= 8, moved  # Both kinds of every matrix of a layer; Adam's are not yet due.


def check_accumulated(folder, wanted):
    state = read_checkpoint(folder)[1]
    gradients = sorted(name for name in state if name.startswith("gradient."))
    assert bool(gradients) == (wanted == "yes"), gradients
    assert not any("attention.qkv" in name for name in gradients), gradients  # Muon's are never kept.


def poison(path, copy):
    data = bytearray(open(path, "rb").read())
    (length,) = struct.unpack("<Q", data[:8])
    entry = json.loads(data[8 : 8 + length])["head"]
    assert entry["dtype"] == "F32", entry
    struct.pack_into("<f", data, 8 + length + entry["data_offsets"][0], math.nan)
    open(copy, "wb").write(data)


def join_masters(folder):
    parameters, state = read_checkpoint(folder)
    return {name: to_floats(to_upper(values), state["master.low." + name][1]) for name, (_, values) in parameters.items()
            if "master.low." + name in state}


def check_masters(first, last, wide_first, wide_last):
    first, last = join_masters(first), join_masters(last)
    wide_first, wide_last = read_checkpoint(wide_first)[0], read_checkpoint(wide_last)[0]
    assert len(first) == 4, sorted(first)
    for name in first:
        change = [b - a for a, b in zip(first[name], last[name])]
        wide = [b - a for a, b in zip(wide_first[name][1], wide_last[name][1])]
        # A step is less than half a bf16 unit of most elements, 2⁻⁹ of the value: bf16 alone would lose it.
        lost = sum(abs(c) / STEPS < 2**-9 * abs(a) for a, c in zip(first[name], change))
        assert lost > 0.9 * len(change), (name, lost, len(change))
        error = norm([a - b for a, b in zip(change, wide)]) / norm(wide)
        # Roundings of weights, gradients and smoothed steps to bf16 make 0.03; steps lost in bf16 would make it about 1.
        assert error < 0.1, (name, error)


if __name__ == "__main__":
    {"init": check_init, "accumulated": check_accumulated, "poison": poison, "masters": check_masters}[sys.argv[1]](*sys.argv[2:])
