"""prepare_data.py BUNDLE FILE: a shard of random documents, enough for twelve steps of the bundle's first stage."""
import array
import json
import os
import random
import struct
import sys

manifest = json.load(open(os.path.join(sys.argv[1], "manifest.json")))
stage, data = manifest["training"]["stages"][0], manifest["data"]
count = max(12 * stage["tokens"] * stage["micro_batches"], 20000)
vocabulary, start = data["vocabulary"], data["documents"]["start_token"]
numbers = random.Random(3)
tokens, left = array.array("H"), 0
while len(tokens) < count:
    if left == 0:
        left = numbers.randrange(20, 1200)
        tokens.append(max(start, 0))
    # A few tokens are frequent, as in text, so that there is something to learn; none begins a document.
    token = int(numbers.paretovariate(0.7)) % min(vocabulary, 50000)
    tokens.append(token if token != start else 1)
    left -= 1
with open(sys.argv[2], "wb") as file:
    file.write(struct.pack("<3i", 20240520, 1, len(tokens)) + bytes(4 * 253))
    tokens.tofile(file)
