"""faults.py BUNDLE FOLDER HASH: two GPU ranks; rank 1 is killed, stopped, or hangs while its process lives. Rank 0 must say which rank and
phase and end with code 6 within the timeout + 5 s; two of the runs are resumed and must end in HASH."""
import os
import re
import subprocess
import sys
import time

bundle, folder, final_hash = sys.argv[1:]
TIMEOUT, STALL = 4, 6
CASES = [("start-up", 1, 9, "KILL"), ("forward", 5, 9, "KILL"), ("forward", 5, 19, "STOP"), ("update", 6, 9, "KILL"),
         ("collective", 9, 19, "STOP"), ("validation", 1, 9, "KILL"), ("checkpoint", 2, 9, "KILL"), ("checkpoint", 2, 19, "STOP"),
         ("forward", 6, 0, "HANG")]
fine = True
for phase, count, signal, name in CASES:
    run = os.path.join(folder, f"{phase}-{name}")
    command = ["./smelt-run", "train", bundle, "--ranks", "2", "--data", "train.bin", "--validation-data", "validation.bin", "--plain",
               "--run-dir", run, "--rank-timeout", str(TIMEOUT), "--stall-timeout", str(STALL)]
    process = subprocess.Popen(command, env=dict(os.environ, SMELT_TEST_FAULT=f"1:{phase}:{signal}:{count}"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    begun, told, lines = None, None, []
    for line in process.stderr:
        lines.append(line)
        if "note: SMELT_TEST_FAULT" in line:
            begun = time.monotonic()
        if begun and line.startswith(f"[rank 0] error: rank 1 is lost in phase {phase}: "):
            told = time.monotonic() - begun
    code, resumed = process.wait(), ""
    problems = [] if code == 6 else [f"exit code {code}"]
    if told is None or told > max(TIMEOUT, STALL if name == "HANG" else 0) + 5:
        problems.append("told too late or not: " + "".join(lines)[-400:])
    if phase == "forward" and name != "STOP":
        again = subprocess.run(command + ["--resume", "auto"], capture_output=True, text=True)
        resumed = "resumed"
        if again.returncode or f"final_hash:{final_hash}" not in again.stdout.replace(" ", ""):
            problems.append(f"resumed: {again.returncode} {again.stdout[-200:]} {again.stderr[-400:]}")
    fine &= not problems
    print(f"{phase:10} {name}  told after {told or -1:.1f} s {resumed:8}", "; ".join(problems) or "ok", flush=True)
print("all ok" if fine else "FAILED")
