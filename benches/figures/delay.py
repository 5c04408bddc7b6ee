"""Time to the objective, and the share of it that workers lie idle, against DBPG's delay τ: 300,000 drawn clicks, l1 = 4, one to four
processes of workers with two of servers, over loopback.

Left: seconds until F <= (1+1e-4)F*. Right: the share of its training time that worker 0 waits for servers and, through them, for
other workers. Medians of three runs. More processes than cores share them: there waiting is mostly for a core.
"""

import json
import os

import common
from figures import style

ROWS, L1, WORKERS, DELAYS, RUNS = 300_000, 4, [1, 2, 4], [0, 1, 2, 4, 8, 16], 3


def draw(folder):
    clicks, report = common.clicks(folder, ROWS), folder / "r.json"
    env = {**os.environ, "HANDCAR_CACHE_DIR": str(folder / "cache")}

    def fit(*options, before=()):
        common.handcar(
            *before, "fit", clicks, "--format", "criteo", "--l1", L1, "--quiet", "-m", folder / "m", "--report", report, *options, env=env
        )
        return json.loads(report.read_text())

    best = fit("--tol", "1e-6")["objective"]
    goal = best * (1 + 1e-4)
    seconds, idle, passes = {}, {}, {}
    for workers in WORKERS:
        for delay in DELAYS:
            common.say(f"delay: {workers} workers, delay {delay}")
            found = []
            for _ in range(RUNS):
                launch = ["launch", "local", "--servers", 2, "--workers", workers, "--"]
                told = fit("--delay", delay, "--tol", "1e-4", before=launch)
                there = next((p for p in told["trace"] if p["objective"] <= goal), None)
                share = told["seconds"]["waited"] / told["seconds"]["train"]
                found.append((there["seconds"] if there else float("nan"), share, there["pass"] if there else 0))
            seconds[workers, delay], idle[workers, delay], passes[workers, delay] = (
                common.median(f[i] for f in found) for i in range(3)
            )
    common.table(
        ["workers", "τ", "seconds to (1+1e-4)F*", "passes", "idle share"],
        [[w, d, f"{seconds[w, d]:.2f}", int(passes[w, d]), f"{idle[w, d]:.2f}"] for w in WORKERS for d in DELAYS],
    )
    figure, (left, right) = style.panels(2)
    at = range(len(DELAYS))
    for i, workers in enumerate(WORKERS):
        name = f"{workers} worker{'s' if workers > 1 else ''}"
        style.line(left, i, at, [seconds[workers, d] for d in DELAYS], name)
        style.line(right, i, at, [idle[workers, d] for d in DELAYS], name)
    left.set_title("time to 1e-4 of the optimum")
    left.set_ylabel("seconds")
    right.set_title("idle share")
    right.set_ylabel("share of the training time")
    right.set_ylim(0, 1)
    for axes in (left, right):
        axes.set_xticks(list(at), [str(d) for d in DELAYS])
        axes.set_xlabel("delay τ (blocks)")
        axes.set_ylim(bottom=0)
        axes.legend()
    style.save(figure, "delay")
