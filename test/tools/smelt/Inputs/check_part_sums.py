"""check_part_sums.py SUMS.ptx PTX_FOLDER: runs PartSums' kernels (text that the runtime gave to the driver) on random parts, by PTX_FOLDER's
ptx.py; each part in turn is the one that lies where the sum goes."""
import random
import sys

sys.path.insert(0, sys.argv[2])
import ptx

text = open(sys.argv[1]).read()
for element, in_vector in (("f32", 4), ("bf16", 8)):
    for parts, vectors, blocks, threads in ((1, 1, 1, 32), (2, 75, 1, 32), (3, 75, 2, 32), (8, 33, 3, 64)):
        numbers = vectors * in_vector
        values = [[random.uniform(-3, 3) for _ in range(numbers)] for _ in range(parts)]
        parts_bytes = [ptx.pack(part, element) for part in values]
        stored = [ptx.unpack(part, element) for part in parts_bytes]  # As it was rounded on the way in.
        most = 2.0**-8 if element == "bf16" else 2.0**-22
        for own in range(parts):
            others = bytearray().join(part for i, part in enumerate(parts_bytes) if i != own)
            sums = bytearray(parts_bytes[own])
            arguments = [ptx.pointer(0), ptx.pointer(1), vectors, parts, own]
            ptx.run_entry(text, "smelt_add_parts_" + element, blocks, threads, arguments, [others, sums])
            for i, got in enumerate(ptx.unpack(sums, element)):
                want = sum(part[i] for part in stored)
                assert abs(got - want) <= most * max(abs(want), 1e-3), f"{element}, {parts} parts, own {own}: number {i} is {got}, not {want}"
        print(f"{element}, {parts} parts of {numbers}: right")
