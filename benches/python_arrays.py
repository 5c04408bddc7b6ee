"""What do push and pull of 1,000,000 f32 values cost from Python, beside one copy of them, and what does one key?"""

import subprocess
import sys
import time

import common

KEYS = 1_000_000


def timed(call, runs, calls=1):
    """Median seconds of one of `calls` calls, after one to warm up."""
    call()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        seconds.append((time.perf_counter() - start) / calls)
    return common.median(seconds)


def install():
    """handcar into the environment that this runs in."""
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", str(common.ROOT / "python")], check=True)


def measure(runs, **_):
    install()
    import numpy as np

    import handcar.ps as ps

    values, to = np.ones(KEYS, np.float32), np.zeros(KEYS, np.float32)
    with ps.embed() as worker:
        table = worker.table("t", "sum.f32")
        keys = ps.Keys(np.arange(KEYS, dtype=np.uint64) * 97)
        one, single = keys[:1], values[:1]
        table.insert(keys).wait()
        copy = timed(lambda: np.copyto(to, values), runs)
        push = timed(lambda: table.push(keys, values).wait(), runs)
        new = timed(lambda: table.pull(keys).wait(), runs)
        out = timed(lambda: table.pull(keys, out=to).wait(), runs)
        key = timed(lambda: table.push_pull(one, single).wait(), runs, calls=1000)
    ms = lambda seconds: f"{1e3 * seconds:.2f} ms"
    rows = [
        ["one copy, for comparison", ms(copy), ""],
        ["push, which copies once", ms(push), f"at most 4 copies: {push / copy:.1f}"],
        ["pull into a new array, which copies nothing", ms(new), f"at most 3 copies: {new / copy:.1f}"],
        ["pull into `out=`, which copies once", ms(out), f"at most 5 copies: {out / copy:.1f}"],
        ["push_pull of one key", f"{1e6 * key:.1f} µs", "at most 20 µs"],
    ]
    common.table(["one process, one server, cached keys", "measured", "bar"], rows)
