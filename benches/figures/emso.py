"""EMSO beside SGD and L-BFGS over batch sizes, on 300,000 drawn clicks, l1 = 1.

Left: the objective after one pass, the same number of rows for all, each at the best rate of one grid. Right: the objective after
a fixed time of training, from the cache, each at the best rate for it. Bar: from batches of 100 rows to 100,000 SGD's objective after
a pass worsens, EMSO's by less than a fifth of that.
"""

import json
import os

import common
from figures import style

ROWS, SECONDS = 300_000, 3.0
BATCHES = [100, 1_000, 10_000, 100_000]
RATES = [0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300]


def draw(folder):
    clicks, report = common.clicks(folder, ROWS), folder / "r.json"
    env = {**os.environ, "HANDCAR_CACHE_DIR": str(folder / "cache")}

    def trace(*options):
        fit = ["fit", clicks, "--format", "criteo", "--l1", 1, "--threads", 1, "--quiet", "-m", folder / "m", "--report", report]
        common.handcar(*fit, *options, env=env)
        return json.loads(report.read_text())["trace"]

    def minibatch(solver, batch, rate, passes):
        try:
            return trace("--solver", solver, "--batch", batch, "--rate", rate, "--passes", passes)
        except common.subprocess.CalledProcessError as error:
            if "diverged" not in error.stderr and "finite" not in error.stderr:
                raise
            return []

    def in_time(passes):
        """The objective of the last pass that ended in time."""
        return min((p["objective"] for p in passes if p["seconds"] <= SECONDS), default=float("inf"))

    first, timed, rates = {}, {}, {}
    for solver in ("sgd", "emso"):
        for batch in BATCHES:
            common.say(f"emso: {solver}, batches of {batch}")
            found = {}
            for rate in RATES:
                passes = minibatch(solver, batch, rate, 1)
                found[rate] = passes[0]["objective"] if passes else float("inf")
            best = min(found, key=found.get)
            first[solver, batch], rates[solver, batch] = found[best], best
            near = [r for r in RATES if best / 20 < r < best * 2]
            pass_seconds = max(0.05, minibatch(solver, batch, best, 1)[0]["seconds"])
            count = max(2, min(100, round(1.3 * SECONDS / pass_seconds)))
            timed[solver, batch] = min(in_time(minibatch(solver, batch, r, count)) for r in near)
    lbfgs = in_time(trace("--solver", "lbfgs", "--passes", 200))
    optimum = trace("--solver", "dbpg", "--tol", "1e-5")[-1]["objective"]

    rows = []
    for batch in BATCHES:
        row = [f"{batch:,}"]
        for solver in ("sgd", "emso"):
            row += [f"{first[solver, batch] / optimum:.4f} (α {rates[solver, batch]})", f"{timed[solver, batch] / optimum:.4f}"]
        rows.append(row)
    common.table(
        ["batch", "sgd, one pass", f"sgd, {SECONDS:g} s", "emso, one pass", f"emso, {SECONDS:g} s"], rows,
    )
    small, large = BATCHES[0], BATCHES[-1]
    worse = {s: (first[s, large] - first[s, small]) / optimum for s in ("sgd", "emso")}
    common.table(
        ["from batches of 100 to 100,000", "change of the objective over the optimum", "bar"],
        [
            ["sgd", f"{worse['sgd']:+.4f}", "worsens"],
            ["emso", f"{worse['emso']:+.4f} ({worse['emso'] / worse['sgd']:+.2f} of sgd's)", "below +0.20 of sgd's"],
            [f"lbfgs in {SECONDS:g} s", f"{lbfgs / optimum:.4f} of the optimum", ""],
        ],
    )

    figure, (left, right) = style.panels(2)
    for i, solver in enumerate(("sgd", "emso")):
        style.line(left, i, BATCHES, [first[solver, b] / optimum for b in BATCHES], solver)
        style.line(right, i, BATCHES, [timed[solver, b] / optimum for b in BATCHES], solver)
    right.axhline(lbfgs / optimum, color=style.COLOURS[2], linestyle="--", label="lbfgs")
    left.set_title("after one pass")
    right.set_title(f"after {SECONDS:g} s of training")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("rows of a batch")
        axes.set_ylabel("objective over the optimum")
        axes.legend()
    style.save(figure, "emso")
