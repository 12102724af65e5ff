#!/usr/bin/env python3
"""Steps of several programs on one GPU, taking turns: Smelt's bundles and PyTorch's.

  alternate.py steps FOLDER [--logs DIR] [--rounds N] [--untuned] [--patience SECONDS] [--only short|medium]
  alternate.py offset FOLDER [--rounds N] [--turn STEPS]
  alternate.py tricks FOLDER [--rounds N] [--only short|medium]

FOLDER has gpu_turns and bundles. steps: short.smelt at its three stages and medium.smelt at windows of 1, 14 and 27 blocks, each
against the record's own program where DIR has its log (short-log.txt, medium-log.txt; without logs Smelt alone), on the same batch:
documents of median length 400 cut at 2048. offset: offset-all.smelt against offset-none.smelt. tricks: each record against itself without its
smear, short.smelt against short-no-smear.smelt (stage 3) and medium.smelt against medium-no-smear-mtp.smelt (windows of 14 blocks).

A turn is a few steps of forward and backward, enqueued one after the other and waited for; turns alternate as A B B A. Every program is
alive and has compiled before the first turn; nothing else runs on the GPU. Medians over the turns with 10th and 90th percentile; the ratio is
the median of the rounds' ratios with its quartiles. Memory: what forward and backward need, parameters and gradients within; Smelt's
arena has the optimisers' states besides and is for all stages at once.
"""
import argparse
import json
import os
import pathlib
import queue
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
STAGES = {1: 10, 2: 700, 3: 1400}  # stage of the short record: a step of it
WINDOWS = {1: 0, 14: 2767, 27: 5534}  # window of the medium record in blocks: a step that has it


class Contestant:
    def __init__(self, name, command, log):
        self.name = name
        self.errors = open(log, "w")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.collect, daemon=True).start()

    def collect(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def read(self, seconds=100):
        """The next answer; None if there is none in time."""
        try:
            answer = self.lines.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            return None
        if answer is None:
            raise SystemExit(f"alternate: {self.name} ended with {self.process.wait()}, see {self.errors.name}")
        return answer

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()


def alternate(first, second, rounds, turn):
    """first and second: (contestant, what it is to run). Two lists of ms a step, round by round."""
    times = ([], [])
    for r in range(rounds + 2):
        order = [(0, first), (1, second)] if second else [(0, first)]
        if r % 2:
            order.reverse()
        for which, (contestant, place) in order:
            ms = contestant.ask(f"run {place} {turn}")["ms"]
            if r >= 2:
                times[which].append(ms)
    return times


def spread(values):
    values = sorted(values)
    return statistics.median(values), values[len(values) // 10], values[len(values) * 9 // 10]


def show(times):
    return "{:8.3f} ({:.2f}-{:.2f})".format(*spread(times))


def row(name, tokens, ours, theirs, described, profile):
    text = f"{name:22s} {tokens:6d} {show(ours):>24s}"
    if theirs:
        ratios = sorted(a / b for a, b in zip(ours, theirs))
        text += f" {show(theirs):>24s}   {statistics.median(ratios):.3f} ({ratios[len(ratios) // 4]:.3f}-{ratios[len(ratios) * 3 // 4]:.3f})"
    text += f"   launches {described['launches']} (kernels {described['kernels']})"
    mine = described["workspace_mib"] + described["parameters_mib"] + described["gradients_mib"]
    text += f"   MiB {mine:.0f} of {described['arena_mib']:.0f}"
    if profile:
        text += (f" | PyTorch: kernels {profile['kernels']}, {profile['kernels_ms']:.1f} ms of them, attention {profile['attention_ms']:.2f} ms, "
                 f"MiB {profile['peak_mib']} (ratio {mine / profile['peak_mib']:.2f})")
    return text


def python(folder, record, log, which, untuned):
    command = [sys.executable, str(HERE / "pytorch_step.py"), record, str(log), "turns", str(which)]
    return Contestant(f"PyTorch {record} {which}", command + ["--untuned"] * untuned, folder / f"pytorch-{record}-{which}.log")


def steps(arguments):
    folder, out = pathlib.Path(arguments.folder).resolve(), pathlib.Path(os.environ.get("OUT", arguments.folder))
    records = [r for r in ("short", "medium") if arguments.only in (None, r) and (folder / f"{r}.smelt").exists()]
    logs = {r: pathlib.Path(arguments.logs) / f"{r}-log.txt" for r in records} if arguments.logs else {}
    places = {"short": STAGES, "medium": WINDOWS}
    start = lambda record: Contestant(f"Smelt {record}", [str(folder / "gpu_turns"), str(folder / f"{record}.smelt")], out / f"smelt-{record}.log")
    theirs = {}
    begin = time.time()
    first = start(records[0])  # It reads its weights while the others compile.
    for record in records:
        for which in (STAGES if record == "short" else [1]) if record in logs else []:  # The medium record's window is an argument.
            theirs[record, which] = python(out, record, logs[record], which, arguments.untuned)
    for key, contestant in list(theirs.items()):
        try:
            answer = contestant.read(begin + arguments.patience - time.time())
            print(f"{contestant.name}: " + (f"compiled in {answer['compiled_s']:.0f} s" if answer else f"left out, not compiled after {arguments.patience} s"), flush=True)
        except SystemExit as failure:
            answer = print(f"{failure}: left out", flush=True)
        if not answer:
            theirs.pop(key).kill()
    if theirs:
        print(f"all PyTorch programs ready after {time.time() - begin:.0f} s")
    results = {}
    for record in records:
        ours = first if record == records[0] else start(record)
        ours.read()
        for which, step in places[record].items():
            described = ours.ask(f"describe {step} /tmp/batch")
            other = theirs.get((record, which if record == "short" else 1))
            place = which if record == "medium" else 0
            if other:
                other.ask("batch /tmp/batch")
            rounds, turn = (arguments.rounds, 4) if record == "short" else (max(4, arguments.rounds // 2), 2)
            a, b = alternate((ours, step), (other, place) if other else None, rounds, turn)
            profile = other.ask(f"profile {place}") if other else None
            if other and record == "short":
                other.close()
            results[f"{record} {which}"] = {"ours": a, "theirs": b, "described": described, "profile": profile}
            name = f"short, stage {which}" if record == "short" else f"medium, {which} blocks"
            print(row(name, described["tokens"], a, b, described, profile), flush=True)
        updates = ours.ask(f"updates {step} 10")
        print(f"{record}: updates " + ", ".join(f"{name} {u['ms']:.3f} ms, {u['launches']} launches" for name, u in updates.items()), flush=True)
        ours.close()
        if record == "medium" and other:
            other.close()
    (out / "steps.json").write_text(json.dumps(results))


def pair(arguments, names, step, title):
    """Two bundles of the same stages: what the second does not have costs the difference."""
    folder, out = pathlib.Path(arguments.folder).resolve(), pathlib.Path(os.environ.get("OUT", arguments.folder))
    both = [Contestant(name, [str(folder / "gpu_turns"), str(folder / f"{name}.smelt")], out / f"{name}.log") for name in names]
    for contestant in both:
        contestant.read()
    described = [c.ask(f"describe {step} /tmp/batch-{names[0]}") for c in both]
    have, lack = alternate((both[0], step), (both[1], step), arguments.rounds, arguments.turn)
    for contestant in both:
        contestant.close()
    differences = [100 * (a / b - 1) for a, b in zip(have, lack)]
    mean, error = statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    cut = len(differences) // 10  # Both ends are rounds in which something else held one of the two up.
    middle = statistics.mean(sorted(differences)[cut:len(differences) - cut])
    (out / f"{names[0]}.json").write_text(json.dumps({"with": have, "without": lack}))
    print(f"{title}: with {show(have)} ms, without {show(lack)} ms, {described[0]['tokens']} tokens, "
          f"{described[0]['launches']} and {described[1]['launches']} launches")
    print(f"  difference a round: mean {mean:+.3f} % ± {error:.3f} (standard error), median {statistics.median(differences):+.3f} %, "
          f"middle four fifths {middle:+.3f} %, {len(differences)} rounds of {arguments.turn} steps each", flush=True)


def offset(arguments):
    pair(arguments, ("offset-all", "offset-none"), 10, "key offset on all layers")


def tricks(arguments):
    if arguments.only in (None, "short"):
        pair(arguments, ("short", "short-no-smear"), STAGES[3], "short, smear")
    if arguments.only in (None, "medium"):
        pair(arguments, ("medium", "medium-no-smear-mtp"), WINDOWS[14], "medium, Smear-MTP")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("what", choices=["steps", "offset", "tricks"])
    parser.add_argument("folder")
    parser.add_argument("--logs")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--turn", type=int, default=2, help="steps a turn, of offset and tricks")
    parser.add_argument("--patience", type=int, default=300)
    parser.add_argument("--untuned", action="store_true")
    parser.add_argument("--only", choices=["short", "medium"])
    arguments = parser.parse_args()
    {"steps": steps, "offset": offset, "tricks": tricks}[arguments.what](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
