"""How fast does text become a packed cache (localised, columns built) on one core, and how soon does a re-run start?

Against scikit-learn's `load_svmlight_file`, in turns; medians.
"""

import re
import time
import zlib
from pathlib import Path

import common

LIBSVM_ROWS = 300_000


def libsvm_file(folder, clicks):
    """The drawn clicks as libsvm: an id for each field and value, as hashing to 2^22 would give."""
    path = Path(folder) / "rows.libsvm"
    with open(clicks) as rows, open(path, "w") as out:
        for line, _ in zip(rows, range(LIBSVM_ROWS)):
            label, *values = line.rstrip("\n").split("\t")
            ids = sorted({zlib.crc32(f"{f}={v}".encode()) % 2**22 for f, v in enumerate(values)})
            out.write(("+1 " if label == "1" else "-1 ") + " ".join(f"{i}:1" for i in ids) + "\n")
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
    clicks = common.clicks(folder, 1_000_000)
    files = {"libsvm": libsvm_file(folder, clicks), "Criteo": clicks}
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
