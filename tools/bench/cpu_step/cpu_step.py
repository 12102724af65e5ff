"""Tokens per second of a training step: smelt's bundle against PyTorch eager; same model, data, dtype (fp32) and threads.

Rounds alternate (smelt, PyTorch, smelt, ...), so that a change of the machine's clock or load meets both. A step is everything from the
batch to the updated parameters. Of each round the first steps are warm-up. Run by tools/bench/cpu_step/run.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def smelt_round(binary, bundle, shard, threads, steps, folder):
    shutil.rmtree(folder, ignore_errors=True)
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    subprocess.run([binary, "train", bundle, "--data", shard, "--run-dir", folder, "--steps", str(steps), "--threads", str(threads),
                    "--quiet"], check=True, env=environment, stdout=subprocess.DEVNULL)
    times, losses = [], []
    with open(os.path.join(folder, "log.jsonl")) as log:
        for entry in map(json.loads, log):
            if "step_ms" in entry:
                times.append(entry["step_ms"])
                losses.append(entry["train_loss"])
    return times, losses


def spread(values):
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.1f}..{high:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", default=os.path.join(ROOT, "models", "tiny.json"))
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--shard", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=2)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        bundle = os.path.join(folder, "model.smelt")
        subprocess.run([os.path.join(options.build, "bin", "smelt"), "compile", options.spec, "-o", bundle], check=True)
        worker = subprocess.Popen([sys.executable, os.path.join(HERE, "torch_worker.py"), options.spec, options.shard, str(options.threads)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, OMP_NUM_THREADS=str(options.threads)))
        about = json.loads(worker.stdout.readline())
        print(f"PyTorch {about['torch']}, {about['threads']} threads, {about['parameters']} parameters, {about['tokens']} tokens a step")
        smelt, torch, ratios, first = [], [], [], {}
        for number in range(options.rounds):
            ours, our_losses = smelt_round(os.path.join(options.build, "bin", "smelt-run"), bundle, options.shard, options.threads,
                                           options.steps, os.path.join(folder, "run"))
            worker.stdin.write(f"{options.steps}\n")
            worker.stdin.flush()
            answer = json.loads(worker.stdout.readline())
            first.setdefault("smelt", our_losses)
            first.setdefault("torch", answer["losses"])
            ours, theirs = ours[options.warmup:], answer["ms"][options.warmup:]
            smelt += ours
            torch += theirs
            ratios.append(statistics.median(theirs) / statistics.median(ours))
            print(f"round {number + 1}: smelt {statistics.median(ours):8.1f} ms   PyTorch {statistics.median(theirs):8.1f} ms   "
                  f"ratio {ratios[-1]:.2f}", flush=True)
        worker.stdin.close()
        worker.wait()
    tokens = about["tokens"]
    for name, times in (("smelt", smelt), ("PyTorch", torch)):
        median = statistics.median(times)
        print(f"{name:8} median {median:8.1f} ms a step ({tokens / median * 1e3:8.0f} tokens/s), quartiles {spread(times)} ms")
    print(f"loss of step {options.steps}: smelt {first['smelt'][-1]:.3f}, PyTorch {first['torch'][-1]:.3f} (different random initial values)")
    print(f"ratio of tokens/s, smelt over PyTorch eager: {statistics.median(ratios):.2f} (rounds {min(ratios):.2f}..{max(ratios):.2f})")


main()
