"""namespaces.py BUNDLE RANKS DATA VALIDATION FOLDER HASH: the ranks in network namespaces of their own, on one bridge.
With delay on every link they must end in HASH. With the link of one of them cut in the middle of training all must end within the timeout + 5 s
with exit code 6, the others naming that rank and a phase."""
import os
import re
import subprocess
import sys
import tempfile
import time

bundle, ranks, data, validation, folder, final_hash = sys.argv[1:]
ranks, TIMEOUT, CUT = int(ranks), 5, int(ranks) - 1
tag = f"smelt{os.getpid()}"


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


def name(rank):
    return f"{tag}n{rank}"


def why_impossible():
    """Namespaces, pairs of links and bridges need root and a kernel with them."""
    try:
        ip("netns", "add", f"{tag}hub")
        ip("-n", f"{tag}hub", "link", "add", "name", "br0", "type", "bridge")
        ip("-n", f"{tag}hub", "link", "add", "name", "a", "type", "veth", "peer", "name", "b")
        ip("-n", f"{tag}hub", "link", "del", "dev", "a")
    except FileNotFoundError:
        return "there is no ip (package iproute2)"
    except subprocess.CalledProcessError as error:
        ip("netns", "del", f"{tag}hub", check=False)
        return error.stderr.strip()
    return ""


def build():
    ip("-n", f"{tag}hub", "link", "set", "dev", "br0", "up")
    for rank in range(ranks):
        ip("netns", "add", name(rank))
        ip("-n", f"{tag}hub", "link", "add", "name", f"to{rank}", "type", "veth", "peer", "name", "link", "netns", name(rank))
        ip("-n", f"{tag}hub", "link", "set", "dev", f"to{rank}", "master", "br0", "up")
        ip("-n", name(rank), "link", "set", "dev", "lo", "up")
        ip("-n", name(rank), "link", "set", "dev", "link", "up")
        ip("-n", name(rank), "address", "add", f"10.77.0.{rank + 1}/24", "dev", "link")


def delay():
    """What this kernel has to slow the links down."""
    for words in (("netem", "delay", "3ms"), ("tbf", "rate", "200mbit", "burst", "32kb", "latency", "50ms")):
        done = [subprocess.run(["tc", "-n", name(rank), "qdisc", "add", "dev", "link", "root", *words], capture_output=True) for rank in range(ranks)]
        if all(each.returncode == 0 for each in done):
            return " ".join(words)
    return "none (this kernel has neither netem nor tbf)"


def destroy():
    for each in [name(rank) for rank in range(ranks)] + [f"{tag}hub"]:
        ip("netns", "del", each, check=False)


def start(run, *more):
    processes = []
    for rank in range(ranks):
        environment = dict(os.environ, RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK="0", LOCAL_WORLD_SIZE="1", MASTER_ADDR="10.77.0.1",
                           MASTER_PORT="29555", OMP_NUM_THREADS="1")
        out = tempfile.TemporaryFile("w+")
        process = subprocess.Popen(["ip", "netns", "exec", name(rank), "smelt", "train", bundle, "--data", data, "--validation-data", validation,
                                    "--run-dir", run, "--rank-timeout", str(TIMEOUT), "--plain", *more],
                                   env=environment, stdout=out, stderr=subprocess.STDOUT)
        processes.append((process, out))
    return processes


def text(out):
    out.seek(0)
    return out.read()


def wait(processes, limit):
    """Exit codes (None: had to be killed) and when each ended."""
    ends, deadline = {}, time.monotonic() + limit
    while len(ends) < len(processes) and time.monotonic() < deadline:
        for rank, (process, _) in enumerate(processes):
            if rank not in ends and process.poll() is not None:
                ends[rank] = time.monotonic()
        time.sleep(0.02)
    codes = [process.poll() for process, _ in processes]
    for process, _ in processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    return codes, ends


def finishes():
    processes = start(os.path.join(folder, "delayed"))
    codes, _ = wait(processes, 120)
    found = re.search(r"final_hash: *(\w+)", text(processes[0][1]))
    fine = codes == [0] * ranks and found and found[1] == final_hash
    print(f"{ranks} ranks in namespaces: exit codes {codes}, hash {'the same' if found and found[1] == final_hash else 'DIFFERENT'}")
    if not fine:
        print("".join(text(out)[-600:] for _, out in processes))
    return fine


def is_cut():
    run = os.path.join(folder, "cut")
    processes = start(run, "--steps", "100000", "--validate-every", "0", "--checkpoint-every", "0")
    log, deadline = os.path.join(run, "log.jsonl"), time.monotonic() + 60
    while time.monotonic() < deadline and not (os.path.exists(log) and len(open(log).readlines()) >= 4):
        time.sleep(0.05)
    ip("-n", f"{tag}hub", "link", "set", "dev", f"to{CUT}", "down")
    begun = time.monotonic()
    codes, ends = wait(processes, TIMEOUT + 15)
    slowest = max(ends.values(), default=begun) - begun
    fine = codes == [6] * ranks and slowest <= TIMEOUT + 5
    for rank, (_, out) in enumerate(processes):
        told = re.search(r"error: rank (\d+) is lost in phase ([\w-]+)", text(out))
        # Who is cut off sees rank 0 gone.
        fine &= bool(told) and int(told[1]) == (0 if rank == CUT else CUT)
        print(f"rank {rank}: {'rank ' + told[1] + ' is lost in phase ' + told[2] if told else 'says nothing: ' + text(out)[-400:]}")
    print(f"link of rank {CUT} cut: exit codes {codes}, all ended after {slowest:.1f} s")
    return fine


if why := why_impossible():
    print("skipped: no network namespaces here:", why)
    sys.exit(0)
fine = False
try:
    build()
    print("delay:", delay())
    fine = finishes()
    fine &= is_cut()
finally:
    destroy()
print("all ok" if fine else "FAILED")
sys.exit(not fine)
