"""One look for all figures."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

import common

FOLDER = common.ROOT / "docs" / "figures"
# Colour-blind safe (Okabe and Ito), in the order of use; markers tell lines apart without colour.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "x"]

plt.rcParams.update({
    "svg.hashsalt": "handcar",
    "figure.dpi": 100,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
})


def panels(count, width=4.6, height=3.6):
    """A figure of panels side by side."""
    figure, axes = plt.subplots(1, count, figsize=(width * count, height), layout="constrained")
    return figure, ([axes] if count == 1 else list(axes))


def line(axes, i, x, y, label, **more):
    """The i-th line of a panel."""
    return axes.plot(x, y, color=COLOURS[i], marker=MARKERS[i], label=label, **more)


def save(figure, name):
    """Writes docs/figures/NAME.svg."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    print(f"\ndrawn: {path.relative_to(common.ROOT)}", flush=True)
