"""compare.py RUN OTHER…: the largest differences of the runs' losses from those of the first, and whether they end in the same bits."""
import json
import sys


def load(folder):
    train, validation, final = {}, {}, None
    with open(folder + "/log.jsonl") as log:
        for line in log:
            record = json.loads(line)
            if "train_loss" in record:
                train[record["step"]] = record["train_loss"]
            if "val_loss" in record:
                validation[record["step"]] = record["val_loss"]
            final = record.get("final_hash", final)
    return train, validation, final


def distance(these, those):
    return max((abs(these[step] - those[step]) for step in these.keys() & those.keys()), default=float("nan"))


first = load(sys.argv[1])
for folder in sys.argv[2:]:
    try:
        other = load(folder)
    except OSError as error:
        print(f"{folder}: {error}")
        continue
    print(f"{folder}: {len(other[0])} steps, last loss {other[0][max(other[0])]:.6f} (first run {first[0][max(first[0])]:.6f}), "
          f"train differs by {distance(first[0], other[0]):.2e}, validation by {distance(first[1], other[1]):.2e}, hash {str(other[2])[:12]}")
