"""How long until F <= (1+1e-3)F* and F <= (1+1e-4)F*, against liblinear's -s 6, on one thread?

l1 = 4, no intercept, parsed and in memory for both; turning rows into columns is counted for both. F* is the lowest
objective either reaches, so the ratio favours nobody. liblinear gets, for each bound, the loosest of its tolerances
that reaches it. Runs of both take turns; medians.
"""

import ctypes
import gzip
import re
import time
from pathlib import Path

import common

BOUNDS = (1e-3, 1e-4)
TOLERANCES = (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
L1 = 4.0


def handcar_run(path, passes):
    """[(seconds, objective)] of the passes, the transposition added to each time."""
    out = common.example("trace", path, f"l1={L1}", "intercept=0", f"passes={passes}", "tol=0", "transpose=1")
    transpose = float(re.search(r"transpose ([\d.]+)s", out).group(1))
    found = re.findall(r"^pass +\d+ +([\d.]+)s F ([\d.]+)", out, re.M)
    return [(float(s) + transpose, float(f)) for s, f in found]


def tokens(path):
    """Local ids [rows, 39] and labels, featurised as handcar does: one id a field and value."""
    import numpy as np

    maps = [{} for _ in range(39)]
    ids, labels = [], []
    bucket = {}
    with open(path, "rb") as lines:
        for line in lines:
            parts = line.rstrip(b"\n").split(b"\t")
            parts += [b""] * (40 - len(parts))
            labels.append(1.0 if parts[0] == b"1" else -1.0)
            row = []
            for f in range(39):
                t = parts[f + 1]
                if f < 13 and t:
                    if t not in bucket:
                        v = int(t)
                        size = int(np.floor(np.log(abs(v)) ** 2)) if abs(v) > 2 else abs(v)
                        bucket[t] = (v < 0, abs(v) > 2, size)
                    t = bucket[t]
                row.append(maps[f].setdefault(t, len(maps[f])))
            ids.append(row)
    ids = np.array(ids, np.int64)
    base = np.cumsum([0] + [len(m) for m in maps])
    return ids + base[:39], np.array(labels), int(base[-1])


class Liblinear:
    """Rows in liblinear's memory, ready to train on: ids of each row, labels, number of ids."""

    def __init__(self, ids, y, keys):
        import numpy as np
        from liblinear.liblinear import problem

        self.ids, self.y, self.keys = ids, y, keys
        n, fields = ids.shape
        self.nodes = np.zeros((n, fields + 1), np.dtype([("index", np.int32), ("value", np.float64)], align=True))
        self.nodes["index"][:, :fields] = ids + 1
        self.nodes["value"][:, :fields] = 1
        self.nodes["index"][:, fields] = -1
        width = np.uint64((fields + 1) * 16)
        self.rows = (self.nodes.ctypes.data + np.arange(n, dtype=np.uint64) * width).astype(np.uint64)
        self.problem = problem.__new__(problem)
        ctypes.Structure.__init__(self.problem)
        self.problem.l, self.problem.n, self.problem.bias = n, keys, -1
        self.problem.y = ctypes.cast(y.ctypes.data, type(self.problem.y))
        self.problem.x = ctypes.cast(self.rows.ctypes.data, type(self.problem.x))

    def train(self, tolerance):
        """(seconds, weights)"""
        import numpy as np
        from liblinear.liblinear import liblinear, parameter

        param = parameter(f"-s 6 -c {1 / L1} -e {tolerance} -q")
        start = time.perf_counter()
        model = liblinear.train(ctypes.byref(self.problem), ctypes.byref(param))
        seconds = time.perf_counter() - start
        sign = 1 if model.contents.label[0] > 0 else -1
        weights = np.ctypeslib.as_array(model.contents.w, (self.keys,)) * sign
        liblinear.free_and_destroy_model(ctypes.byref(model))
        return seconds, weights

    def run(self, tolerance):
        """(seconds, objective)"""
        import numpy as np

        seconds, weights = self.train(tolerance)
        margins = self.y * weights[self.ids].sum(1)
        loss = np.sum(np.maximum(0, -margins) + np.log1p(np.exp(-abs(margins))))
        return seconds, float(loss + L1 * abs(weights).sum())


def first(run, bound):
    return next((s for s, f in run if f <= bound), None)


def compare(name, path, passes, runs, patience):
    """Table rows for one file. `patience`: seconds after which liblinear's next tolerance is not tried."""
    peer = Liblinear(*tokens(path))
    long = handcar_run(path, passes)
    theirs = []
    for tolerance in TOLERANCES:
        theirs.append((tolerance, *peer.run(tolerance)))
        common.say(f"{name}: liblinear -e {tolerance}: {theirs[-1][1]:.2f} s, F {theirs[-1][2]:.3f}")
        best = min(f for _, f in long + [t[1:] for t in theirs])
        if theirs[-1][1] > patience or theirs[-1][2] <= best * (1 + min(BOUNDS)):
            break
    loosest = {b: next((t[0] for t in theirs if t[2] <= best * (1 + b)), None) for b in BOUNDS}
    needed = 2 + max(i for i, (_, f) in enumerate(long) if f > best * (1 + min(BOUNDS)))
    ours, peers = {b: [] for b in BOUNDS}, {b: [] for b in BOUNDS}
    for i in range(runs):
        # One pass more than needed, since the last one also certifies.
        passes = handcar_run(path, needed + 1)
        for b in BOUNDS:
            ours[b].append(first(passes, best * (1 + b)))
            if loosest[b]:
                peers[b].append(peer.run(loosest[b])[0])
        common.say(f"{name}: round {i + 1} of {runs}")
    rows = []
    for b in BOUNDS:
        us = common.median(ours[b])
        if loosest[b]:
            them = common.median(peers[b])
            rows.append([name, f"{b:g}", f"{us:.2f} s", f"{them:.2f} s (-e {loosest[b]})", f"{us / them:.3f}", "0.2"])
        else:
            last = theirs[-1]
            off = last[2] / best - 1
            missed = f"not within {last[1]:.1f} s (-e {last[0]}: {off:.1e})"
            rows.append([name, f"{b:g}", f"{us:.2f} s", missed, f"below {us / last[1]:.3f}", "0.2"])
    return rows


def measure(folder, runs, raw=None, **_):
    rows = compare("drawn, 1,000,000 rows", common.clicks(folder, 1_000_000), 40, runs, 60)
    if raw and Path(raw).exists():
        path = Path(folder) / "raw.tsv"
        data = Path(raw).read_bytes()
        path.write_bytes((gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data) * 100)
        rows += compare("raw Criteo rows x 100", path, 120, runs, 60)
    else:
        common.say("raw Criteo rows: skipped, name a file with --raw")
    common.table(["rows", "F within", "handcar", "liblinear -s 6", "ratio", "bar: at most"], rows)
