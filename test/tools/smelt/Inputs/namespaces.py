"""namespaces.py BUNDLE RANKS DATA VALIDATION FOLDER HASH: the ranks in network namespaces of their own, on one switch that delays every frame
(DELAY; a byte sent there and back shows it). So they must end in HASH. With the link of one of them cut in the middle of training all must end within the
timeout + 5 s with exit code 6, the others naming that rank and a phase."""
import os
import re
import subprocess
import sys
import tempfile
import time

from delayed_switch import DelayedSwitch, open_tap

bundle, ranks, data, validation, folder, final_hash = sys.argv[1:]
ranks, TIMEOUT, CUT, DELAY = int(ranks), 5, int(ranks) - 1, 2e-3
tag = f"smelt{os.getpid()}"


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


def name(rank):
    return f"{tag}n{rank}"


def build():
    switch = DelayedSwitch(DELAY)
    for rank in range(ranks):
        ip("netns", "add", name(rank))
        switch.add_port(name(rank), "link")
        ip("-n", name(rank), "link", "set", "dev", "lo", "up")
        ip("-n", name(rank), "link", "set", "dev", "link", "up")
        ip("-n", name(rank), "address", "add", f"10.77.0.{rank + 1}/24", "dev", "link")
    switch.start()
    return switch


def why_impossible():
    """Namespaces need root, TAP devices a kernel with them."""
    try:
        ip("netns", "add", f"{tag}try")
        os.close(open_tap(f"{tag}try", "link"))
    except FileNotFoundError as error:
        return f"there is no {error.filename or 'ip (package iproute2)'}"
    except subprocess.CalledProcessError as error:
        return error.stderr.strip()
    except OSError as error:
        return str(error)
    finally:
        try:
            ip("netns", "del", f"{tag}try", check=False)
        except FileNotFoundError:
            pass
    return ""


def is_delayed():
    """A message there and back takes twice the delay: what the ranks' connections see, by a TCP connection of its own."""
    words = f"""
import socket, time
server = socket.create_server(("10.77.0.2", 29777))
peer, _ = server.accept()
while (word := peer.recv(1)): peer.sendall(word)"""
    echo = subprocess.Popen(["ip", "netns", "exec", name(1), sys.executable, "-c", words])
    words = """
import socket, time
for i in range(200):
    try:
        peer = socket.create_connection(("10.77.0.2", 29777)); break
    except OSError: time.sleep(0.05)
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
times = []
for i in range(20):
    begin = time.monotonic(); peer.sendall(b"x"); peer.recv(1); times.append(time.monotonic() - begin)
print(min(times))"""
    done = subprocess.run(["ip", "netns", "exec", name(0), sys.executable, "-c", words], capture_output=True, text=True, timeout=60)
    echo.wait(10)
    least = float(done.stdout or "nan")
    print(f"a byte there and back takes at least {least * 1e3:.1f} ms, with delays of {DELAY * 1e3:.0f} ms one way")
    return least >= 2 * DELAY


def destroy():
    for rank in range(ranks):
        ip("netns", "del", name(rank), check=False)


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


def is_cut(switch):
    run = os.path.join(folder, "cut")
    processes = start(run, "--steps", "100000", "--validate-every", "0", "--checkpoint-every", "0")
    log, deadline = os.path.join(run, "log.jsonl"), time.monotonic() + 60
    while time.monotonic() < deadline and not (os.path.exists(log) and len(open(log).readlines()) >= 4):
        time.sleep(0.05)
    switch.drop_link(CUT)
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
    switch = build()
    fine = is_delayed()
    fine &= finishes()
    print(f"{switch.frames} frames came late")
    fine &= is_cut(switch)
finally:
    destroy()
print("all ok" if fine else "FAILED")
sys.exit(not fine)
