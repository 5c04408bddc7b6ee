"""How much sooner are two threads, against what two cores give a loop that shares nothing?"""

import re

import common


def measure(folder, runs, **_):
    out = common.example("threads", common.clicks(folder, 1_000_000), runs)
    common.say(out)
    ours, control = (re.search(rf"^{what} .*: ([\d.]+) x", out, re.M).group(1) for what in ("pass", "control"))
    share = re.search(r"scaling +([\d.]+)", out).group(1)
    common.table(
        ["two threads against one", "handcar's passes", "control", "share of the control's", "bar: at least"],
        [["drawn, 1,000,000 rows", f"{ours} x", f"{control} x", share, "0.85"]],
    )
