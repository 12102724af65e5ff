"""Compares two bundles of one spec: python3 compare_arenas.py IN-PROGRAM-ORDER.smelt SCHEDULED.smelt"""

import json
import os
import sys

first, second = (json.load(open(os.path.join(path, "manifest.json"))) for path in sys.argv[1:])


def launches(manifest):
    return [(program["name"], manifest["kernels"][launch["kernel"]]["name"], [manifest["buffers"][i]["name"] for i in launch["arguments"]])
            for program in manifest["programs"] for launch in program["launches"]]


more = first["arena_bytes"] > second["arena_bytes"]
same = sorted(launches(first)) == sorted(launches(second))
moved = launches(first) != launches(second)
print("the first", "needs more memory" if more else "does not need more memory",
      "and has the same launches" if same else "and has other launches", "in another order" if moved else "in the same order")
print(first["arena_bytes"], second["arena_bytes"])
