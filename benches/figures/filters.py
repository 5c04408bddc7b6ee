"""Bytes on the wire by filter: L1 logistic regression on 40,000 drawn clicks, l1 = 4, two workers and one server over loopback.

Bytes that both workers send until F <= (1+1e-4)F*, with the filters named, of pushes and, after `|`, of pulls. "none" is a protocol
without the KKT filter that writes 8 bytes a key, 4 a number pushed and 8 an integer of a reduction.
"""

import common
from figures import style

SPECS = [
    ("KKT, key lists named", ""),
    ("and zeros left out", "zero|zero"),
    ("and zstd", "zero,zstd:19|zero,zstd:9"),
    ("and 2-byte fixed point", "zero,error-feedback:fixed-point:2,zstd:19|zero,zstd:9"),
]
OFF = "-"


def draw(folder):
    clicks = common.clicks(folder, 40_000)
    optimum = common.example("filters", 4, 1e-4, 1, 2, 1, OFF, clicks)
    optimum = float(optimum.splitlines()[-1].split("\t")[2]) + 1
    out = common.example("filters", 4, 1e-4, repr(optimum), 2, 1, ";".join([*(s for _, s in SPECS), OFF]), clicks)
    runs = {name: rest for kind, name, *rest in (line.split("\t") for line in out.splitlines()) if kind == "run"}
    none = int(runs[OFF][2])
    names, sizes = ["none"], [none]
    for name, spec in SPECS:
        names.append(name)
        sizes.append(int(runs[spec][1]))
    common.table(
        ["filters", "bytes from workers", "times fewer"],
        [[name, f"{size:,}", f"{none / size:.1f}"] for name, size in zip(names, sizes)],
    )
    figure, (axes,) = style.panels(1, width=7)
    bars = axes.barh(names, [size / 1e6 for size in sizes], color=style.COLOURS[0])
    axes.bar_label(bars, [f"  {size / 1e6:.1f} MB, {none / size:.1f}×" for size in sizes])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("MB from workers to servers until F ≤ (1+1e-4)F*")
    axes.set_xlim(0, 1.3 * none / 1e6)
    style.save(figure, "filters")
