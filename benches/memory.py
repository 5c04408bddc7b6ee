"""How much memory do training on 1,000,000 rows of 39 entries, and predicting any number of rows, take at most?"""

import json
from pathlib import Path

import common

MB = 1e6


def measure(folder, **_):
    path = common.clicks(folder, 1_000_000)
    model, report = Path(folder) / "model", Path(folder) / "report"
    program = common.RELEASE / "handcar"
    fit = [program, "fit", path, "--l1", 4, "--no-cache", "--passes", 12, "--quiet", "-m", model, "--report", report]
    peak = common.peak_memory(fit)
    keys = json.loads(report.read_text())["features"]
    bar = 12 * 39e6 + 64 * keys + 64 * MB
    common.table(
        ["training, 1,000,000 x 39, from text", "peak", "bar: at most"],
        [[f"{keys:,} keys", f"{peak / MB:.0f} MB", f"{bar / MB:.0f} MB (12 a nonzero, 64 a key, 64 MB)"]],
    )
    rows = []
    for n in (300_000, 1_200_000):
        more = common.clicks(folder, n, seed=2)
        peak = common.peak_memory([program, "predict", more, "-m", model, "-o", Path(folder) / "out"])
        bar = model.stat().st_size + 100 * MB
        rows.append([f"{n:,}", f"{peak / MB:.0f} MB", f"{bar / MB:.0f} MB (the model and 100 MB)"])
    common.table(["predicting, rows", "peak", "bar: at most"], rows)
