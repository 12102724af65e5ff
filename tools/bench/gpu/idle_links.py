"""idle_links.py [SECONDS]: what awake NVLinks take, on two idle GPUs of one host: power and links awake while small copies go within each GPU (local) or to
the other one (peer), so many a second, SECONDS [1.6] each, twice. PyTorch and pynvml. A copy of 256 bytes wakes a link each way, not all of them."""
import statistics
import sys
import time

import pynvml
import torch

GPUS, LINKS = (0, 1), 18
TURNS = (("none", 0), ("local", 1000), ("peer", 1000), ("none", 0), ("peer", 100), ("local", 100), ("peer", 30), ("peer", 15), ("none", 0), ("peer", 5))


def read_power(handle):
    """Watts, of this moment."""
    return pynvml.nvmlDeviceGetFieldValues(handle, [pynvml.NVML_FI_DEV_POWER_INSTANT])[0].value.uiVal / 1000


def count_awake(handle):
    fields = [(pynvml.NVML_FI_DEV_NVLINK_GET_POWER_STATE, link) for link in range(LINKS)]
    return sum(field.nvmlReturn == 0 and field.value.uiVal == pynvml.NVML_NVLINK_POWER_STATE_HIGH_SPEED
               for field in pynvml.nvmlDeviceGetFieldValues(handle, fields))


def copy(kind, words, mailboxes, streams):
    for gpu in GPUS:
        with torch.cuda.device(gpu), torch.cuda.stream(streams[gpu]):
            mailboxes[1 - gpu if kind == "peer" else gpu].copy_(words[gpu], non_blocking=True)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.6
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(gpu) for gpu in GPUS]
    words, mailboxes = ([torch.zeros(64, device=f"cuda:{gpu}") for gpu in GPUS] for _ in "ab")
    copies = words, mailboxes, [torch.cuda.Stream(gpu) for gpu in GPUS]
    for kind in ("peer", "local"):
        copy(kind, *copies)
    for kind, rate in TURNS * 2:
        begin = time.time()
        due, look, watts, awake = begin, begin + 0.5, ([], []), []  # What the turn before did is over by then.
        while (now := time.time()) < begin + seconds:
            if rate and now >= due:
                copy(kind, *copies)
                due += 1 / rate
            if now >= look:
                for gpu in GPUS:
                    watts[gpu].append(read_power(handles[gpu]))
                awake.append(count_awake(handles[0]))
                look += 0.025
            time.sleep(0.0001)
        print(f"{kind:6s} {rate:5d} a second: {statistics.mean(watts[0]):7.2f} {statistics.mean(watts[1]):7.2f} W, {statistics.mean(awake):4.1f} of {LINKS} links awake", flush=True)


if __name__ == "__main__":
    main()
