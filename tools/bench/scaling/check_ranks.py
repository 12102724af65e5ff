"""check_ranks.py RANKS STEPS BOUND NAME...: for each record NAME one rank and RANKS ranks train the same steps from the same batches. Training
amplifies any difference, so one rank trains once more with 32 tokens of the first step replaced: at each step the ranks' loss may differ from
one rank's by BOUND (relative), or by twice the most that the other run has differed so far; in the first 6 steps by BOUND alone. Then rank 1 of
the ranks is killed: the others must say who is lost and end with exit code 6 in time. The first record's ranks start once more without
collectives beside launches: the same losses, digit for digit; then the last of them is stopped. Single ranks train at once, on GPUs of their own
as far as there are so many."""
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
TIMEOUT, LIMIT = 5, 120
root = tempfile.mkdtemp()


class Run:
    """`smelt-run train`, watched: its losses, and what its ranks say about a lost one."""

    def __init__(self, name, count, what, gpu=None, *options):
        self.folder = os.path.join(root, f"{name}-{what}")
        command = ["./smelt-run", "train", f"{name}.{count}.smelt", "--data", f"{name}.other.bin" if what == "other" else f"{name}.bin", "--validation-data", f"{name}.bin", "--run-dir", self.folder,
                   "--plain", "--steps", "5000", "--validate-every", "0", "--checkpoint-every", "0", *options]
        if count > 1:
            command += ["--ranks", str(count), "--rank-timeout", str(TIMEOUT)]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        environment = dict(os.environ, CUDA_VISIBLE_DEVICES=visible[gpu] if visible[0] else str(gpu)) if gpu is not None else None
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
    """NAME.other.bin: NAME.bin, but 32 of the first thousands of tokens, frequent ones, are another frequent one."""
    shutil.copyfile(f"{name}.bin", f"{name}.other.bin")
    with open(f"{name}.other.bin", "r+b") as file:
        file.seek(1024)
        tokens = struct.unpack("<4000H", file.read(8000))
        for place in [place for place, token in enumerate(tokens) if token == 1][:32]:
            file.seek(1024 + 2 * place)
            file.write(struct.pack("<H", 2))


def compare(name, one, other, many):
    if len(one) < steps or len(other) < steps:
        print(f"{name}: one rank did {len(one)} and {len(other)} of {steps} steps: WRONG")
        return False
    far, noise, fine = {}, {}, True
    for step in range(1, steps + 1):
        noise[step] = max(noise.get(step - 1, 0), abs(other[step] / one[step] - 1))
        far[step] = abs(many.get(step, float("nan")) / one[step] - 1)
        fine &= far[step] <= (bound if step <= 6 else max(bound, 2 * noise[step]))  # No number: not fine.
    print(f"{name}: losses of {steps} steps, {ranks} ranks against one: largest relative difference {max(far.values()):.2e}, in the first 6 steps "
          f"{max(far[step] for step in range(1, min(steps, 6) + 1)):.2e} (bound {bound:.0e}); one rank with 32 tokens replaced {noise[steps]:.2e} {'ok' if fine else 'WRONG'}")
    for what, losses in (("one", one), (str(ranks), many), ("other", other)):
        print(f"  {what:5} " + " ".join(f"{losses[step]:.4f}" if step in losses else "-" for step in range(1, steps + 1)), flush=True)
    return fine


begin = time.monotonic()
for name in names:
    replace_tokens(name)
singles = {(name, what): Run(name, 1, what, gpu % ranks) for gpu, (name, what) in enumerate((name, what) for what in ("one", "other") for name in names)}
losses = {}
for key, run in singles.items():
    losses[key] = run.reach(steps)
    run.end()
    if len(losses[key]) < steps:
        print("".join(run.other[-12:]))
fine, overlapped = True, {}
for name in names:
    run = Run(name, ranks, "many")
    overlapped[name] = run.reach(steps)
    fine &= compare(name, losses[name, "one"], losses[name, "other"], overlapped[name])
    fine &= lose(run, 1, "KILL")
run = Run(names[0], ranks, "in-order", None, "--no-overlap")
in_order = run.reach(steps)
same = all(step in in_order and in_order[step] == overlapped[names[0]].get(step) for step in range(1, steps + 1))
print(f"{names[0]}: collectives between programs instead of beside launches: {'the same losses ok' if same else 'OTHER losses WRONG'}")
fine &= lose(run, ranks - 1, "STOP") and same
shutil.rmtree(root, ignore_errors=True)
print(f"losses and lost ranks: {'all ok' if fine else 'FAILED'}, {time.monotonic() - begin:.0f} s")
sys.exit(0 if fine else 1)
