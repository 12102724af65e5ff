"""measure.py RANKS STEPS BOUND NAME=STEP,... [--no-pytorch] [--only=losses|steps] [--same-documents] [--links-awake] [--rounds=N] [--patience=SECONDS]:
what tools/bench/scaling/run prepared, on a machine with RANKS GPUs, in the folder of its bundles. NAME.log.txt is the record's log; without it the
record's own program is left out. With --same-documents all ranks time the same packed documents, so that none has more to do than another. With
--links-awake Smelt's steps are timed once more while other copies keep all NVLinks awake, also in modes without communication (keep_links_awake.py):
GPUs at their power limit lose speed to the links' power, whatever a step does with them.

While PyTorch compiles (at most 210 seconds), losses are compared and ranks are lost; then, with nothing else on the machine, the steps of
each record are timed, Smelt's and PyTorch's one after the other. No part can spoil another: each has a limit, and its output is a file of its own
in $OUT, in one archive. A short table comes last."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time

begin = time.time()
words = [word for word in sys.argv[1:] if not word.startswith("--")]
ranks, steps, bound = words[0], int(words[1]), words[2]
records = dict(word.split("=") for word in words[3:])
out = pathlib.Path(os.environ.get("OUT", "out"))
scratch = pathlib.Path("results")
for folder in (out, scratch):
    folder.mkdir(exist_ok=True)
# Places of the record's own program at the same settings: stages, or windows in blocks.
PLACES = {"short": {"10": 1, "700": 2, "1400": 3}, "medium": {"0": 1, "2767": 14, "5534": 27}}
given = dict(word.partition("=")[::2] for word in sys.argv if word.startswith("--"))
OPTIONS = ["--same-documents"] if "--same-documents" in given else []
ROUNDS = {"medium": ["--steps", "2", "--rounds", given.get("--rounds", "8")], "short": ["--rounds", given.get("--rounds", "12")]}


def start(name, command, **more):
    return subprocess.Popen(command, stdout=open(scratch / f"{name}.txt", "w"), stderr=subprocess.STDOUT, process_group=0, **more)


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return process.wait()


def wait(process, seconds):
    try:
        return process.wait(max(seconds, 0.1))
    except subprocess.TimeoutExpired:
        stop(process)
        return "too late"


def tell(name, lines):
    text = (scratch / f"{name}.txt").read_text().splitlines()
    print("\n".join(line for line in text[-lines:] if "exposed" not in line and not line.startswith("    0.0")), flush=True)


def start_pytorch(name):
    for file in (scratch / f"{name}.ready", scratch / f"{name}.go", scratch / f"{name}.pytorch.json"):
        file.unlink(missing_ok=True)
    threads = str(max(4, (os.cpu_count() or 4) // int(ranks) // max(len(records), 1)))
    places = ",".join(str(PLACES[name][step]) for step in records[name].split(","))
    command = [sys.executable, "pytorch_ranks.py", name, f"{name}.log.txt", "--places", places, "--ready", str(scratch / f"{name}.ready"),
               "--go", str(scratch / f"{name}.go"), "--json", str(scratch / f"{name}.pytorch.json"), *OPTIONS, *ROUNDS.get(name, [])]
    first = None
    for rank in map(str, range(int(ranks))):  # As torchrun does, but in one group of processes that can be ended for certain.
        environment = dict(os.environ, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=ranks, LOCAL_WORLD_SIZE=ranks, MASTER_ADDR="127.0.0.1",
                           MASTER_PORT=str(29600 + len(name)), OMP_NUM_THREADS=threads, TORCHINDUCTOR_COMPILE_THREADS=threads,
                           TORCHINDUCTOR_CACHE_DIR=os.environ.get("TORCHINDUCTOR_CACHE_DIR", f"/tmp/inductor-{name}"))
        if first:
            subprocess.Popen(command, env=environment, process_group=first.pid, stdout=open(scratch / f"{name}.pytorch.others.txt", "a"), stderr=subprocess.STDOUT)
        else:
            first = start(f"{name}.pytorch", command, env=environment)
    return first


def read(name):
    try:
        return json.loads((scratch / f"{name}.json").read_text())
    except (OSError, ValueError):
        return []


wanted, patience = given.get("--only"), float(given.get("--patience", 210))
fine = True
pytorch = {name: start_pytorch(name) for name in records
           if wanted != "losses" and "--no-pytorch" not in given and name in PLACES and os.path.exists(f"{name}.log.txt")}
for name in records:
    subprocess.run([sys.executable, "prepare_data.py", f"{name}.1.smelt", f"{name}.bin", str(steps + 12)], check=True)
if wanted != "steps":
    fine &= wait(start("losses", [sys.executable, "check_ranks.py", ranks, str(steps), bound, *records]), 330) == 0
    tell("losses", 30)
while any(not (scratch / f"{name}.ready").exists() and process.poll() is None for name, process in pytorch.items()) and time.time() < begin + patience:
    time.sleep(0.2)
for name, process in list(pytorch.items()):
    if not (scratch / f"{name}.ready").exists():
        code = process.poll()
        stop(process)  # All its ranks.
        print(f"PyTorch, {name}: left out, {'not compiled in time' if code is None else f'exit code {code}'}, after {time.time() - begin:.0f} s", flush=True)
        tell(f"{name}.pytorch", 3)
        del pytorch[name]
print(f"{time.time() - begin:.0f} s; now the steps", flush=True)


def time_steps(name, at, kind):
    global fine
    code = wait(start(f"{name}.{kind}", ["./rank_step", f"{name}.{ranks}.smelt", "--at", at, "--trace", str(scratch / f"{name}.{kind}.trace.json"),
                                         "--json", str(scratch / f"{name}.{kind}.json"), *OPTIONS, *ROUNDS.get(name, [])]), 90)
    fine &= code == 0
    tell(f"{name}.{kind}", 400)
    print(f"rank_step, {name}, {kind}: exit code {code}, {time.time() - begin:.0f} s", flush=True)


for name, at in records.items() if wanted != "losses" else ():
    time_steps(name, at, "smelt")
    if "--links-awake" in given:
        waker = start("waker", [sys.executable, "keep_links_awake.py"])
        time_steps(name, at, "awake")
        waker.terminate()
        fine &= wait(waker, 20) == 0
        tell("waker", 3)
    if name in pytorch:
        (scratch / f"{name}.go").touch()
        process = pytorch.pop(name)
        code = wait(process, 90)
        stop(process)  # And its other ranks.
        tell(f"{name}.pytorch", 6 * len(PLACES[name]) + 4)
        print(f"PyTorch, {name}: exit code {code}, {time.time() - begin:.0f} s", flush=True)
for process in pytorch.values():
    stop(process)
with tarfile.open(out / f"scaling{ranks}.tgz", "w:gz") as archive:
    archive.add(scratch)

def scaling(row):
    low, middle, high = row["scaling"]["rank0"]
    return f"{middle:.4f} ({low:.4f}-{high:.4f}), {row['scaling']['slowest'][1]:.4f}"


def describe(name, row):
    return f"{name:18} {row['tokens']:7d} | {row['micro']:6.2f} {row['alone'][0]:6.2f} {row['overlap']:6.2f} {scaling(row)} {row['exposed']:5.2f}"


print(f"\n{ranks} ranks{', the same documents' if OPTIONS else ''}, ms a step | Smelt: micro-batch, alone, step, alone / step (quartiles), of the slowest, waited for | PyTorch: the same | step, Smelt / PyTorch")
for name, at in records.items():
    theirs = read(f"{name}.pytorch") or {}
    for row in read(f"{name}.smelt"):
        line = describe(f"{name}, step {row['step']}", row)
        other = theirs.get(str(PLACES.get(name, {}).get(str(row["step"]))))
        if other:
            line += f" | {other['model'][0]:6.2f} {other['alone'][0]:6.2f} {other['full'][0]:6.2f} {scaling(other)} | {row['overlap'] / other['full'][0]:.3f}"
        print(line)
    for row in read(f"{name}.awake"):
        print(describe(f"  links awake, {row['step']}", row))
print(f"{'all ok' if fine else 'FAILED'}, {time.time() - begin:.0f} s")
sys.exit(0 if fine else 1)
