"""What share of raw TCP over loopback do push and pull of 1,000,000 cached keys reach, and what does one key cost?"""

import re

import common


def measure(**_):
    out = common.example("net_rate")
    share = lambda what: re.search(rf"^{what} .*= ([\d.]+)% of raw", out, re.M).group(1)
    one = re.search(r"^one-key pull .*= +([\d.]+) x", out, re.M).group(1)
    rows = [["push", f"{share('push')} % of raw writes", "at least 40 %"], ["pull", f"{share('pull')} % of raw writes", "at least 40 %"]]
    rows.append(["pull of one key", f"{one} x a raw ping-pong", "at most 3 x"])
    common.table(["two processes, loopback", "measured", "bar"], rows)
