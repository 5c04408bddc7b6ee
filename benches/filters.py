"""How many bytes does each filter save between workers and servers, and what does it do to the objective?

L1 logistic regression, l1 = 4, no intercept, tol = 1e-4; two workers and one server over loopback, bytes of both workers
over the whole run. Without `--clicks` drawn rows stand in. F* is the lowest objective of all runs. A number of bytes
before a filter is that after the one before it, and counts what goes through this table's filters only; "sent" and
"received" count every byte. At last all filters together against none until F <= (1+1e-4)F*, where "none" has the KKT
filter off and counts 8 bytes a key, 4 a number pushed, 8 an integer of a reduction.
"""

import common

# Specs of pushes, and after `|` of pulls.
RUNS = [
    "",
    "key-cache",
    "zero|zero",
    "lz4|lz4",
    "zstd:9|zstd:9",
    "fixed-point:1",
    "fixed-point:2",
    "fixed-point:3",
    "fixed-point:4",
    "error-feedback:fixed-point:1",
    "random-skip:0.9",
    "significant:1",
    "countmin:1",
    "error-feedback:countmin:1",
]
TOGETHER = [
    "key-cache,zero,zstd:19|zero,zstd:9",
    "key-cache,zero,fixed-point:2,zstd:19|zero,zstd:9",
    "key-cache,zero,error-feedback:fixed-point:1,zstd:19|zero,zstd:9",
    "key-cache,zero,error-feedback:fixed-point:2,zstd:19|zero,zstd:9",
]
OFF = "-"


def grouped(n):
    return f"{int(n):,}"


def measure(folder, clicks=None, **_):
    files = clicks or [common.clicks(folder, 40_000)]
    optimum = common.example("filters", 4, 1e-4, 1, 2, 1, "-", *files)
    optimum = float(optimum.splitlines()[-1].split("\t")[2]) + 1
    out = common.example("filters", 4, 1e-4, repr(optimum), 2, 1, ";".join([*RUNS, *TOGETHER, OFF]), *files)
    lines = [line.split("\t") for line in out.splitlines()]
    runs = {name: rest for kind, name, *rest in lines if kind == "run"}
    saved = [rest for kind, *rest in lines if kind == "filter"]
    failed = {rest[0]: rest[1] for kind, *rest in lines if kind == "failed"}
    rows = []
    for run in RUNS:
        if run in failed:
            rows.append([f"`{run}`", failed[run], "", "", "", "", "", ""])
            continue
        off, _, _, _, passes, converged, sent, received = runs[run]
        filters = [s[1:] for s in saved if s[0] == run and (not run or s[1] != "kkt")]
        for name, direction, before, after in filters or [["(nothing)", "", 0, 0]]:
            change = f"{float(off):.1e}{'' if converged == 'true' else ', no certificate'}"
            rows.append([f"`{run}`" if run else "kkt only", f"{name}, {direction}", grouped(before), grouped(after), change, passes, grouped(sent), grouped(received)])
    common.table(["filters", "filter", "bytes before", "after", "F/F* - 1", "passes", "sent", "received"], rows)
    none = runs[OFF]
    rows = [["none", none[3], grouped(none[2]), "1", ""]]
    for run in ["", *(t for t in TOGETHER if t in runs)]:
        there = runs[run]
        rows.append([f"kkt, `{run}`" if run else "kkt", there[3], grouped(there[1]), f"{int(none[2]) / int(there[1]):.1f}", "at least 10" if run == TOGETHER[-1] else ""])
    common.table(["until F <= (1+1e-4)F*", "passes", "bytes from workers", "times fewer", "bar"], rows)
