"""Runs the PTX of kernels without tensor cores on the CPU, thread by thread: numbers where no GPU is.

What LLVM writes for row kernels and for the sums of split products: global and shared memory, arithmetic, shuffles, barriers. f32 registers
are doubles and approximate functions exact, so that what differs from float64 mathematics by more than the rounding of what is stored is wrong
code. Addresses are checked against their buffers. `run` launches one entry of gpu_kernels' kernels.json.
"""
import math
import re
import struct

SPACE = 40  # Bits of an address below its buffer's number.
SHARED = 255
CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def f32_bits(x):
    try:
        return struct.unpack("<I", struct.pack("<f", x))[0]
    except OverflowError:
        return 0x7F800000 if x > 0 else 0xFF800000


def bits_f32(i):
    return struct.unpack("<f", struct.pack("<I", i & 0xFFFFFFFF))[0]


def bf16_bits(x):
    bits = f32_bits(x)
    return 0x7FC0 if x != x else ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) & 0xFFFF


def bf16(i):
    return bits_f32((i & 0xFFFF) << 16)


def number(x):
    return x if isinstance(x, float) else bits_f32(x)


def raw(x):
    return f32_bits(x) if isinstance(x, float) else int(x)


def integer(kind):
    """How an operand of type u32, s64, b16 … is read."""
    bits, mask = int(kind[1:]), (1 << int(kind[1:])) - 1

    def read(x):
        x = raw(x) & mask
        return x - (1 << bits) if kind[0] == "s" and x >> (bits - 1) else x

    return read


COMPARE = {
    "lt": lambda x, y: x < y, "le": lambda x, y: x <= y, "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y, "ne": lambda x, y: x != y, "lo": lambda x, y: x < y, "hi": lambda x, y: x > y,
    "ltu": lambda x, y: not x >= y, "leu": lambda x, y: not x > y, "gtu": lambda x, y: not x <= y, "geu": lambda x, y: not x < y,
    "neu": lambda x, y: x != y, "nan": lambda x, y: x != x or y != y, "num": lambda x, y: x == x and y == y,
}
NUMBERS = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "fma": lambda x, y, z: x * y + z,
    "div": lambda x, y: x / y if y else math.copysign(math.inf, x), "neg": lambda x: -x, "abs": abs, "min": min, "max": max,
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan, "rsqrt": lambda x: 1 / math.sqrt(x) if x > 0 else math.inf,
    "rcp": lambda x: 1 / x if x else math.copysign(math.inf, x), "ex2": lambda x: 2.0 ** min(x, 1000.0), "tanh": math.tanh,
}
INTEGERS = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "mad": lambda x, y, z: x * y + z,
    "and": lambda x, y: x & y, "or": lambda x, y: x | y, "xor": lambda x, y: x ^ y, "not": lambda x: ~x, "neg": lambda x: -x,
    "shl": lambda x, y: x << min(y, 64), "shr": lambda x, y: x >> min(y, 64), "min": min, "max": max,
    "div": lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1), "rem": lambda x, y: int(math.fmod(x, y)),
    "bfe": lambda x, y, z: (x >> y) & ((1 << z) - 1),
}
PREDICATES = {"and": lambda x, y: x and y, "or": lambda x, y: x or y, "xor": lambda x, y: x != y, "not": lambda x: not x}


def convert(kinds):
    to, source = kinds
    if to == "bf16x2":
        return lambda x, y: bf16_bits(number(x)) << 16 | bf16_bits(number(y))
    if to == "bf16":
        return lambda x: bf16_bits(number(x))
    if source == "bf16":
        return bf16
    if to == "f32" and source[0] in "us":
        return lambda x: float(integer(source)(x))
    if to[0] in "us" and source[0] in "us":
        return lambda x: integer(source)(x) & ((1 << int(to[1:])) - 1)
    raise NotImplementedError(f"cvt.{to}.{source}")


def arithmetic(op, parts):
    kind = parts[-1]
    if op in ("mov", "cvta"):
        return lambda x: x
    if op == "selp":
        return lambda x, y, condition: x if condition else y
    if op == "cvt":
        return convert([part for part in parts[1:] if re.match(r"[usbf]f?\d", part)][-2:])
    if op == "setp":
        read = number if kind == "f32" else integer(kind)
        return lambda x, y: COMPARE[parts[1]](read(x), read(y))
    if kind == "pred":
        return PREDICATES[op]
    if kind == "f32":
        return lambda *operands: NUMBERS[op](*(float(number(x)) for x in operands))
    read, bits = integer(kind), int(kind[1:])
    if "wide" in parts:
        wide = (1 << 2 * bits) - 1
        return lambda x, y, z=0: read(x) * read(y) + raw(z) & wide
    if "hi" in parts:
        return lambda x, y: read(x) * read(y) >> bits & ((1 << bits) - 1)
    return lambda *operands: INTEGERS[op](*map(read, operands)) & ((1 << bits) - 1)


SPECIAL = {
    "%tid.x": lambda thread: thread.number, "%ctaid.x": lambda thread: thread.block,
    "%ntid.x": lambda thread: thread.threads, "%nctaid.x": lambda thread: thread.blocks,
}


class Kernel:
    def __init__(self, text, name):
        start = re.search(r"\.entry " + name + r"\(", text).start()
        begin, end = text.index("{", start), text.index("\n}\n", start)
        self.parameters = re.findall(r"\w+_param_\d+", text[start:begin])
        self.shared, self.shared_bytes = {}, 0
        for found in re.finditer(r"\.shared \.align \d+ \.b8 (\w+)\[(\d+)\]", text):
            self.shared[found[1]] = (SHARED << SPACE) + self.shared_bytes
            self.shared_bytes += (int(found[2]) + 15) // 16 * 16
        self.labels, self.code = {}, []
        for line in text[begin + 1:end].split("\n"):
            line = line.split("//")[0].strip().rstrip(";")
            if re.match(r"[$\w]+:$", line):
                self.labels[line[:-1]] = len(self.code)
            elif line and not line.startswith("."):
                self.code.append(self.parse(line))

    def operand(self, text):
        text = text.strip()
        if text in SPECIAL:
            return SPECIAL[text]
        if text.startswith("%"):
            return lambda thread: thread.registers[text]
        value = bits_f32(int(text[2:], 16)) if text.startswith("0f") else self.shared[text] if text in self.shared else int(text, 0)
        return lambda thread: value

    def address(self, text):
        base, offset = re.match(r"\[(.+?)(?:\+(-?\d+))?\]$", text).groups()
        read, offset = self.operand(base), int(offset or 0)
        return lambda thread: read(thread) + offset

    def parse(self, line):
        """(guard, whether it is negated, what runs): a function of the thread, or a tuple at which it stops."""
        guard, line = re.match(r"(?:@(!?%p\d+)\s+)?(.*)", line).groups()
        name, _, rest = re.match(r"([\w.:]+)(\s+|$)(.*)", line).groups()
        operands = [text.strip() for text in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,{}\[\]]+", rest) if text.strip()]
        action = self.build(name.split("."), operands)
        return guard and guard.lstrip("!"), bool(guard) and guard.startswith("!"), action

    def build(self, parts, operands):
        op, kind = parts[0], parts[-1]
        if op in ("bra", "ret", "bar", "barrier"):
            return (op, *operands)
        if op == "shfl":
            return ("shfl", parts[2], operands[0].split("|")[0], *map(self.operand, operands[1:]))
        names = re.findall(r"%\w+", operands[0])
        if op == "ld" and "param" in parts:
            index = self.parameters.index(operands[1].strip("[]"))
            return lambda thread: thread.put(names, [thread.arguments[index]])
        if op == "ld":
            address, form = self.address(operands[1]), f"<{len(names)}{CODES[int(kind[1:]) // 8]}"
            return lambda thread: thread.put(names, struct.unpack_from(form, *thread.find(address, struct.calcsize(form))))
        if op == "st":
            size = int(kind[1:]) // 8
            address, values = self.address(operands[0]), [self.operand(text) for text in re.findall(r"[^{},\s]+", operands[1])]
            form = f"<{len(values)}{CODES[size]}"
            return lambda thread: struct.pack_into(form, *thread.find(address, struct.calcsize(form)),
                                                   *(raw(value(thread)) & ((1 << 8 * size) - 1) for value in values))
        if op == "mov" and len(names) > 1:
            value, bits = self.operand(operands[1]), int(kind[1:]) // len(names)
            return lambda thread: thread.put(names, [raw(value(thread)) >> bits * i & ((1 << bits) - 1) for i in range(len(names))])
        if op == "mov" and "{" in operands[1]:
            values = [self.operand(text) for text in re.findall(r"[^{},\s]+", operands[1])]
            bits = int(kind[1:]) // len(values)
            return lambda thread: thread.put(names, [sum((raw(value(thread)) & ((1 << bits) - 1)) << bits * i for i, value in enumerate(values))])
        compute, values = arithmetic(op, parts), [self.operand(text) for text in operands[1:]]
        (name,) = names

        def act(thread):
            thread.registers[name] = compute(*[value(thread) for value in values])

        return act


class Thread:
    def __init__(self, number_, threads, block, blocks, arguments, memory):
        self.number, self.threads, self.block, self.blocks = number_, threads, block, blocks
        self.arguments, self.memory = arguments, memory
        self.registers, self.at, self.waits, self.loads = {}, 0, None, 0

    def put(self, names, values):
        self.registers.update(zip(names, values))

    def find(self, address, size):
        place = address(self)
        buffer, offset = self.memory[place >> SPACE], place & ((1 << SPACE) - 1)
        assert offset + size <= len(buffer), f"bytes {offset} to {offset + size} of {len(buffer)} of buffer {place >> SPACE}"
        assert offset % size == 0, f"byte {offset} is no multiple of {size}"
        self.loads += 1
        return buffer, offset

    def go(self, kernel):
        while self.waits is None:
            guard, isNegated, action = kernel.code[self.at]
            if guard and bool(self.registers[guard]) == isNegated:
                self.at += 1
            elif callable(action):
                action(self)
                self.at += 1
            elif action[0] == "bra":
                self.at = kernel.labels[action[1]]
            else:
                self.waits = action


def resume(threads):
    for thread in threads:
        thread.waits = None
        thread.at += 1


def shuffle(warp):
    assert len({thread.at for thread in warp}) == 1, "a shuffle by threads at different places"
    _, kind, name, value, lane = warp[0].waits[:5]
    values = [value(thread) for thread in warp]
    for i, thread in enumerate(warp):
        thread.registers[name] = values[i ^ lane(thread) if kind == "bfly" else lane(thread) & 31]
    resume(warp)


def run_block(kernel, threads):
    while True:
        for thread in threads:
            thread.go(kernel)
        alive = [thread for thread in threads if thread.waits[0] != "ret"]
        if not alive:
            return
        warps = [threads[i:i + 32] for i in range(0, len(threads), 32)]
        shuffling = [warp for warp in warps if all(thread.waits[0] == "shfl" for thread in warp)]
        for warp in shuffling:
            shuffle(warp)
        if not shuffling:
            assert all(thread.waits[0] == "bar" for thread in alive), "threads wait for each other"
            resume(alive)


def run(text, launch, buffers):
    """Launches an entry of kernels.json on `buffers`, bytearrays in the manifest's order, the workspace last; returns how often memory was
    read or written."""
    arguments = [pointer(p["arguments"][0], p["offset"]) for p in launch["parameters"]]
    return run_entry(text, launch["symbol"], launch["grid"][0], launch["threads"], arguments, buffers)


def pointer(buffer, offset=0):
    return (buffer + 1 << SPACE) + offset


def run_entry(text, symbol, blocks, threads, arguments, buffers):
    """The same of any entry: arguments are integers, or pointers to the buffers."""
    kernel, accesses = Kernel(text, symbol), 0
    for block in range(blocks):
        memory = dict(enumerate(buffers, 1)) | {SHARED: bytearray(kernel.shared_bytes)}
        members = [Thread(i, threads, block, blocks, arguments, memory) for i in range(threads)]
        run_block(kernel, members)
        accesses += sum(thread.loads for thread in members)
    return accesses


def pack(values, element):
    if element == "bf16":
        return bytearray(struct.pack(f"<{len(values)}H", *map(bf16_bits, values)))
    return bytearray(struct.pack(f"<{len(values)}{'f' if element == 'f32' else 'i'}", *values))


def unpack(data, element):
    if element == "bf16":
        return [bf16(bits) for bits in struct.unpack(f"<{len(data) // 2}H", data)]
    return list(struct.unpack(f"<{len(data) // 4}{'f' if element == 'f32' else 'i'}", data))
