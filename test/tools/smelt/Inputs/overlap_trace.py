"""overlap_trace.py TRACE: what the communication row of a Chrome trace shows."""
import json
import sys

events = json.load(open(sys.argv[1]))["traceEvents"]
rows = {e["args"]["name"]: e["tid"] for e in events if e["name"] == "thread_name"}
slices = [e for e in events if e["ph"] == "X"]
collectives = [e for e in slices if "exposed ms" in e["args"]]
lane = [e for e in collectives if e["tid"] == rows["communication"]]
print(f"collectives on the communication row: {len(lane)}, in order: {len(collectives) - len(lane)}")
# A backward pass ends with the program of a step's last micro-batch; its updates are a slice of their own.
ends = [e["ts"] + e["dur"] for e in slices if e["name"].endswith(".last.every2") and "launches" in e["args"]]
starts = [e["ts"] for e in slices if e["name"].endswith(".last.every2") and "launches" in e["args"]]
assert len(ends) == 1, ends
# When they were given to the lane; when its thread gets a core to begin them is the machine's business.
given = [e["ts"] - 1000 * e["args"]["queued ms"] for e in lane]
print("given to the lane before the backward pass ended:", sum(starts[0] <= at < ends[0] for at in given))
for e in collectives:
    assert 0 <= e["args"]["exposed ms"] <= e["dur"] / 1000 + 1e-6, e
