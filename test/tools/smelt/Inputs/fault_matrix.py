"""fault_matrix.py BUNDLE DATA VALIDATION FOLDER HASH: four ranks; one is killed or stopped in each phase. The others must end within the
timeout + 5 s, exit code 6, and name rank and phase; resuming must end in HASH. The faults wait more than they compute: four jobs at a time."""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time

bundle, data, validation, folder, final_hash = sys.argv[1:]
TIMEOUT = 5
# Phase and which entry of it: steps 1 to 8, validations after 4 and 8, checkpoints after 3, 6 and 8.
PHASES = [("start-up", 1), ("forward", 5), ("collective", 12), ("validation", 1), ("checkpoint", 2)]


def command(run, *more):
    return ["smelt", "train", bundle, "--ranks", "4", "--data", data, "--validation-data", validation, "--run-dir", run,
            "--rank-timeout", str(TIMEOUT), *more]


def check(phase, count, rank, signal, name):
    run = os.path.join(folder, f"{phase}-{name}")
    shutil.rmtree(run, ignore_errors=True)
    environment = dict(os.environ, SMELT_TEST_FAULT=f"{rank}:{phase}:{signal}:{count}")
    process = subprocess.Popen(command(run), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    begun, told = None, {}
    for line in process.stderr:
        if f"[rank {rank}] note: SMELT_TEST_FAULT" in line:
            begun = time.monotonic()
        if found := re.match(rf"\[rank (\d)\] error: rank {rank} is lost in phase {phase}: ", line):
            told[int(found[1])] = time.monotonic()
    code = process.wait()
    problems = []
    if begun is None:
        problems.append("the fault did not happen")
    # The launcher may pass on what the others say before the lost rank's own last line.
    told = {other: max(0.0, at - (begun or at)) for other, at in told.items()}
    if code != 6:
        problems.append(f"exit code {code}")
    if set(told) != {0, 1, 2, 3} - {rank}:
        problems.append(f"told: {sorted(told)}")
    elif max(told.values()) > TIMEOUT + 5:
        problems.append(f"after {max(told.values()):.1f} s")
    left = sorted(os.listdir(os.path.join(run, "checkpoints"))) if os.path.isdir(os.path.join(run, "checkpoints")) else []
    resumed = subprocess.run(command(run, "--resume", "auto"), capture_output=True, text=True)
    if resumed.returncode or f"final_hash:{final_hash}" not in resumed.stdout or "damaged" in resumed.stderr:
        problems.append(f"resumed: {resumed.returncode} {resumed.stdout[-300:]} {resumed.stderr[-600:]}")
    slowest = f"{max(told.values()):.1f} s" if told else "-"
    line = f"{phase:11} {name}  rank {rank}  others ended after {slowest:6} checkpoints {len(left)}   "
    return not problems, line + ("; ".join(problems) or "ok")


faults = [(phase, count, (index + (name == "STOP")) % 4, signal, name)
          for index, (phase, count) in enumerate(PHASES) for signal, name in ((9, "KILL"), (19, "STOP"))]
fine = True
with concurrent.futures.ThreadPoolExecutor(max_workers=4) as jobs:
    for good, line in jobs.map(lambda fault: check(*fault), faults):
        print(line, flush=True)
        fine &= good
print("all ok" if fine else "FAILED")
