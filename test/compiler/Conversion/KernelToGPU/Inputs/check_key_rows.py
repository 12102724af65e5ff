"""check_key_rows.py FOLDER: gpu_kernels' of key_rows.mlir, run by ptx.py, against the transpose of a key offset written plainly."""
import json
import math
import random
import sys

import ptx

EPS = 1e-6


def unrotate(x, table):
    half = len(x) // 2
    return [x[j] * table[j] - x[j + half] * table[half + j] for j in range(half)] + \
           [x[j] * table[half + j] + x[j + half] * table[j] for j in range(half)]


def norm_backward(x, dy):
    factor = (sum(a * a for a in x) / len(x) + EPS) ** -0.5
    mean = sum(a * b for a, b in zip(x, dy)) / len(x)
    return [factor * b - factor ** 3 * mean * a for a, b in zip(x, dy)]


def expect(shape, dk, k, table, starts):
    """Gradients of all heads before the norm; the second and the last quarter of a head went to the next row of its document."""
    rows, heads, width = shape
    result = []
    for t in range(rows):
        for h in range(heads):
            head = lambda x, row: x[(row * heads + h) * width:(row * heads + h + 1) * width]
            gradient = head(dk, t)
            for j in range(width):
                if j // (width // 4) % 2:
                    later = t + 1 < rows and starts[t + 1] <= t
                    gradient[j] = (head(dk, t + 1)[j] if later else 0) + (gradient[j] if t == starts[t] else 0)
            result += norm_backward(head(k, t), unrotate(gradient, table[t * width:(t + 1) * width]))
    return result


def main(folder):
    text, kernels = open(f"{folder}/kernels.ptx").read(), json.load(open(f"{folder}/kernels.json"))
    for name, kernel in kernels.items():
        random.seed(name)
        shapes = [buffer["shape"] for buffer in kernel["buffers"]]
        inputs = [[random.gauss(0, 1) for _ in range(math.prod(shape))] for shape in shapes[:3]]
        rows = shapes[0][0]
        starts = [max(start for start in (0, 1, 4, 5) if start <= t) if kernel["inputs"] == 4 else 0 for t in range(rows)]
        buffers = [ptx.pack(values, "bf16") for values in inputs]
        inputs = [ptx.unpack(data, "bf16") for data in buffers]
        if kernel["inputs"] == 4:
            buffers.append(ptx.pack(starts, "i32"))
        buffers.append(bytearray(b"\xff" * 2 * math.prod(shapes[-1])))
        accesses = sum(ptx.run(text, launch, buffers) for launch in kernel["launches"])
        have, want = ptx.unpack(buffers[-1], "bf16"), expect(shapes[0], *inputs[:2], inputs[2], starts)
        worst = max(abs(x - y) / max(abs(y), 0.01) for x, y in zip(have, want))
        print(f"{name}: {'right' if worst < 2 ** -8 else 'WRONG'}, {accesses / math.prod(shapes[0]) * 4:.3f} reads and writes of four numbers")
        if not worst < 2 ** -8:
            print(f"  off by {worst}")


main(sys.argv[1])
