"""What do sixteen models in one pass cost, against one?

1,000,000 drawn clicks from the cache, one thread, FTRL; whole commands, in turns.
"""

import json
import os
import time
from pathlib import Path

import common

AXES = ["l1=0.5,1,4,16", "rate=0.05,0.1,0.2,0.4"]


def measure(folder, runs, **_):
    folder = Path(folder)
    clicks = common.clicks(folder, 1_000_000)
    env = {**os.environ, "HANDCAR_CACHE_DIR": str(folder / "cache")}
    report = folder / "r.json"
    fit = ["fit", clicks, "--solver", "ftrl", "--threads", 1, "-m", folder / "m", "--report", report, "--quiet"]
    common.handcar(*fit, env=env)

    def seconds(*more):
        start = time.perf_counter()
        common.handcar(*fit, *more, env=env)
        rate = json.loads(report.read_text())["trace"][0]["rows_per_second"]
        return time.perf_counter() - start, 1e6 / rate

    rounds = []
    for n in range(runs):
        common.say(f"grid: round {n + 1} of {runs}")
        rounds.append((seconds(), seconds("--grid", *AXES)))
    rows = []
    for i, what in enumerate(["the command", "its pass"]):
        one, many = (common.median(r[k][i] for r in rounds) for k in (0, 1))
        ratio = common.median(r[1][i] / r[0][i] for r in rounds)
        rows.append([what, f"{one:.2f} s", f"{many:.2f} s", f"{ratio:.1f} x", "at most 4 x"])
    common.table(["from the cache, one thread", "one model", "sixteen", "ratio", "bar"], rows)
