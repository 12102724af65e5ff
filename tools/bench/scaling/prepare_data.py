"""prepare_data.py BUNDLE FILE STEPS: a shard of random documents, enough for so many steps of the bundle's first stage."""
import array
import json
import os
import random
import struct
import sys

manifest = json.load(open(os.path.join(sys.argv[1], "manifest.json")))
stage, data = manifest["training"]["stages"][0], manifest["data"]
count = max(int(sys.argv[3]) * stage["tokens"] * stage["micro_batches"], 20000)
vocabulary, start = min(data["vocabulary"], 50000), max(data["documents"]["start_token"], 0)


# A few tokens are frequent, as in text, so that there is something to learn.
def draw(numbers, count):
    try:
        import numpy
    except ImportError:
        return array.array("H", (int(numbers.paretovariate(0.7)) % vocabulary for _ in range(count)))
    drawn = numpy.random.default_rng(3).pareto(0.7, count) + 1
    return array.array("H", (numpy.minimum(drawn, 2.0**62).astype(numpy.int64) % vocabulary).astype(numpy.uint16).tobytes())


numbers = random.Random(3)
tokens = draw(numbers, count)
place = 0
while place < count:
    tokens[place] = start
    place += numbers.randrange(20, 1200)
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<3i", 20240520, 1, len(tokens)) + bytes(4 * 253))
    tokens.tofile(file)
