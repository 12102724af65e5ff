"""check_loss_falls.py LOG STEPS BOUND: the log has every step, finite losses, and a last training loss below BOUND."""

import json
import math
import sys

steps = {}
with open(sys.argv[1]) as log:
    for line in log:
        entry = json.loads(line)
        if "train_loss" in entry:
            steps[entry["step"]] = entry["train_loss"]
count, bound = int(sys.argv[2]), float(sys.argv[3])
assert sorted(steps) == list(range(1, count + 1)), sorted(steps)
assert all(math.isfinite(loss) for loss in steps.values()), steps
assert steps[count] < bound, f"loss {steps[count]} after {count} steps, wanted below {bound}"
