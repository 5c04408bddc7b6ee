"""Pictures of fits and predictions, drawn by matplotlib: ``pip install handcar[plot]``.

Each function draws on ``ax``, or on the axes of a new figure, and returns the axes, so that titles, limits and files are matplotlib's
own business.

    >>> from handcar import plot
    >>> plot.loss(model).figure.savefig("loss.png")                # doctest: +SKIP
"""

import json
import os

import numpy as np

from . import _arrays, _labels
from ._linear import BATCH_SOLVERS

__all__ = ["calibration", "loss", "roc"]

# Okabe and Ito's colours, which people tell apart whatever colours they see: blue, vermilion, green, purple, sky, orange.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY = "#767676"
MARKERS = ("o", "s", "^", "D", "v", "P")
# As many points of a curve as a screen can show.
POINTS_MAX = 2000
# The measures of validation rows that are losses, the first there is being drawn.
VALID_LOSSES = ("logloss", "loss")
# What is drawn of one fit has one colour; what was measured on the way is solid, what was measured apart is dashed and hollow.
SOLID = dict(markersize=4, linewidth=1.5)
DASHED = dict(markersize=6, linewidth=1.2, linestyle="--", markerfacecolor="white", markeredgewidth=1.2)


def loss(source, *, label=None, ax=None):
    """How the loss fell, over the rows learned from or, of solvers that go on to the optimum, the gap over passes.

    Parameters
    ----------
    source : estimator, list of dict, or path
        A fitted estimator, its ``history_`` or ``online_``, or the JSON file that ``handcar fit --report`` wrote.
    label : str, optional
        What the curves are called, to tell several fits on the same axes apart.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Minibatch solvers: mean progressive loss, of predictions made before their row was learned from (in the first pass since the
        point before, then over each pass), and the loss on ``eval_set`` after each pass, over rows in a logarithmic scale. Others: the relative distance of the objective to its best, and the
        certified gap, over passes. ``"ftrl+dbpg"`` gives the first.
    """
    history, online = _traces(source)
    ax = _axes(ax)
    prefix = "" if label is None else f"{label}: "
    if online:
        _draw_online(ax, history, online, prefix)
    elif history:
        _draw_passes(ax, history, prefix)
    else:
        raise ValueError("loss: expected a fit with at least one pass, got none (a loaded model has no history)")
    ax.legend(frameon=False)
    return ax


def calibration(y, p, *, sample_weight=None, bins=10, label=None, ax=None):
    """Whether what is predicted with probability p happens with frequency p.

    Parameters
    ----------
    y : array of two values
        What happened; the second in sorted order is the positive class.
    p : array
        Probabilities of the positive class, as ``predict_proba(X)[:, 1]``.
    sample_weight : array, optional
        A factor of each row.
    bins : int
        Groups of about equal weight that rows are put into by p.
    label : str, optional
        What the curve is called, to tell several models on the same axes apart.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        One point a group, with bars of two standard errors; on the diagonal is as predicted.
    """
    positive, p, weight = _scored("calibration", y, p, sample_weight)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"calibration: expected probabilities from 0 to 1, got {p.min():g} to {p.max():g}")
    if not (isinstance(bins, (int, np.integer)) and bins >= 1):
        raise ValueError(f"calibration: expected at least 1 bin, got {bins!r}")
    order = np.argsort(p, kind="stable")
    positive, p, weight = positive[order], p[order], weight[order]
    # The group of a row is that of the middle of its weight; equal predictions stay together.
    middle = np.cumsum(weight) - weight / 2
    first = np.flatnonzero(np.diff(p, prepend=-1) > 0)
    group = np.minimum((middle[first] / weight.sum() * bins).astype(int), bins - 1)
    group = np.repeat(group, np.diff(np.append(first, len(p))))
    mass = np.bincount(group, weight, bins)
    there = mass > 0
    mass = mass[there]
    predicted = np.bincount(group, weight * p, bins)[there] / mass
    observed = np.bincount(group, weight * positive, bins)[there] / mass
    effective = mass**2 / np.bincount(group, weight**2, bins)[there]
    error = 2 * np.sqrt(observed * (1 - observed) / effective)
    ax = _axes(ax)
    top = max(predicted.max(), (observed + error).max(), 1e-12)
    top = 1.0 if top > 0.5 else 1.1 * top
    if not _has(ax, "as predicted"):
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="as predicted", zorder=1)
    else:
        top = max(top, ax.get_xlim()[1])
    colour, marker = _style(ax)
    ratio = np.sum(weight * p) / max(np.sum(weight * positive), 1e-300)
    name = f"{label or 'model'} (predicted/observed {ratio:.3f})"
    bars = dict(yerr=error, elinewidth=1, capsize=2)
    drawn = ax.errorbar(predicted, observed, **bars, color=colour, marker=marker, label=name, **SOLID)
    drawn.lines[0].set_gid("series")
    ax.set(xlim=(0, top), ylim=(0, top), xlabel="mean predicted probability", ylabel="observed frequency of the positive class")
    ax.set_aspect("equal")
    ax.legend(frameon=False, loc="upper left")
    return ax


def roc(y, p, *, sample_weight=None, label=None, ax=None):
    """What share of each class lies above a threshold, for every threshold.

    Parameters
    ----------
    y : array of two values
        What happened; the second in sorted order is the positive class.
    p : array
        Scores: probabilities or margins, larger for rows that are likelier positive.
    sample_weight : array, optional
        A factor of each row.
    label : str, optional
        What the curve is called, to tell several models on the same axes apart.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The curve, with its area (AUC) in the legend; the diagonal is chance.
    """
    positive, p, weight = _scored("roc", y, p, sample_weight)
    # Rows without weight are no steps of the curve.
    order = np.argsort(-p, kind="stable")
    order = order[weight[order] > 0]
    positive, p, weight = positive[order], p[order], weight[order]
    # One point for each distinct score: rows of one score pass the threshold together.
    last = np.flatnonzero(np.append(np.diff(p) != 0, True))
    hits = np.append(0, np.cumsum(weight * positive)[last])
    alarms = np.append(0, np.cumsum(weight * ~positive)[last])
    if not (hits[-1] > 0 and alarms[-1] > 0):
        raise ValueError("roc: expected rows of both classes with weight, got one class")
    hits, alarms = hits / hits[-1], alarms / alarms[-1]
    auc = np.sum(np.diff(alarms) * (hits[1:] + hits[:-1]) / 2)
    ax = _axes(ax)
    if not _has(ax, "chance"):
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="chance", zorder=1)
    name = f"{label or 'model'} (AUC {auc:.4f})"
    ax.plot(*_thinned(alarms, hits), color=_style(ax)[0], linewidth=1.8, label=name, gid="series")
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.set_aspect("equal")
    ax.legend(frameon=False, loc="lower right")
    return ax


def _draw_online(ax, history, online, prefix):
    """Progressive loss as the first pass went on and of each later one, and the loss on validation rows, over all rows so far."""
    passes = [[online[0]]]
    for line in online[1:]:
        before = passes[-1][-1]
        if line["pass"] == before["pass"] and line["rows"] > before["rows"]:
            passes[-1].append(line)
        else:
            passes.append([line])
    ends = np.cumsum([lines[-1]["rows"] for lines in passes])
    # Within a pass that begins again with the first rows, lines would show how these differ from the last.
    rows = [line["rows"] for line in passes[0]] + list(ends[1:])
    losses = [line["loss_since"] for line in passes[0]] + [lines[-1]["loss"] for lines in passes[1:]]
    colour, marker = _style(ax)
    ax.plot(rows, losses, color=colour, marker=marker, label=f"{prefix}progressive", gid="series", **SOLID)
    learned = [p for p in history if p.get("solver") not in BATCH_SOLVERS]
    valid = [(x, y) for x, y in zip(ends, map(_valid_loss, learned)) if y is not None]
    if valid:
        ax.plot(*zip(*valid), color=colour, marker=marker, label=f"{prefix}validation", **DASHED)
    ax.set_xscale("log")
    ax.set(xlabel="rows learned from", ylabel="mean loss of a row")
    _grid(ax)


def _draw_passes(ax, history, prefix):
    """The distance to the best objective, and certified gaps."""
    passes = np.arange(1, len(history) + 1)
    objective = np.array([p["objective"] for p in history], dtype=float)
    best = objective.min()
    above = (objective - best) / max(abs(best), 1e-300)
    colour, marker = _style(ax)
    there, label = above > 0, f"{prefix}objective above its best"
    ax.plot(passes[there], above[there], color=colour, marker=marker, label=label, gid="series", **SOLID)
    gaps = [(i, p["gap"]) for i, p in zip(passes, history) if p.get("gap")]
    if gaps:
        ax.plot(*zip(*gaps), color=colour, marker=marker, label=f"{prefix}certified gap", **DASHED)
    ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="pass", ylabel="share of the objective")
    _grid(ax)


def _traces(source):
    """Passes and progressive lines, whoever has them."""
    if isinstance(source, (str, os.PathLike)):
        with open(source, encoding="utf-8") as file:
            report = json.load(file)
        if not isinstance(report, dict) or "trace" not in report:
            raise ValueError(f"loss: expected a report of `handcar fit --report`, got {os.fspath(source)!r} without a trace")
        return report["trace"], report.get("online") or []
    if hasattr(source, "history_"):
        return source.history_, source.online_
    if isinstance(source, (list, tuple)) and all(isinstance(p, dict) for p in source):
        if source and "loss_since" in source[0]:
            return [], list(source)
        online = [p["online"] for p in source if p.get("online")]
        return list(source), online
    raise ValueError(f"loss: expected a fitted estimator, its history_ or a path of a report, got {type(source).__name__}")


def _valid_loss(p):
    """The loss on validation rows, as the history of an estimator or a report has it."""
    valid = p.get("valid") or p
    return next((valid[name] for name in VALID_LOSSES if valid.get(name) is not None), None)


def _scored(what, y, p, sample_weight):
    """Which rows are positive, their scores, and their weights."""
    p = np.asarray(p, dtype=np.float64)
    if p.ndim != 1:
        raise ValueError(f"{what}: expected one number a row, as predict_proba(X)[:, 1], got shape {p.shape}")
    if not np.isfinite(p).all():
        raise ValueError(f"{what}: expected finite numbers, got NaN or infinity")
    y = _labels.column(y, len(p))
    _, signs = _labels.two_classes(y)
    weights = _arrays.weights(sample_weight, len(p))
    return signs > 0, p, np.ones(len(p)) if weights is None else weights.astype(np.float64)


def _axes(ax):
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("handcar.plot: expected matplotlib, got no such module (pip install 'handcar[plot]')") from None
    _, ax = pyplot.subplots(figsize=(6, 4.5), layout="constrained")
    return ax


def _grid(ax):
    ax.grid(True, which="major", color="#E0E0E0", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _has(ax, label):
    """Whether a curve of that label is there already."""
    return label in ax.get_legend_handles_labels()[1]


def _style(ax):
    """Colour and marker of the next fit or model on these axes."""
    n = sum(line.get_gid() == "series" for line in ax.get_lines())
    return COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]


def _thinned(x, y):
    """Points of a monotone curve, as many as can be seen."""
    if len(x) <= POINTS_MAX:
        return x, y
    at = np.linspace(0, x[-1] + y[-1], POINTS_MAX)
    keep = np.unique(np.append(np.searchsorted(x + y, at), [0, len(x) - 1]))
    return x[keep], y[keep]
