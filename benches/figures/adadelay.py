"""AdaDelay beside AdaGrad that does not ask how late a gradient is.

Left: three processes of workers of which one is ten times as slow, one pass of 20,000 drawn clicks, `--delay 2`: the progressive loss
over a grid of rates, medians of three runs in turns, as no two are equal, and seconds of a pass, beside `adagrad`, whose workers wait for
each other. Bar: at its best rate AdaDelay's is never the larger.

Right, simulated, equal bits each time: pushes to the loss that async-adagrad has after all of them at its best rate, each solver at the
rate that comes there soonest, medians of three seeds. 5,000 rows of data/adult.csv.gz, batches of 64 rows, β = 0.1, 2,000 pushes, the
slowest worker a thousand times as slow as the fastest. Bar: with 200 workers and more AdaDelay needs at most 0.8 of async-adagrad's
pushes.
"""

import gzip
import json

import common
from figures import style

SOLVERS = ["async-adagrad", "adadelay"]
RATES, DRAWS, RUNS = [0.04, 0.057, 0.08, 0.113], [1, 2], 3
WORKERS, PUSHES, SIMULATED = [4, 16, 64, 256, 1000], 2000, [0.005 * 2 ** (i / 3) for i in range(20)]
OPTIONS = ["--label", "income", "--batch", 64, "--beta", 0.1, "--rates", ",".join(f"{r:.6f}" for r in SIMULATED)]


def beside_a_slow_one(folder):
    """Progressive loss and seconds, each a median, by solver, rate and draw."""
    losses, seconds, report = {}, {}, folder / "r.json"

    def run(clicks, solver, rate, *late):
        launch = ["launch", "local", "--servers", 2, "--workers", 3, "--slow-worker", "2:10", "--"]
        fit = ["fit", clicks, "--format", "criteo", "--solver", solver, "--l1", 0, "--batch", 64, "--rate", rate, *late]
        common.handcar(*launch, *fit, "--quiet", "-m", folder / "m", "--report", report)
        told = json.loads(report.read_text())
        return told["online"][-1]["loss"], told["seconds"]["train"]

    for draw in DRAWS:
        clicks = common.clicks(folder, 20_000, seed=draw)
        for rate in RATES:
            common.say(f"adadelay: draw {draw}, rate {rate}")
            found = {solver: [] for solver in SOLVERS}
            for _ in range(RUNS):
                for solver in SOLVERS:
                    found[solver].append(run(clicks, solver, rate, "--delay", 2))
            # Equal bits each time: once is enough.
            found["adagrad"] = [run(clicks, "adagrad", rate)]
            for solver, runs in found.items():
                losses[solver, rate, draw] = common.median(r[0] for r in runs)
                seconds[solver, rate, draw] = common.median(r[1] for r in runs)
    return losses, seconds


def simulated(folder, rows, workers, spread, pushes):
    report = folder / "d.json"
    common.say(f"adadelay: {workers} simulated workers, spread {spread}, {pushes} pushes")
    of = ["--workers", workers, "--spread", spread, "--pushes", pushes, "--seeds", "0..3", "--report", report]
    common.handcar("simulate", "delay", rows, *OPTIONS, *of, "--quiet")
    return json.loads(report.read_text())


def shares(found):
    """Of each solver, in the order of the report: the share of the pushes of the first one."""
    return [f"{s['share']:.2f}" if s["share"] else "never" for s in found["solvers"][1:]]


def draw(folder):
    losses, seconds = beside_a_slow_one(folder)
    best = {(s, d): min(losses[s, r, d] for r in RATES) for s in [*SOLVERS, "adagrad"] for d in DRAWS}
    common.table(
        ["one worker ten times as slow", *(f"draw {d}" for d in DRAWS), "median", "seconds of a pass"],
        [
            [
                solver,
                *(f"{best[solver, d]:.5f}" for d in DRAWS),
                f"{common.median(best[solver, d] for d in DRAWS):.5f}",
                f"{common.median(seconds[solver, r, d] for r in RATES for d in DRAWS):.2f}",
            ]
            for solver in [*SOLVERS, "adagrad"]
        ],
    )

    rows = folder / "adult.csv"
    with gzip.open(common.ROOT / "data" / "adult.csv.gz", "rt") as all_rows:
        rows.write_text("".join(line for line, _ in zip(all_rows, range(5_001))))
    by_workers = {w: simulated(folder, rows, w, 1000, PUSHES) for w in WORKERS}
    header = ["workers", "slowest : fastest", "pushes", "median τ", "95th percentile", "adadelay", "adaptive-revision"]
    lines = [(w, 1000, PUSHES, found) for w, found in by_workers.items()]
    lines += [(256, 10, pushes, simulated(folder, rows, 256, 10, pushes)) for pushes in (500, 2000, 8000)]

    def row(workers, spread, pushes, found):
        delays = [common.median(s["delays"][q] for s in found["seeds"]) for q in (2, 4)]
        return [f"{workers:,}", spread, f"{pushes:,}", *delays, *shares(found)]

    common.table(header, [row(*line) for line in lines])

    figure, (left, middle, right) = style.panels(3, width=4.2)
    for i, solver in enumerate(SOLVERS):
        style.line(left, i, RATES, [common.median(losses[solver, r, d] for d in DRAWS) for r in RATES], solver)
    left.set_title("3 processes, one 10 times as slow")
    left.set_xscale("log")
    left.set_xticks(RATES, [f"{r:g}" for r in RATES], minor=False)
    left.set_xticks([], minor=True)
    left.set_xlabel("rate α")
    left.set_ylabel("progressive loss of a pass")
    many = by_workers[WORKERS[-1]]
    for i, solver in enumerate(SOLVERS):
        found = next(s for s in many["seeds"][0]["solvers"] if s["solver"] == solver)
        at = [many["look_every"] * k for k in range(len(found["losses"]))]
        middle.plot(at, found["losses"], color=style.COLOURS[i], label=solver)
    middle.axhline(many["seeds"][0]["target"], color="#888888", linestyle=":", label="target")
    middle.set_title(f"{WORKERS[-1]:,} simulated workers")
    middle.set_xlabel("pushes")
    middle.set_ylabel("mean loss")
    for i, solver in enumerate(SOLVERS):
        of = [next(s for s in by_workers[w]["solvers"] if s["solver"] == solver)["share"] for w in WORKERS]
        style.line(right, i, WORKERS, [float("nan") if share is None else share for share in of], solver)
    right.axhline(0.8, color="#888888", linestyle=":", label="bar")
    right.set_title(f"pushes to the target, of {PUSHES:,}")
    right.set_xscale("log")
    right.set_xlabel("simulated workers")
    right.set_ylabel("share of async-adagrad's pushes")
    right.set_ylim(0, 1.1)
    for axes in (left, middle, right):
        axes.legend()
    style.save(figure, "adadelay")
