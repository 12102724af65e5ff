"""same_losses.py ONE OTHER [BOUND]: every training and validation loss of two logs, step by step, up to BOUND (1e-4) of itself."""
import json
import sys


def losses(path):
    found = {}
    for line in open(path):
        record = json.loads(line)
        for key in ("train_loss", "val_loss"):
            if record.get(key) is not None:
                found[(record["step"], key)] = record[key]
    return found


one, other = losses(sys.argv[1]), losses(sys.argv[2])
bound = float(sys.argv[3]) if len(sys.argv) > 3 else 1e-4
assert one.keys() == other.keys(), sorted(one.keys() ^ other.keys())
assert len(one) >= 8 and any(key == "val_loss" for _, key in one)
worst = max(abs(one[at] - other[at]) / abs(one[at]) for at in one)
print("compared", len(one), "losses, worst difference", worst)
sys.exit(worst > bound)
