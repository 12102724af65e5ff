"""check_ranks.py RANKS STEPS BOUND NAME...: for each record NAME one rank and RANKS ranks train the same steps from the same batches. Training
amplifies any difference, so one rank trains 3 times more, each time with 32 other tokens of the first step replaced: at each step the ranks' loss
may differ from one rank's by BOUND (relative), or by twice the most that any of these has differed so far; in the first 6 steps by BOUND alone.
(If all differences were normal and alike, right ranks would pass that at a step with probability 0.93; with one such run it was 0.70.) Then rank 1 of
the ranks is killed: the others must say who is lost and end with exit code 6 in time. Each record's ranks start once more without collectives
beside launches, and of two ranks once more without copies between GPUs (SMELT_COPIES=0): the same losses, digit for digit; then the last of them is
stopped. Single ranks train one after the other on each GPU."""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

ranks, steps, bound, names = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
TIMEOUT, LIMIT, OTHERS = 5, 120, ("other1", "other2", "other3")
root = tempfile.mkdtemp()


class Run:
    """`smelt-run train`, watched: its losses, and what its ranks say about a lost one."""

    def __init__(self, name, count, what, gpu=None, options=(), settings={}):
        self.folder = os.path.join(root, f"{name}-{what}")
        command = ["./smelt-run", "train", f"{name}.{count}.smelt", "--data", f"{name}.{what}.bin" if what in OTHERS else f"{name}.bin", "--validation-data", f"{name}.bin", "--run-dir", self.folder,
                   "--plain", "--steps", "5000", "--validate-every", "0", "--checkpoint-every", "0", *options]
        if count > 1:
            command += ["--ranks", str(count), "--rank-timeout", str(TIMEOUT)]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        environment = dict(os.environ, **settings)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = visible[gpu] if visible[0] else str(gpu)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment)
        self.told, self.other = {}, []  # By rank: who is lost, in which phase, when it said so.
        self.listener = threading.Thread(target=self.listen)
        self.listener.start()

    def listen(self):
        for line in self.process.stderr:
            if found := re.search(r"\[rank (\d+)\] error: rank (\d+) is lost in phase ([\w -]+)", line):
                self.told[int(found[1])] = int(found[2]), found[3], time.monotonic()
            else:
                self.other.append(line)

    def losses(self):
        losses = {}
        try:
            for line in open(os.path.join(self.folder, "log.jsonl")):
                record = json.loads(line)
                if "train_loss" in record:
                    losses[record["step"]] = record["train_loss"]
        except (FileNotFoundError, ValueError):  # Not there yet, or half a line.
            pass
        return losses

    def reach(self, step):
        """Waits until so many steps are done; their losses."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None and len(self.losses()) < step and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.losses()

    def find_rank(self, rank):
        """The launcher starts its ranks in order."""
        children = []
        for folder in filter(str.isdigit, os.listdir("/proc")):
            try:
                if int(open(f"/proc/{folder}/stat").read().rsplit(")", 1)[1].split()[1]) == self.process.pid:
                    children.append(int(folder))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return sorted(children)[rank]

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.listener.join()


def lose(run, rank, how):
    """Kills or stops a rank. True if the others end as they should."""
    if run.process.poll() is not None:
        print(f"  {how}: the ranks had ended before, exit code {run.process.returncode}: WRONG\n" + "".join(run.other[-12:]))
        run.end()
        return False
    begun = time.monotonic()
    os.kill(run.find_rank(rank), getattr(signal, f"SIG{how}"))
    while run.process.poll() is None and time.monotonic() < begun + TIMEOUT + 15:  # The launcher leaves a stopped rank some seconds to end.
        time.sleep(0.02)
    took, code = time.monotonic() - begun, run.process.poll()
    run.end()
    told = max((when for _, _, when in run.told.values()), default=float("nan")) - begun
    phases = sorted({phase for lost, phase, _ in run.told.values() if lost == rank})
    fine = code == 6 and set(run.told) == set(range(ranks)) - {rank} and {lost for lost, _, _ in run.told.values()} == {rank} and told <= TIMEOUT + 5
    print(f"  SIG{how} to rank {rank}: exit code {code}, told by {len(run.told)} ranks (lost in {', '.join(phases)}) after {told:.1f} s, all over after {took:.1f} s "
          f"{'ok' if fine else 'WRONG'}", flush=True)
    if not fine:
        print("".join(run.other[-12:]))
    return fine


def replace_tokens(name):
    """NAME.otherK.bin: NAME.bin, but the Kth 32 of the first thousands of tokens, frequent ones, are another frequent one."""
    for number, what in enumerate(OTHERS):
        shutil.copyfile(f"{name}.bin", f"{name}.{what}.bin")
        with open(f"{name}.{what}.bin", "r+b") as file:
            file.seek(1024)
            tokens = struct.unpack("<8000H", file.read(16000))
            places = [place for place, token in enumerate(tokens) if token == 1][32 * number:32 * number + 32]
            assert len(places) == 32, f"{name}.bin has too few of token 1 in its first 8,000"
            for place in places:
                file.seek(1024 + 2 * place)
                file.write(struct.pack("<H", 2))


def train_alone(keys, gpu, losses):
    """One rank after the other, on one GPU; threads of other GPUs take from the same keys."""
    for name, what in keys:
        run = Run(name, 1, what, gpu)
        losses[name, what] = run.reach(steps)
        run.end()
        if len(losses[name, what]) < steps:
            print("".join(run.other[-12:]))


def compare(name, one, others, many):
    if min(map(len, (one, *others))) < steps:
        print(f"{name}: one rank did {', '.join(str(len(each)) for each in (one, *others))} of {steps} steps: WRONG")
        return False
    far, noise, fine = {}, {}, True
    for step in range(1, steps + 1):
        noise[step] = max(noise.get(step - 1, 0), *(abs(other[step] / one[step] - 1) for other in others))
        far[step] = abs(many.get(step, float("nan")) / one[step] - 1)
        fine &= far[step] <= (bound if step <= 6 else max(bound, 2 * noise[step]))  # No number: not fine.
    print(f"{name}: losses of {steps} steps, {ranks} ranks against one: largest relative difference {max(far.values()):.2e}, in the first 6 steps "
          f"{max(far[step] for step in range(1, min(steps, 6) + 1)):.2e} (bound {bound:.0e}); one rank with 32 tokens replaced, {len(others)} times, {noise[steps]:.2e} {'ok' if fine else 'WRONG'}")
    for what, losses in (("one", one), (str(ranks), many), *zip(OTHERS, others)):
        print(f"  {what:6} " + " ".join(f"{losses[step]:.4f}" if step in losses else "-" for step in range(1, steps + 1)), flush=True)
    return fine


begin = time.monotonic()
for name in names:
    replace_tokens(name)
losses = {}
keys = iter([(name, what) for what in ("one", *OTHERS) for name in names])
threads = [threading.Thread(target=train_alone, args=(keys, gpu, losses)) for gpu in range(ranks)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
fine = True
for name in names:
    run = Run(name, ranks, "many")
    many = run.reach(steps)
    fine &= compare(name, losses[name, "one"], [losses[name, what] for what in OTHERS], many)
    fine &= lose(run, 1, "KILL")
    again = {"collectives between programs instead of beside launches": {"options": ["--no-overlap"]}}
    if ranks == 2 and json.load(open(f"{name}.2.smelt/manifest.json"))["target"] == "cuda":  # More add in another order than NCCL's ring.
        again["NCCL's ring instead of copies"] = {"settings": {"SMELT_COPIES": "0"}}
    for what, how in again.items():
        run = Run(name, ranks, what.split()[0], **how)
        found = run.reach(steps)
        same = len(many) >= steps and all(found.get(step) == many[step] for step in range(1, steps + 1))
        print(f"{name}: {what}: {'the same losses ok' if same else 'OTHER losses WRONG'}", flush=True)
        fine &= same
        if name == names[-1]:
            fine &= lose(run, ranks - 1, "STOP")
        run.end()
shutil.rmtree(root, ignore_errors=True)
print(f"losses and lost ranks: {'all ok' if fine else 'FAILED'}, {time.monotonic() - begin:.0f} s")
sys.exit(0 if fine else 1)
