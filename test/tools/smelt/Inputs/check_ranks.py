"""The losses of a run of ranks.json, computed by hand from its checkpoints.

    check_ranks.py write FOLDER          the shards
    check_ranks.py compare FOLDER RUN    the logged losses; parameters are FOLDER/step-N.safetensors

The batches come from the second implementation of the loader (test/runtime/data/Inputs/check_batches.py). The model:
embedding, plus smear times the embedding before it in the same document, rms_norm, head, cross-entropy.
"""

import array
import json
import math
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../runtime/data/Inputs"))
import check_batches

RANKS, SIZES, LONGEST = 3, [8, 8, 16, 16], 6  # Of ranks.json: ranks, a rank's tokens in each step, max_tokens.


def make_shards():
    rng = random.Random(11)
    shards = []
    for documents in [9, 30, 40]:
        tokens = [5, 6]
        for _ in range(documents):
            tokens += [check_batches.START] + [rng.randrange(50256) for _ in range(rng.choice([0, 1, 3, 5, 8]))]
        shards.append(tokens)
    return shards, [check_batches.START if i % 9 == 4 else 100 + i for i in range(28)]


def read_safetensors(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            values = array.array("f", data[8 + length + first : 8 + length + last])
            shape = entry["shape"]
            width = shape[1] if len(shape) == 2 else 1
            tensors[name] = [values[i : i + width].tolist() for i in range(0, len(values), width)]
    return tensors


def sum_of_losses(parameters, tokens, targets, starts):
    table, head, smear = parameters["embeddings.token"], parameters["head"], parameters["scalars.smear"][0][0]
    total = 0.0
    for t, target in enumerate(targets):
        if target < 0:
            continue
        x = table[tokens[t]]
        if starts[t] < t:
            x = [a + smear * b for a, b in zip(x, table[tokens[t - 1]])]
        norm = math.sqrt(sum(a * a for a in x) / len(x))
        x = [a / norm for a in x]
        logits = [sum(a * b for a, b in zip(x, row)) for row in head]
        top = max(logits)
        total += math.log(sum(math.exp(z - top) for z in logits)) + top - logits[target]
    return total


def check(what, logged, loss):
    # The run sums in single precision: 50,257 exponentials a token.
    if not abs(logged - loss) <= 2e-5 * abs(loss):
        raise SystemExit(f"{what}: logged {logged}, by hand {loss}")
    print(f"{what}: {logged} by hand {loss}")


def compare(folder, run):
    shards, validation = make_shards()
    batches = list(check_batches.aligned_batches(shards, SIZES, RANKS, LONGEST))
    log = [json.loads(line) for line in open(run + "/log.jsonl")]
    losses = {line["step"]: line["train_loss"] for line in log if "train_loss" in line}
    for step in range(1, len(SIZES)):  # Step 0 began with values that no checkpoint has.
        parameters = read_safetensors(f"{folder}/step-{step}.safetensors")
        total = sum(sum_of_losses(parameters, *batch) for batch in batches[step * RANKS : (step + 1) * RANKS])
        check(f"step {step + 1}", losses[step + 1], total / (RANKS * SIZES[step]))
    parameters = read_safetensors(f"{folder}/step-{len(SIZES)}.safetensors")
    tokens = validation[:-1]
    total = 0.0
    for first in range(0, len(tokens), 16):  # Each sequence begins anew.
        part = tokens[first : first + 16]
        total += sum_of_losses(parameters, part, validation[first + 1 : first + 17], check_batches.starts_by_token(part))
    check("validation", log[-1]["val_loss"], total / len(tokens))


def write(folder):
    shards, validation = make_shards()
    for i, tokens in enumerate(shards):
        check_batches.write_shard(f"{folder}/train_{i}.bin", tokens)
    check_batches.write_shard(f"{folder}/validation.bin", validation)


write(sys.argv[2]) if sys.argv[1] == "write" else compare(sys.argv[2], sys.argv[3])
