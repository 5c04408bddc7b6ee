"""How soon after the build does README's first command have a model, and how good is it with defaults?"""

import re
import time
from pathlib import Path

import common


def measure(folder, runs, **_):
    seconds, auc = [], []
    for _ in range(runs):
        start = time.perf_counter()
        out = common.handcar(
            "fit", "data/adult.csv.gz", "--label", "income", "--holdout", "0.2", "--no-cache", "-m", Path(folder) / "adult",
            cwd=common.ROOT,
        )
        seconds.append(time.perf_counter() - start)
        auc.append(float(re.search(r"^holdout +AUC ([\d.]+)", out, re.M).group(1)))
    common.table(
        ["README's first command", "measured", "bar"],
        [["seconds", f"{common.median(seconds):.2f}", "at most 2"], ["AUC on the holdout", f"{min(auc):.4f}", "at least 0.900"]],
    )
