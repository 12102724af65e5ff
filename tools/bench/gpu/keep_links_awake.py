"""keep_links_awake.py: copies 1 MiB from each GPU to each other one every 10 ms, until it is ended; prints how many NVLinks are awake before and meanwhile.

A link that carries nothing for 50 ms (`nvidia-smi nvlink -gLowPwrInfo`) goes to sleep, and an awake one takes 1.6 W. GPUs at their power limit are slower
for it, whoever sends. Beside rank_step this gives every mode the links' power, so that what is left of a step's loss is what its collectives cost."""
import ctypes
import itertools
import re
import signal
import subprocess
import sys
import time

BYTES, SECONDS = 1 << 20, 0.01


def count_awake():
    """Of all GPUs: links that are awake, and all."""
    text = subprocess.run(["nvidia-smi", "nvlink", "-gLowPwrInfo"], capture_output=True, text=True).stdout
    states = re.findall(r"Low Power Mode: (.*)", text)
    return sum("Low Power" not in state for state in states), len(states)


def main():
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        sys.exit(f"keep_links_awake: {error}")

    def call(name, *arguments):
        if code := getattr(cuda, name)(*arguments):
            sys.exit(f"keep_links_awake: {name}: error {code}")

    call("cuInit", 0)
    count = ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(count))
    asleep = count_awake()
    gpus = []
    for ordinal in range(count.value):
        device, context = ctypes.c_int(), ctypes.c_void_p()
        call("cuDeviceGet", ctypes.byref(device), ordinal)
        call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        call("cuCtxSetCurrent", context)
        memory = ctypes.c_uint64()
        call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(BYTES))
        gpus.append((context, memory))
    for own, other in itertools.permutations(gpus, 2):
        call("cuCtxSetCurrent", own[0])
        call("cuCtxEnablePeerAccess", other[0], 0)

    def end(*_):
        awake, links = count_awake()
        print(f"links awake: {awake} of {links} while copies ran, {asleep[0]} before", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        for own, other in itertools.permutations(gpus, 2):
            call("cuCtxSetCurrent", own[0])
            call("cuMemcpyPeerAsync", other[1], other[0], own[1], own[0], ctypes.c_size_t(BYTES), None)
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
