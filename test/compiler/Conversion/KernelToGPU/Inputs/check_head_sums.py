"""check_head_sums.py FOLDER: the second launches (sums of splits) of gpu_kernels' head_sums.mlir, run by ptx.py on parts of a product that are
made up here, against float64."""
import json
import math
import random
import sys

import ptx


def check(have, want, tolerance):
    worst = max(abs(x - y) / max(abs(y), 0.05) for x, y in zip(have, want))
    return "right" if worst < tolerance else f"WRONG by {worst}"


def main(folder):
    text, kernels = open(f"{folder}/kernels.ptx").read(), json.load(open(f"{folder}/kernels.json"))
    for name in ("narrow", "one"):
        random.seed(name)
        kernel = kernels[name]
        rows, heads, width = kernel["buffers"][3]["shape"]
        count = rows * heads * width
        splits = kernel["workspace"] // (4 * count)
        assert len(kernel["launches"]) == 2 and splits > 1, "this product was to be cut along k"
        parts = [random.gauss(0, 1) for _ in range(splits * count)]
        y, factors, scale = [random.gauss(0, 1) for _ in range(count)], [random.random() for _ in range(rows * heads)], 0.75
        buffers = [bytearray(), bytearray(), ptx.pack([scale], "f32"), ptx.pack(y, "bf16"), ptx.pack(factors, "f32"),
                   bytearray(b"\xff" * (4 * rows * heads)), bytearray(b"\xff" * (2 * count)), ptx.pack(parts, "f32")]
        ptx.run(text, kernel["launches"][1], buffers)
        y, factors, parts = ptx.unpack(buffers[3], "bf16"), ptx.unpack(buffers[4], "f32"), ptx.unpack(buffers[7], "f32")
        dy = [scale * math.fsum(parts[i::count]) for i in range(count)]
        sums = [math.fsum(a * b for a, b in zip(y[i * width:(i + 1) * width], dy[i * width:(i + 1) * width])) for i in range(rows * heads)]
        products = [value * factors[i // width] for i, value in enumerate(dy)]
        print(f"{name}: sums {check(ptx.unpack(buffers[5], 'f32'), sums, 1e-6)}, products {check(ptx.unpack(buffers[6], 'bf16'), products, 2 ** -8)}")


main(sys.argv[1])
