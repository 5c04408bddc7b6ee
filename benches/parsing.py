"""How fast does text become a packed cache (localised, columns built) on one core, and how soon does a re-run start?

Against scikit-learn's `load_svmlight_file`, in turns; medians.
"""

import random
import re
import time
from pathlib import Path

import common


def libsvm_file(folder, rows):
    """Sparse binary rows of 33 of 100,000 ids, as click data have them."""
    path = Path(folder) / "rows.libsvm"
    draw = random.Random(1)
    with open(path, "w") as out:
        for _ in range(rows):
            ids = sorted({int(100_000 ** draw.random()) for _ in range(33)})
            out.write(("+1 " if draw.random() < 0.2 else "-1 ") + " ".join(f"{i}:1" for i in ids) + "\n")
    return path


def rates(path, folder):
    """(MB/s to the cache, seconds to open it) of one run."""
    out = common.example("parse_rate", path, 1, 1, Path(folder) / "cache")
    to_cache = float(re.search(r"text -> cache: ([\d.]+) MB/s", out).group(1))
    opened = float(re.search(r"from cache: [\d.]+ MB/s, ([\d.]+) s", out).group(1))
    return to_cache, opened


def svmlight(path):
    from sklearn.datasets import load_svmlight_file

    start = time.perf_counter()
    load_svmlight_file(str(path))
    return path.stat().st_size / 1e6 / (time.perf_counter() - start)


def measure(folder, runs, **_):
    files = {"libsvm": libsvm_file(folder, 300_000), "Criteo": common.clicks(folder, 1_000_000)}
    found = {name: [] for name in files}
    peer = []
    for i in range(runs):
        for name, path in files.items():
            found[name].append(rates(path, folder))
        peer.append(svmlight(files["libsvm"]))
        common.say(f"parsing: round {i + 1} of {runs}")
    rows = []
    for name, path in files.items():
        speed = common.median(r[0] for r in found[name])
        best = max(r[0] for r in found[name])
        opened = common.median(r[1] for r in found[name])
        size = path.stat().st_size / 1e6
        rows.append([f"{name}, {size:.0f} MB", f"{speed:.0f} MB/s", f"{best:.0f} MB/s", "250 MB/s", f"{opened * 1e3:.1f} ms"])
    common.table(["text to packed cache, one core", "median", "best", "bar: at least", "re-run opens it in (bar: 300 ms)"], rows)
    ratio = common.median(f[0] / p for f, p in zip(found["libsvm"], peer))
    common.table(
        ["libsvm", "handcar", "load_svmlight_file", "ratio", "bar: at least"],
        [["one core", f"{common.median(r[0] for r in found['libsvm']):.0f} MB/s", f"{common.median(peer):.1f} MB/s", f"{ratio:.1f} x", "8 x"]],
    )
