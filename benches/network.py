"""What share of raw TCP over loopback do push and pull of 1,000,000 keys reach, and what do one key and a copy cost?"""

import re

import common


def measure(**_):
    out = common.example("net_rate")
    share = lambda what: re.search(rf"^{what} .*= +([\d.]+)% of raw", out, re.M).group(1)
    one = re.search(r"^one-key pull .*= +([\d.]+) x", out, re.M).group(1)
    rows = []
    for what, bar in [("push", 60), ("pull", 60), ("uncached push", 50), ("uncached pull", 50)]:
        rows.append([what, f"{share(what)} % of raw writes", f"at least {bar} %"])
    rows.append(["pull of one key", f"{one} x a raw ping-pong", "at most 2 x"])
    local = re.search(r"^local push\+pull of +67108864 keys +([\d.]+) us .* takes +([\d.]+) us", out, re.M)
    rows.append(["embedded push+pull, 64 Mi keys", f"{100 * float(local[2]) / float(local[1]):.0f} % of a copy", "at least 50 %"])
    copies = common.example("replica_rate")
    twice = re.search(r"^ +1000000 keys: .* = ([\d.]+) x", copies, re.M).group(1)
    rows.append(["push+pull with two copies of each key", f"{twice} x the time with one", "at most 2 x"])
    common.table(["processes, loopback", "measured", "bar"], rows)
