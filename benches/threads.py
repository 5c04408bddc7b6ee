"""How much sooner are two threads, against what two cores give a loop that shares nothing?

The batch solver's passes; FTRL's, whose threads own keys and meet once a batch, with equal bits; and those of `--hogwild`, whose threads race.
"""

import re

import common

BARS = {"pass": "0.85", "online": "0.8", "hogwild": "0.9"}
NAMES = {"pass": "passes of dbpg", "online": "a pass of ftrl", "hogwild": "a pass of ftrl --hogwild"}


def measure(folder, runs, **_):
    out = common.example("threads", common.clicks(folder, 1_000_000), runs)
    common.say(out)
    found = re.findall(r"^(\w+) .*: ([\d.]+) x, ([\d.]+) of the control's", out, re.M)
    control = next(scaling for what, scaling, _ in found if what == "control")
    common.table(
        ["two threads against one, 1,000,000 drawn rows", "", "control", "share of the control's", "bar: at least"],
        [[NAMES[what], f"{x} x", f"{control} x", share, BARS[what]] for what, x, share in found if what in BARS],
    )
