"""check_explain.py WITH.json WITHOUT.json: what must hold of `smelt explain --json`, and of a key offset in it."""

import json
import sys

with_offset, without = (json.load(open(path)) for path in sys.argv[1:3])
for report in (with_offset, without):
    for key in ("launches", "bytes", "flops"):
        parts = report["forward_backward"][key] + report["update"][key]
        listed = len(report["launches"]) if key == "launches" else sum(launch[key] for launch in report["launches"])
        assert report["totals"][key] == parts == listed, (key, report["totals"][key], parts, listed)
    assert 0 < report["totals"]["buffers"] <= report["forward_backward"]["buffers"] + report["update"]["buffers"]
    paths = {step["path"] for step in report["steps"]}
    for launch in report["launches"]:
        assert launch["label"] and launch["kernel"], launch
    for step in report["steps"]:
        assert step["location"].count(":") >= 2, step
        for kernel in step["kernels"]:
            assert step["path"] in report["launches"][kernel["launch"]]["steps"]

shifts = [s for s in with_offset["steps"] if "].attention.k[" in s["path"] and s["path"].endswith("token_shift")]
assert len(shifts) == 2, [s["path"] for s in with_offset["steps"]]
assert not [s for s in without["steps"] if "].attention.k[" in s["path"] and s["path"].endswith("token_shift")]
for shift in shifts:
    labels = " ".join(kernel["label"] for kernel in shift["kernels"])
    assert "attention" in labels, (shift["path"], labels)
    assert "not_fused" not in shift, shift
# The property that Smelt stands for: a key offset costs no launch and no buffer, forward or backward.
for part in ("forward_backward", "update", "totals"):
    for key in ("launches", "buffers"):
        assert with_offset[part][key] == without[part][key], (part, key, with_offset[part][key], without[part][key])
print("a key offset adds", with_offset["totals"]["launches"] - without["totals"]["launches"], "launches,",
      with_offset["totals"]["buffers"] - without["totals"]["buffers"], "buffers")
