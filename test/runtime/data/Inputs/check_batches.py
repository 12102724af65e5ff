"""Compares the batches of `DumpBatches` with a second implementation of the records' loaders.

Both loaders are described in runtime/data/RunSource.h. Here they are written the way the records'
programs think: a generator hands out groups, one sequence for each of R ranks, from one shard after
the other. Shards are random and small, with what can go wrong in them: none or many documents, documents
of one token, longer ones than allowed, a beginning in the middle of a document, empty files.

    check_batches.py DUMP_BATCHES [CASES] [SEED]
"""

import array
import itertools
import os
import random
import subprocess
import sys
import tempfile

START = 50256


def write_shard(path, tokens):
    header = array.array("i", [20240520, 1, len(tokens)] + [0] * 253)
    with open(path, "wb") as file:
        file.write(header.tobytes() + array.array("H", tokens).tobytes())


def random_shard(rng):
    kind = rng.choice(["documents", "documents", "documents", "no document", "empty", "starts", "tiny"])
    if kind == "empty":
        return []
    if kind == "no document":
        return [rng.randrange(1000) for _ in range(rng.randrange(1, 60))]
    if kind == "starts":
        return [START] * rng.randrange(1, 120)
    tokens = [rng.randrange(1000) for _ in range(rng.choice([0, 0, 1, 7]))]  # The end of a document.
    for _ in range(rng.randrange(1, 4 if kind == "tiny" else 40)):
        length = rng.choice([0, 1, 2, 15, 16, 17, rng.randrange(60), rng.randrange(10)])
        tokens += [START] + [rng.randrange(1000) for _ in range(length)]
    return tokens


def documents_of(tokens):
    """The documents, each from its start token to the next; what is before the first is no document."""
    starts = [i for i, token in enumerate(tokens) if token == START] + [len(tokens)]
    return [tokens[a:b] for a, b in zip(starts, starts[1:])]


def aligned_group(documents, size, ranks, longest):
    """Takes a group off the list's front: (tokens, lengths of the pieces) for each rank; None if it does not suffice."""
    left = list(documents)
    group = []
    for _ in range(ranks):
        tokens, lengths = [], []
        while len(tokens) < size + 1:
            if not left:
                return None
            document = left.pop(0)[: longest or None][: size + 1 - len(tokens)]
            tokens += document
            lengths.append(len(document))
        group.append((tokens, lengths))
    documents[:] = left
    return group


def aligned_batches(shards, sizes, ranks, longest):
    """One (tokens, targets, document starts) a rank and size; ends where no shard has a group."""
    cycle = itertools.cycle(shards)
    documents = documents_of(next(cycle))
    for size in sizes:
        failures = 0
        while (group := aligned_group(documents, size, ranks, longest)) is None:
            failures += 1
            if failures > len(shards):
                return
            documents = documents_of(next(cycle))
        for tokens, lengths in group:
            starts = []
            for length in lengths:
                starts += [len(starts)] * length
            yield tokens[:-1], tokens[1:], starts[:-1]


def starts_by_token(tokens):
    starts, start = [], 0
    for i, token in enumerate(tokens):
        start = i if token == START else start
        starts.append(start)
    return starts


def contiguous_batches(shards, sizes, ranks):
    cycle = itertools.cycle(shards)
    shard, at = next(cycle), 0
    for size in sizes:
        failures = 0
        while at + ranks * size + 1 >= len(shard):
            failures += 1
            if failures > len(shards):
                return
            shard, at = next(cycle), 0
        for rank in range(ranks):
            buffer = shard[at + rank * size :][: size + 1]
            yield buffer[:-1], buffer[1:], starts_by_token(buffer[:-1])
        at += ranks * size


def dump(program, order, longest, ranks, rank, world, resume, sizes, files):
    arguments = [program, order, START, longest, ranks, rank, world, resume, ",".join(map(str, sizes)), files]
    text = subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True).stdout
    lines = text.splitlines()
    failed = bool(lines) and lines[-1].startswith("failed: ")
    if failed and "no shard of" not in lines[-1]:
        raise SystemExit("unexpected failure: " + lines[-1])
    rows = [[int(word) for word in line.split()] for line in (lines[:-1] if failed else lines)]
    return [tuple(rows[i : i + 3]) for i in range(0, len(rows), 3)], failed


def check_case(program, rng, folder, case):
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    shards = [random_shard(rng) for _ in range(rng.randrange(1, 5))]
    if sum(map(len, shards)) < 2:
        return 0
    for i, tokens in enumerate(shards):
        write_shard(os.path.join(folder, f"train_{i:06d}.bin"), tokens)
    order = rng.choice(["aligned", "documents"])
    ranks = rng.choice([1, 1, 2, 3, 4, 6, 8])
    longest = rng.choice([0, 1, 2, 16, 32, 1000])
    first, second = rng.randrange(1, 40), rng.randrange(1, 80)
    steps = rng.randrange(1, 12)
    change = rng.randrange(steps + 1)  # The step at which a stage changes the size.
    sizes = [first if step < change else second for step in range(steps)]
    if order == "aligned":
        expected = list(aligned_batches(shards, sizes, ranks, longest))
    else:
        expected = list(contiguous_batches(shards, sizes, ranks))
    world = rng.choice([w for w in range(1, ranks + 1) if ranks % w == 0])
    micro_batches = ranks // world
    batch_sizes = [size for size in sizes for _ in range(micro_batches)]
    pattern = os.path.join(folder, "train_*.bin")
    for rank in range(world):
        for resume in [0, 1]:
            got, failed = dump(program, order, longest, ranks, rank, world, resume, batch_sizes, pattern)
            if got != expected[rank::world] or failed != (len(got) < len(batch_sizes)):
                print(f"case {case}: {order}, max_tokens {longest}, ranks {ranks}, rank {rank} of {world}, "
                      f"resume {resume}, sizes {sizes}, shards of {[len(s) for s in shards]} tokens")
                print("expected", expected[rank::world])
                print("got     ", got)
                raise SystemExit(1)
    return len(expected)


def main():
    program = sys.argv[1]
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        batches = sum(check_case(program, rng, folder, case) for case in range(cases))
    print(f"{cases} cases, {batches} batches")
    if batches < cases:
        raise SystemExit("the cases are too poor to test anything")


if __name__ == "__main__":
    main()
