"""check_rounds.py FILE RANKS ROUNDS SAME: medians and ratios in rank_step's FILE are those of the rounds in it,
every other round went backward, and what jitter costs is the mean over all choices of a step of each rank."""
import itertools
import json
import statistics
import sys

ranks, rounds, same = map(int, sys.argv[2:])


def check(name, is_so):
    if not is_so:
        sys.exit(f"{sys.argv[1]}: {name}")


def near(a, b):
    return abs(a - b) <= 1e-9 * abs(b)


rows = json.load(open(sys.argv[1]))
check("no rows", rows)
for row in rows:
    times = row["rounds"]
    check("modes", list(times) == ["micro", "alone", "placed", "meeting", "overlap", "in_order"])
    for mode, every in times.items():
        check(f"shape of {mode}", [len(own) for own in every] == [rounds] * ranks)
        check(f"times of {mode}", all(time > 0 for own in every for time in own))
        check(f"no two rounds of {mode} may be one", len({time for own in every for time in own}) > 1)
    turns = sorted((began, mode) for mode, all in row["began"].items() for began in all)
    check("turns", [mode for _, mode in turns] == (list(times) + list(reversed(times))) * (rounds // 2))
    for mode in ("micro", "placed", "meeting", "overlap", "in_order"):
        check(f"median of {mode}", near(row[mode], statistics.median(times[mode][0])))
    check("medians of alone", all(near(a, statistics.median(b)) for a, b in zip(row["alone"], times["alone"], strict=True)))
    slowest = row["alone"].index(max(row["alone"]))
    for name, rank, mode in (("rank0", 0, "overlap"), ("slowest", slowest, "overlap"), ("in_order", 0, "in_order"), ("meeting", 0, "overlap")):
        ratios = [a / b for a, b in zip(times["meeting" if name == "meeting" else "alone"][rank], times[mode][0])]
        quartiles = statistics.quantiles(ratios, n=4, method="inclusive")
        check(f"scaling, {name}", all(near(a, b) for a, b in zip(row["scaling"][name], quartiles, strict=True)))
    single = row["jitter"]["steps"]
    check("single steps", [len(own) for own in single] == [32] * ranks)
    largest = statistics.mean(max(choice) for choice in itertools.product(*single))
    check("jitter", abs(row["jitter"]["waits"] - largest + max(map(statistics.mean, single))) <= 1e-9 * largest)
    check("same documents", row["same_documents"] == bool(same))
    check("steps", row["steps_a_turn"] == 2)
