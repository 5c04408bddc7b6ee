"""How fast is text learned from in one pass, on one core, beside Vowpal Wabbit on the same text?

500,000 drawn clicks as Vowpal Wabbit's text, all features in one namespace and a namespace a column; and as Criteo's. Both programs are held to
one core and read text without a cache; logistic loss, 24 bits of table or more. Times are those of whole processes, less Vowpal Wabbit's
of one without rows; handcar's includes writing a model with names, and of Criteo's
text packing the rows.
"""

import os
import sys
import time
from pathlib import Path

import common

ROWS = 500_000
NAMES = [f"I{i}" for i in range(1, 14)] + [f"C{i}" for i in range(1, 27)]


def write(source, one, many):
    with open(source) as rows, open(one, "w") as a, open(many, "w") as b:
        for row in rows:
            label, *cells = row.rstrip("\n").split("\t")
            y = "1" if label == "1" else "-1"
            a.write(f"{y} | " + " ".join(f"{i}={c}" for i, c in enumerate(cells) if c) + "\n")
            b.write(f"{y} " + " ".join(f"|{n} {c}" for n, c in zip(NAMES, cells) if c) + "\n")


def measure(folder, runs, **_):
    folder = Path(folder)
    clicks, one, many, none = (folder / n for n in ("c.tsv", "one.vw", "many.vw", "none.vw"))
    common.handcar("synth", "criteo", "--rows", ROWS, "--seed", 1, "-o", clicks)
    write(clicks, one, many)
    none.write_text("")
    core = min(os.sched_getaffinity(0))
    vw = [sys.executable, "-m", "vowpalwabbit", "--loss_function", "logistic", "-b", "24", "--quiet", "-d"]
    fit = ["--solver", "ftrl", "--l1", 0, "--threads", 1, "--no-cache", "--quiet", "-m", folder / "m"]
    # Each text the way that is faster: Criteo's columns are learned from column by column once they are packed.
    way = {"vw": ["--stream"], "criteo": []}

    def seconds(command):
        start = time.perf_counter()
        common.run(command, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        return time.perf_counter() - start

    def ours(path, format):
        return seconds([common.RELEASE / "handcar", "fit", path, "--format", format, *fit, *way[format]])

    rounds = []
    for n in range(runs):
        common.say(f"vw-text: round {n + 1} of {runs}")
        base = seconds([*vw, none])
        rounds.append([(ours(p, "vw"), seconds([*vw, p]) - base) for p in (one, many)] + [(ours(clicks, "criteo"), None)])
    rows = []
    for i, (what, path) in enumerate([("one namespace", one), ("a namespace a column", many)]):
        mine, theirs = (common.median(r[i][k] for r in rounds) for k in (0, 1))
        ratio = common.median(r[i][1] / r[i][0] for r in rounds)
        rate = f"{path.stat().st_size / mine / 1e6:.0f} MB/s"
        rows.append([what, f"{mine:.2f} s, {rate}", f"{theirs:.2f} s", f"{ratio:.1f} x", "at least 8 x"])
    mine = common.median(r[2][0] for r in rounds)
    rate = clicks.stat().st_size / mine / 1e6
    rows.append(["Criteo's text", f"{mine:.2f} s, {rate:.0f} MB/s", "", "", "at least 200 MB/s"])
    common.table(["text to model, one core", "handcar", "Vowpal Wabbit", "as fast", "bar"], rows)
