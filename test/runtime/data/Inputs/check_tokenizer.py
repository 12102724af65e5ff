"""Compares smelt's GPT-2 tokenizer with a second implementation, on a small vocabulary trained here.

    check_tokenizer.py DUMP_TOKENS [--cases N] [--seed S] [--files FOLDER] [--tiktoken]

The words come from Python's `re` with GPT-2's pattern, its classes written out from unicodedata; pairs merge the way
the paper says, one merge everywhere at a time. Bytes that are not UTF-8 are symbols (as lone surrogates are to Python).
--files takes real files (encoder.json, vocab.bpe) instead of training; --tiktoken compares with the package tiktoken too.
"""

import argparse
import base64
import collections
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import unicodedata

END = "<|endoftext|>"


def character_class(letter):
    points = [p for p in range(sys.maxunicode + 1) if unicodedata.category(chr(p))[0] == letter]
    ranges = []
    for p in points:
        if ranges and ranges[-1][1] == p - 1:
            ranges[-1][1] = p
        else:
            ranges.append([p, p])
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in ranges)


LETTERS, NUMBERS = character_class("L"), character_class("N")
SPACES = "\\t-\\r\\x85" + character_class("Z")
WORDS = re.compile(
    f"'s|'t|'re|'ve|'m|'ll|'d| ?[{LETTERS}]+| ?[{NUMBERS}]+| ?[^{SPACES}{LETTERS}{NUMBERS}]+"
    f"|[{SPACES}]+(?![^{SPACES}])|[{SPACES}]+"
)


def words_of(data):
    """The words of a text as byte strings; surrogateescape keeps what is not UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    return [word.encode("utf-8", "surrogateescape") for word in WORDS.findall(text)]


def merge_pair(parts, pair):
    merged, i = [], 0
    while i < len(parts):
        if tuple(parts[i : i + 2]) == pair:
            merged.append(parts[i] + parts[i + 1])
            i += 2
        else:
            merged.append(parts[i])
            i += 1
    return merged


def split_bytes(data):
    return [bytes([b]) for b in data]


def train(data, merges):
    words = collections.Counter(words_of(data))
    words = {word: (split_bytes(word), count) for word, count in words.items()}
    result = []
    for _ in range(merges):
        pairs = collections.Counter()
        for parts, count in words.values():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += count
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        result.append(best)
        words = {word: (merge_pair(parts, best), count) for word, (parts, count) in words.items()}
    return result


class Encoder:
    def __init__(self, merges, tokens):
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.tokens = tokens
        self.cache = {}

    def encode_word(self, word):
        if word not in self.cache:
            parts = split_bytes(word)
            while len(parts) > 1:
                pair = min(zip(parts, parts[1:]), key=lambda pair: self.ranks.get(pair, 1 << 40))
                if pair not in self.ranks:
                    break
                parts = merge_pair(parts, pair)
            self.cache[word] = [self.tokens[part] for part in parts]
        return self.cache[word]

    def encode(self, data):
        return [token for word in words_of(data) for token in self.encode_word(word)]


def byte_letters():
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in prints]
    letters = {b: chr(b) for b in prints}
    letters.update({b: chr(0x100 + i) for i, b in enumerate(others)})
    return letters


LETTER_OF = byte_letters()
BYTE_OF = {letter: byte for byte, letter in LETTER_OF.items()}


def to_letters(data):
    return "".join(LETTER_OF[b] for b in data)


def from_letters(text):
    return bytes(BYTE_OF[c] for c in text)


def write_files(folder, merges):
    """encoder.json and vocab.bpe, GPT-2's order of the bytes; and the same as tiktoken ranks."""
    order = sorted(range(256), key=lambda b: LETTER_OF[b])
    tokens = {bytes([b]): i for i, b in enumerate(order)}
    for left, right in merges:
        tokens.setdefault(left + right, len(tokens))
    os.makedirs(folder + "/gpt2")
    with open(folder + "/gpt2/encoder.json", "w") as file:
        json.dump({**{to_letters(t): i for t, i in tokens.items()}, END: len(tokens)}, file)
    with open(folder + "/gpt2/vocab.bpe", "w", encoding="utf-8") as file:
        lines = [to_letters(a) + " " + to_letters(b) for a, b in merges]
        file.write("\n".join(["#version: 0.2", *lines, ""]))
    with open(folder + "/small.tiktoken", "w") as file:
        for token, rank in tokens.items():
            file.write(base64.b64encode(token).decode() + f" {rank}\n")
    return tokens


def read_files(folder):
    with open(folder + "/encoder.json") as file:
        numbers = json.load(file)
    numbers.pop(END)
    with open(folder + "/vocab.bpe", encoding="utf-8") as file:
        lines = file.read().split("\n")[1:]
    merges = [tuple(from_letters(part) for part in line.split(" ")) for line in lines if line]
    return merges, {from_letters(text): number for text, number in numbers.items()}


def training_text():
    """English, code and other scripts: this repository's own words."""
    here = os.path.dirname(os.path.abspath(__file__))
    text = open(__file__, "rb").read() + open(os.path.join(here, "check_batches.py"), "rb").read()
    return text + "Die Größe und der Fluß, das Mädchen, Привет мир, 你好世界, καλημέρα κόσμε 1234567890\n".encode() * 20


def random_text(rng, corpus):
    kind = rng.randrange(7)
    if kind == 0:  # Any characters.
        points = [rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x10000), rng.randrange(0x110000)])
                  for _ in range(rng.randrange(40))]
        return "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000).encode()
    if kind == 1:  # Any bytes.
        return rng.randbytes(rng.randrange(40))
    if kind == 2:  # Near UTF-8: text with bytes changed, cut off, doubled.
        data = bytearray("aé€😀 ß1２Ⅷ\u00a0\u3000x".encode() * rng.randrange(1, 4))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.choice([rng.randrange(256), 0xED, 0xF4, 0xC0, 0xE0, 0x80])
        return bytes(data[rng.randrange(4) : len(data) - rng.randrange(4)])
    if kind == 3:  # What the pattern's alternatives fight over.
        bits = ["'s", "'S", "'", "'ll", "'l", "'re", " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u2003", "\x1c", "\x85", "a", "B",
                "é", "1", "²", "½", "४", "!", "_", "-", "\u0301", "\u200d", "世", "\ufeff", "<|endoftext|>"]
        return "".join(rng.choice(bits) for _ in range(rng.randrange(25))).encode()
    if kind == 4:  # A long word: time must not grow with the square of its length.
        return (rng.choice(["a", "the", "==", "12", "世"]) * rng.randrange(1, 300)).encode()
    start = rng.randrange(len(corpus))
    return corpus[start : start + rng.randrange(400)]


def dump(program, files, texts):
    data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    lines = subprocess.run([program, files], input=data, check=True, capture_output=True).stdout.decode().splitlines()
    if lines[0].startswith("failed"):
        raise SystemExit(lines[0])
    return int(lines[0]), lines[1:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--files")
    parser.add_argument("--tiktoken", action="store_true")
    options = parser.parse_args()
    print("seed", options.seed)
    rng = random.Random(options.seed)
    corpus = training_text()
    texts = [random_text(rng, corpus) for _ in range(options.cases)]
    texts.append(b"x" * 200000)
    texts += [chr(p).encode() + b" " + chr(p).encode() + b"1" for p in range(sys.maxunicode + 1)
              if unicodedata.category(chr(p)) not in ("Cs", "Cn", "Co")]
    with tempfile.TemporaryDirectory() as folder:
        if options.files:
            merges, tokens = read_files(options.files)
            paths = [options.files]
        else:
            merges = train(corpus, 300)
            tokens = write_files(folder, merges)
            paths = [folder + "/gpt2", folder + "/small.tiktoken"]
        encoder = Encoder(merges, tokens)
        slow = texts[options.cases]  # Too much for the second implementation; only its bytes are compared.
        expected = [None if text is slow else encoder.encode(text) for text in texts]
        if options.tiktoken:
            compare_with_tiktoken(texts, expected, tokens)
        for path in paths:
            end, lines = dump(options.program, path, texts)
            if end != len(tokens) or len(lines) != len(texts):
                raise SystemExit(f"{path}: end of text {end} instead of {len(tokens)}, {len(lines)} lines")
            for text, line, tokens_wanted in zip(texts, lines, expected):
                lossy = line.endswith("lossy")
                got = [int(word) for word in line.replace("lossy", "").split()]
                if lossy or (tokens_wanted is not None and got != tokens_wanted):
                    raise SystemExit(f"{path}: {text!r}\nexpected {tokens_wanted}\ngot      {got}{' lossy' * lossy}")
    print(f"{len(texts)} texts, {sum(len(e or []) for e in expected)} tokens, vocabulary {len(tokens) + 1}")


def compare_with_tiktoken(texts, expected, tokens):
    import tiktoken
    from tiktoken_ext.openai_public import r50k_pat_str

    encoding = tiktoken.Encoding("small", pat_str=r50k_pat_str, mergeable_ranks=tokens, special_tokens={END: len(tokens)})
    compared = 0
    for text, wanted in zip(texts, expected):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            continue  # tiktoken takes text only.
        if wanted is not None:
            got = encoding.encode_ordinary(text)
            if got != wanted:
                raise SystemExit(f"tiktoken: {text!r}\nexpected {wanted}\ngot      {got}")
            compared += 1
    print(f"{compared} texts equal to tiktoken {tiktoken.__version__}")


main()
