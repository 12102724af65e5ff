"""check_norm_factors.py FOLDER: the second launches (sums of splits) of gpu_kernels' norm_factors.mlir, run by ptx.py on parts of products that
are made up here, against float64."""
import json
import math
import random
import sys

import ptx


def draw(count):
    return [random.gauss(0, 1) for _ in range(count)]


def check(data, element, want, tolerance):
    worst = max(abs(x - y) / max(abs(y), 0.05) for x, y in zip(ptx.unpack(data, element), want))
    return "right" if worst < tolerance else f"WRONG by {worst}"


def launch(folder, name, inputs):
    """Launches the second of two with these inputs (a and b are not read again); the product and the outputs' buffers."""
    text, kernel = open(f"{folder}/kernels.ptx").read(), json.load(open(f"{folder}/kernels.json"))[name]
    shapes = [buffer["shape"] for buffer in kernel["buffers"]]
    count = shapes[0][0] * shapes[1][0]
    splits = kernel["workspace"] // (4 * count)
    assert len(kernel["launches"]) == 2 and splits > 1, "this product was to be cut along k"
    parts = ptx.pack(draw(splits * count), "f32")
    outputs = [bytearray(b"\xff" * (math.prod(buffer["shape"]) * (2 if buffer["element"] == "bf16" else 4)))
               for buffer in kernel["buffers"][kernel["inputs"]:]]
    ptx.run(text, kernel["launches"][1], [*inputs, *outputs, parts])
    numbers = ptx.unpack(parts, "f32")
    return [math.fsum(numbers[i::count]) for i in range(count)], outputs


def check_make(folder):
    y = ptx.pack(draw(9 * 192), "bf16")
    product, (x, squares) = launch(folder, "make", [bytearray(), bytearray(), y])
    want = [a + b for a, b in zip(product, ptx.unpack(y, "bf16"))]
    sums = [math.fsum(a * a for a in want[i:i + 64]) for i in range(0, 9 * 192, 64)]
    print(f"make: x {check(x, 'bf16', want, 2 ** -8)}, squares {check(squares, 'f32', sums, 1e-6)}")


def check_take(folder):
    a, sums, w = ptx.pack(draw(3 * 3072), "bf16"), ptx.pack([abs(x) + 1 for x in draw(3 * 5)], "f32"), ptx.pack(draw(9 * 6), "f32")
    product, (heads, factors, gates) = launch(folder, "take", [a, bytearray(), sums, w])
    a, sums, w = ptx.unpack(a, "bf16"), ptx.unpack(sums, "f32"), ptx.unpack(w, "f32")
    wantFactors = [math.fsum(sums[5 * t:5 * t + 5]) ** -0.5 for t in range(3)]
    wantGates, wantHeads = [], []
    for t, factor in enumerate(wantFactors):
        row = [factor * x for x in product[128 * t:128 * t + 128]]
        wantHeads += [x * (math.fsum(y * y for y in row) / 128 + 1) ** -0.5 for x in row]
        for gate in range(9):
            wantGates.append(1 / (1 + math.exp(-factor * math.fsum(x * y for x, y in zip(a[3072 * t:], w[6 * gate:6 * gate + 6])))))
    print(f"take: heads {check(heads, 'bf16', wantHeads, 2 ** -8)}, factors {check(factors, 'f32', wantFactors, 1e-6)}, "
          f"gates {check(gates, 'f32', wantGates, 1e-6)}")


random.seed(5)
check_make(sys.argv[1])
check_take(sys.argv[1])
