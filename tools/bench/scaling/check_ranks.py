"""check_ranks.py RANKS STEPS BOUND: one rank and RANKS ranks train the same steps: their losses must agree to BOUND (relative). Then rank 1 of
the ranks is killed: the others must end with exit code 6 and say who is lost."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ranks, steps, bound = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
TIMEOUT, LIMIT = 5, 100


def train(count, folder):
    command = ["./smelt-run", "train", f"bundle{count}.smelt", "--data", "train.bin", "--validation-data", "train.bin", "--run-dir", folder, "--plain",
               "--steps", "5000", "--validate-every", "0", "--checkpoint-every", "0"]
    if count > 1:
        command += ["--ranks", str(count), "--rank-timeout", str(TIMEOUT)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)


def read_losses(folder):
    try:
        lines = open(os.path.join(folder, "log.jsonl")).read().splitlines()
    except FileNotFoundError:
        return {}
    losses = {}
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # Half a line.
        if "train_loss" in record:
            losses[record["step"]] = record["train_loss"]
    return losses


def end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def find_rank(launcher, rank):
    """The launcher starts its ranks in order."""
    children = []
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            try:
                if int(open(f"/proc/{folder}/stat").read().rsplit(")", 1)[1].split()[1]) == launcher:
                    children.append(int(folder))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return sorted(children)[rank]


root = tempfile.mkdtemp()
one, many = os.path.join(root, "one"), os.path.join(root, "many")
process = train(1, one)
deadline = time.monotonic() + LIMIT
while process.poll() is None and len(read_losses(one)) < steps and time.monotonic() < deadline:
    time.sleep(0.05)
end(process)
expected = read_losses(one)
if len(expected) < steps:
    sys.exit(f"one rank: {len(expected)} steps; {process.stderr.read()[-800:]}")

process = train(ranks, many)
begun, told, other = None, {}, []


def listen():
    for line in process.stderr:
        if found := re.search(r"\[rank (\d+)\] error: rank 1 is lost in phase ([\w -]+)", line):
            told[int(found[1])] = found[2]
        else:
            other.append(line)


listener = threading.Thread(target=listen)
listener.start()
deadline = time.monotonic() + LIMIT
while process.poll() is None and len(read_losses(many)) < steps and time.monotonic() < deadline:
    time.sleep(0.02)
if process.poll() is None:
    begun = time.monotonic()
    os.kill(find_rank(process.pid, 1), signal.SIGKILL)
    while process.poll() is None and time.monotonic() < begun + TIMEOUT + 10:
        time.sleep(0.02)
    took = time.monotonic() - begun
end(process)
listener.join()
code = process.wait()
took = took if begun else float("nan")
actual = read_losses(many)
worst = max((abs(actual.get(step, float("nan")) / expected[step] - 1) for step in range(1, steps + 1)), key=lambda x: (x != x, x))
fine_losses = worst <= bound
print(f"losses of {steps} steps, {ranks} ranks against one: worst relative difference {worst:.2e} (bound {bound:.0e}) {'ok' if fine_losses else 'WRONG'}")
print(f"  one rank  {' '.join(f'{expected[step]:.5f}' for step in range(1, steps + 1))}")
print(f"  {ranks} ranks   {' '.join(f'{actual[step]:.5f}' if step in actual else '-' for step in range(1, steps + 1))}")
fine_end = code == 6 and set(told) == set(range(ranks)) - {1} and took <= TIMEOUT + 5
print(f"rank 1 killed: exit code {code}, told by ranks {sorted(told)} (in {', '.join(sorted(set(told.values())))}), all over after {took:.1f} s {'ok' if fine_end else 'WRONG'}")
if not fine_end or not fine_losses:
    print("".join(other[-12:]))
shutil.rmtree(root, ignore_errors=True)
sys.exit(0 if fine_losses and fine_end else 1)
