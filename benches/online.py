"""How fast does an online pass learn from the packed cache, on one thread, beside Vowpal Wabbit from its cache and the memory's gather roofline?

2,000,000 drawn clicks; both go through them once, logistic loss, 24 bits of table or more, in turns. Vowpal Wabbit's time is that
of its process less that of one without rows. Log loss is that of 200,000 fresh rows.
"""

import json
import os
import sys
import time
from pathlib import Path

import common

ROWS, FRESH = 2_000_000, 200_000


def to_vw(source, target):
    """Criteo's columns as Vowpal Wabbit's text."""
    with open(source) as rows, open(target, "w") as out:
        for row in rows:
            label, *cells = row.rstrip("\n").split("\t")
            words = " ".join(f"{i}={c}" for i, c in enumerate(cells) if c)
            out.write(f"{'1' if label == '1' else '-1'} | {words}\n")


def measure(folder, runs, **_):
    folder = Path(folder)
    clicks = common.clicks(folder, ROWS, seed=1)
    fresh = folder / "fresh.tsv"
    common.handcar("synth", "criteo", "--rows", FRESH, "--skip", ROWS, "--seed", 1, "-o", fresh)
    to_vw(clicks, folder / "train.vw")
    to_vw(fresh, folder / "fresh.vw")
    vw = [sys.executable, "-m", "vowpalwabbit", "--loss_function", "logistic", "-b", "24", "--quiet"]
    model, ours = folder / "vw.model", folder / "ours.model"
    common.run([*vw, "-d", folder / "train.vw", "-c", "-k", "-f", model])
    env = {**os.environ, "HANDCAR_CACHE_DIR": str(folder / "cache")}
    fit = ["fit", clicks, "--solver", "ftrl", "--l1", 0, "--threads", 1, "-m", ours, "--report", folder / "r.json", "--quiet"]
    common.handcar(*fit, env=env)

    def seconds(command):
        start = time.perf_counter()
        common.run(command)
        return time.perf_counter() - start

    (folder / "none.vw").write_text("")
    rates = []
    for n in range(runs):
        common.say(f"online: round {n + 1} of {runs}")
        theirs = seconds([*vw, "-d", folder / "train.vw", "-c"]) - seconds([*vw, "-d", folder / "none.vw"])
        common.handcar(*fit, env=env)
        mine = json.loads((folder / "r.json").read_text())["trace"][0]["rows_per_second"]
        rates.append((mine, ROWS / theirs))
    mine, theirs = (common.median(r[i] for r in rates) for i in (0, 1))
    ratio = common.median(a / b for a, b in rates)

    common.run([*vw, "-t", "-i", model, "-d", folder / "fresh.vw", "-p", folder / "p.txt", "--link", "logistic"])
    import numpy as np

    p = np.clip(np.loadtxt(folder / "p.txt"), 1e-7, 1 - 1e-7)
    y = np.array([line.startswith("1") for line in open(fresh)])
    loss_vw = -np.where(y, np.log(p), np.log1p(-p)).mean()
    common.handcar("eval", fresh, "-m", ours, "--report", folder / "e.json")
    loss = json.loads((folder / "e.json").read_text())["metrics"]["logloss"]
    common.handcar("bench", "roofline", clicks, "--rounds", runs, "--report", folder / "b.json", "--quiet", env=env)
    roofline = json.loads((folder / "b.json").read_text())["roofline"]
    share, scaling = f"{roofline['share']:.3f}", f"{roofline['two_threads']:.2f}"
    gather = f"{roofline['gather_rows_per_second'] / 1e6:.2f}"
    common.table(
        ["one thread, from the cache", "handcar ftrl", "Vowpal Wabbit", "ratio", "bar"],
        [
            ["rows a second", f"{mine / 1e6:.2f} M", f"{theirs / 1e6:.3f} M", f"{ratio:.1f} x", "at least 15 x"],
            ["log loss of fresh rows", f"{loss:.5f}", f"{loss_vw:.5f}", f"{loss / loss_vw:.4f}", "at most 1"],
            ["share of the gather roofline", f"{share} of {gather} M rows/s", "", "", "at least 0.6"],
            ["two threads", f"{scaling} x one", "", "", ""],
        ],
    )
