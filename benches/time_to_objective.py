#!/usr/bin/env python3
"""Question: how long until F <= (1+1e-3)F* and F <= (1+1e-4)F*, against liblinear's -s 6, on one thread?

Data: `handcar synth criteo` (or any Criteo TSV), l1 = 4, no intercept, parsed and in memory for both; transposing rows
into columns is counted for both. F* is the lowest objective either reaches, so the ratio favours nobody.

    benches/time_to_objective.py [--rows N | --input FILE --repeat K] [--eps 1,0.3,...] [--passes N]

Makes benches/.venv with liblinear-official and numpy; builds handcar in release; prints machine, times and ratios.
"""

import argparse
import ctypes
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "benches" / ".venv"
PEERS = ["liblinear-official==2.50.0", "numpy"]


def inside_venv():
    """Runs this script again with the peers' Python."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix) == VENV:
        return
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS], check=True)
    os.execv(str(python), [str(python), *sys.argv])


def build():
    base = ["cargo", "build", "--release", "-q"]
    subprocess.run([*base, "-p", "handcar-cli"], cwd=ROOT, check=True)
    subprocess.run([*base, "-p", "handcar-train", "--example", "trace"], cwd=ROOT, check=True)
    return ROOT / "target" / "release"


def handcar(binary, path, l1, passes):
    """[(seconds, objective)] with the transposition added to each time."""
    command = [binary / "examples" / "trace", path, f"l1={l1}", "intercept=0", f"passes={passes}", "tol=0", "transpose=1"]
    out = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout
    transpose = float(re.search(r"transpose ([\d.]+)s", out).group(1))
    found = re.findall(r"^pass +\d+ +([\d.]+)s F ([\d.]+)", out, re.M)
    print(f"handcar: transposition {transpose:.3f} s, {len(found)} passes, last F {found[-1][1]}")
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


def liblinear_runs(path, l1, tolerances):
    """[(seconds, objective)], one run a tolerance; loading is not timed."""
    import numpy as np
    from liblinear.liblinear import liblinear, parameter, problem

    ids, y, keys = tokens(path)
    n, fields = ids.shape
    nodes = np.zeros((n, fields + 1), np.dtype([("index", np.int32), ("value", np.float64)], align=True))
    nodes["index"][:, :fields] = ids + 1
    nodes["value"][:, :fields] = 1
    nodes["index"][:, fields] = -1
    rows = (nodes.ctypes.data + np.arange(n, dtype=np.uint64) * np.uint64((fields + 1) * 16)).astype(np.uint64)
    prob = problem.__new__(problem)
    ctypes.Structure.__init__(prob)
    prob.l, prob.n, prob.bias = n, keys, -1
    prob.y = ctypes.cast(y.ctypes.data, type(prob.y))
    prob.x = ctypes.cast(rows.ctypes.data, type(prob.x))
    runs = []
    for eps in tolerances:
        param = parameter(f"-s 6 -c {1 / l1} -e {eps} -q")
        start = time.perf_counter()
        model = liblinear.train(ctypes.byref(prob), ctypes.byref(param)).contents
        seconds = time.perf_counter() - start
        w = np.ctypeslib.as_array(model.w, (keys,)).copy() * (1 if model.label[0] > 0 else -1)
        margins = y * w[ids].sum(1)
        objective = np.sum(np.maximum(0, -margins) + np.log1p(np.exp(-abs(margins)))) + l1 * abs(w).sum()
        runs.append((seconds, float(objective)))
        print(f"liblinear -e {eps}: {seconds:.2f} s, F {objective:.4f}", flush=True)
    return runs


def first(runs, bound):
    reached = [s for s, f in runs if f <= bound]
    return min(reached) if reached else None


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--rows", type=int, default=1_000_000)
    args.add_argument("--input", type=Path, help="Criteo TSV (gzip allowed) instead of drawn rows")
    args.add_argument("--repeat", type=int, default=1)
    args.add_argument("--l1", type=float, default=4.0)
    args.add_argument("--passes", type=int, default=60)
    args.add_argument("--eps", default="1,0.3,0.1,0.03,0.01,0.003,0.001")
    args = args.parse_args()
    inside_venv()
    binary = build()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clicks.tsv"
        if args.input:
            import gzip

            raw = args.input.read_bytes()
            path.write_bytes((gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw) * args.repeat)
        else:
            draw = [binary / "handcar", "synth", "criteo", "--rows", args.rows, "--seed", 1, "-o", path]
            subprocess.run([str(d) for d in draw], check=True)
        print(time.strftime("%Y-%m-%d"), platform.machine(), f"{os.cpu_count()} cores", " ".join(sys.argv))
        ours = handcar(binary, path, args.l1, args.passes)
        theirs = liblinear_runs(path, args.l1, [float(e) for e in args.eps.split(",")])
    best = min(f for _, f in ours + theirs)
    print(f"F* = {best:.4f}")
    for share in (1e-3, 1e-4):
        a, b = first(ours, best * (1 + share)), first(theirs, best * (1 + share))
        shown = ["not reached" if s is None else f"{s:.2f} s" for s in (a, b)]
        slowest = max(s for s, _ in theirs)
        ratio = f"{a / b:.3f}" if a and b else (f"below {a / slowest:.3f}" if a else "-")
        print(f"F <= (1+{share:g})F*: handcar {shown[0]}, liblinear {shown[1]}, ratio {ratio}")


if __name__ == "__main__":
    main()
