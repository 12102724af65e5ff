#!/usr/bin/env python3
"""Is Smelt's loss curve PyTorch's, as nearly as PyTorch's own curves are each other's?

  compare_curves.py RUN_FOLDER REFERENCE.json SAME.json OTHER.json...      curves of pytorch_train.py

SAME is the reference again (its atomics add in another order each time), the OTHERs are PyTorch with other roundings or other initial
weights, named by their files. The distance of two curves is the mean over the steps of |a − b|, with curves averaged over 10 steps
first. Exit code 1 if Smelt's distance to the reference is more than 1.5 times the largest of SAME's and the OTHERs' (their initial
weights aside: names that contain "seed" are only shown), or the validation loss is off by more than theirs are.
"""
import json
import pathlib
import sys


def read_run(folder):
    lines = [json.loads(line) for line in (pathlib.Path(folder) / "log.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["train_loss"] for line in lines if "train_loss" in line}
    return [losses[s] for s in sorted(losses)], [line["val_loss"] for line in lines if "val_loss" in line][-1]


def smooth(curve, width=10):
    return [sum(curve[i:i + width]) / width for i in range(len(curve) - width + 1)]


def distance(a, b):
    a, b = smooth(a), smooth(b)
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a), max(abs(x - y) for x, y in zip(a, b))


def main():
    folder, *files = sys.argv[1:]
    curve, validation = read_run(folder)
    others = {pathlib.Path(f).stem: json.loads(pathlib.Path(f).read_text()) for f in files}
    (first, reference), *rest = others.items()
    assert len(curve) == len(reference["losses"]), (len(curve), len(reference["losses"]))
    rows = [("smelt", curve, validation)] + [(name, o["losses"], o["validation"]) for name, o in others.items()]
    at = [s for s in (1, 2, 5, 10, 20, 50, 75, 100, 125, 150, 175, 200) if s <= len(curve)]
    print(f"{'loss after step':22s}" + "".join(f"{s:8d}" for s in at) + "  validation")
    for name, losses, end in rows:
        print(f"{name:22s}" + "".join(f"{losses[s - 1]:8.4f}" for s in at) + f"{end:12.4f}")
    print(f"{'to ' + first:22s} mean distance, largest (curves averaged over 10 steps), validation")
    bounds, good = [0.0, 0.0], True
    for name, losses, end in rows[2:] + rows[:1]:
        mean, most = distance(losses, reference["losses"])
        off = abs(end - reference["validation"])
        print(f"{name:22s} {mean:.5f} {most:.5f} {off:.5f}")
        if name == "smelt":
            good = mean <= 1.5 * bounds[0] and off <= 1.5 * bounds[1]
        elif "seed" not in name:
            bounds = [max(bounds[0], mean), max(bounds[1], off)]
    print("curves: within PyTorch's own noise" if good else "curves: FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
