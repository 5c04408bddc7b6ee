"""Is the main job as fast and as small as at an earlier commit? Both are built and run in turns; medians."""

import re
import subprocess
import time
from pathlib import Path

import common

BAR = 1.10


def build(commit):
    """The folder with the programs of an earlier commit, built in a working tree of its own."""
    tree = common.ROOT / "target" / "against" / commit
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "-q", "--detach", str(tree), commit], cwd=common.ROOT, check=True)
    base = ["cargo", "build", "--release", "-q", "--locked", "--target-dir", str(tree / "target")]
    subprocess.run([*base, "-p", "handcar-cli"], cwd=tree, check=True)
    for package in ("handcar-data", "handcar-ps", "handcar-train"):
        subprocess.run([*base, "-p", package, "--examples"], cwd=tree, check=True)
    return tree / "target" / "release"


def seconds(command):
    start = time.perf_counter()
    common.run(command)
    return time.perf_counter() - start


def passes(release, path):
    """Seconds of seven passes in memory, turning rows into columns included."""
    out = common.run([release / "examples" / "trace", path, "l1=4", "intercept=0", "passes=7", "tol=0", "transpose=1"])
    transposed = float(re.search(r"transpose ([\d.]+)s", out).group(1))
    return transposed + float(re.findall(r"^pass +\d+ +([\d.]+)s", out, re.M)[-1])


def parsed(release, path, folder):
    """Seconds from text to the packed cache, on one core."""
    out = common.run([release / "examples" / "parse_rate", path, 1, 1, Path(folder) / "cache"])
    return path.stat().st_size / 1e6 / float(re.search(r"text -> cache: ([\d.]+) MB/s", out).group(1))


def network(release):
    """Seconds of push and pull of 1,000,000 cached keys, and of a pull of one, between two processes."""
    out = common.run([release / "examples" / "net_rate"])
    of = lambda what, unit: float(re.search(rf"^{what} +([\d.]+) {unit}", out, re.M).group(1))
    return of("push", "ms") / 1e3, of("pull", "ms") / 1e3, of("one-key pull", "us") / 1e6


def measure(folder, runs, against, **_):
    if not against:
        return common.say("against: skipped, no commit named (--against COMMIT)")
    large, small = common.clicks(folder, 1_000_000), common.clicks(folder, 240_000)
    fit = ["fit", small, "--l1", "4", "--no-intercept", "--no-cache", "--quiet", "--threads", "1", "-m", Path(folder) / "model"]
    cluster = ["launch", "local", "--servers", "2", "--workers", "2", "--", *fit]
    jobs = {
        "seven passes, 1,000,000 drawn clicks in memory": lambda r: passes(r, large),
        "text to model, 240,000 drawn clicks": lambda r: seconds([r / "handcar", *fit]),
        "the same, 2 servers and 2 workers": lambda r: seconds([r / "handcar", *cluster]),
        "Criteo text to packed cache": lambda r: parsed(r, large, folder),
        "peak memory, text to model": lambda r: common.peak_memory([str(c) for c in [r / "handcar", *fit]]) / 1e6,
    }
    wires = ["push of 1,000,000 cached keys", "pull of 1,000,000 cached keys", "pull of one key"]
    ways = {"then": build(against), "now": common.RELEASE}
    found = {name: {way: [] for way in ways} for name in [*jobs, *wires]}
    for i in range(runs):
        for name, job in jobs.items():
            for way, release in ways.items():
                found[name][way].append(job(release))
        # It takes its own medians, and a minute or two.
        for way, release in ways.items() if i == 0 else []:
            for name, value in zip(wires, network(release)):
                found[name][way].append(value)
        common.say(f"against: round {i + 1} of {runs}")
    rows = []
    for name, values in found.items():
        then, now = (common.median(values[way]) for way in ways)
        unit, scale = ("MB", 1) if name.startswith("peak") else ("s", 1) if then > 0.1 else ("ms", 1e3) if then > 1e-3 else ("µs", 1e6)
        rows.append([name, f"{then * scale:.3g} {unit}", f"{now * scale:.3g} {unit}", f"{now / then:.2f}", f"at most {BAR:.2f}"])
    common.table(["main job", against, "now", "ratio", "bar"], rows)
