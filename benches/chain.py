"""Does an online pass before the batch solver cost what it saves?

1,000,000 drawn clicks from the cache, l1 = 4, no intercept, one thread: `--solver dbpg` and `--solver ftrl+dbpg` in turns, training time
until F <= (1+1e-4)F*, from the reports' curves; F* is the least objective of any run. The second also has a model after the online pass.
"""

import json
import os
from pathlib import Path

import common

BOUND = 1e-4
SOLVERS = {"dbpg": [], "ftrl+dbpg": [], "ftrl+dbpg, --rate 0.2": ["--rate", "0.2"]}


def measure(folder, runs, **_):
    folder = Path(folder)
    clicks = common.clicks(folder, 1_000_000)
    env = {**os.environ, "HANDCAR_CACHE_DIR": str(folder / "cache")}
    report = folder / "r.json"

    def trace(name, *more):
        fit = ["fit", clicks, "--l1", 4, "--no-intercept", "--threads", 1, "-m", folder / "m", "--report", report, "--quiet"]
        common.handcar(*fit, "--solver", name.split(",")[0], *SOLVERS[name], *more, env=env)
        return json.loads(report.read_text())["trace"]

    # To the certified end once, which also fills the cache.
    certified = {name: trace(name)[-1] for name in SOLVERS}
    best = min(t["objective"] for t in certified.values())
    rounds = []
    for n in range(runs):
        common.say(f"chain: round {n + 1} of {runs}")
        rounds.append({name: trace(name, "--passes", 5) for name in SOLVERS})

    def reached(passes):
        return next((i, t) for i, t in enumerate(passes) if t["objective"] <= (1 + BOUND) * best)

    rows = []
    for name in SOLVERS:
        seconds = common.median(reached(r[name])[1]["seconds"] for r in rounds)
        ratio = common.median(reached(r[name])[1]["seconds"] / reached(r["dbpg"])[1]["seconds"] for r in rounds)
        first = rounds[0][name][0]
        online = f"{first['objective'] / best - 1:.1e} after {first['seconds']:.2f} s" if name != "dbpg" else ""
        rows.append(
            [f"`{name}`", online, reached(rounds[0][name])[0] + 1, f"{seconds:.2f} s", f"{ratio:.2f}",
             "" if name == "dbpg" else "at most 1", f"gap {certified[name]['gap']:.1e}"]
        )
    common.table(["one thread", "online model: F/F* - 1", "passes to 1e-4", "time to 1e-4", "of dbpg alone", "bar", "at the end"], rows)
