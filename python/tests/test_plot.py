"""Pictures show the numbers that they are of."""

import json
import subprocess
import sys

import handcar
import matplotlib
import numpy as np
import pytest
from handcar import plot
from sklearn.metrics import roc_auc_score, roc_curve

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


@pytest.fixture
def scored():
    """Labels, probabilities that they follow, and weights."""
    random = np.random.default_rng(2)
    p = random.beta(1, 3, 4000).round(3)
    return (random.random(4000) < p).astype(int), p, random.integers(0, 4, 4000)


def curves(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_the_loss_of_a_minibatch_solver_is_drawn_over_rows(problem):
    X, y = np.tile(problem[0], (40, 1)), np.tile(problem[1], 40)
    model = handcar.SGDClassifier(max_iter=3).fit(X, y, eval_set=problem)
    ax = plot.loss(model, label="adagrad")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("rows learned from", "mean loss of a row", "log")
    solid, dashed = curves(ax)["adagrad: progressive"], curves(ax)["adagrad: validation"]
    np.testing.assert_array_equal(solid[:, 0], [1024, 2048, 4096, 4800, 9600, 14400])
    np.testing.assert_allclose(solid[0, 1], model.online_[0]["loss_since"])
    np.testing.assert_allclose(solid[-1, 1], model.online_[-1]["loss"])
    np.testing.assert_array_equal(dashed[:, 0], [4800, 9600, 14400])
    np.testing.assert_allclose(dashed[:, 1], [h["valid"]["logloss"] for h in model.history_])
    # A second fit on the same axes has its own colour and the same scale.
    before = ax.get_lines()[0].get_color()
    assert plot.loss(handcar.SGDClassifier(solver="ftrl+sgd").fit(X, y), label="both", ax=ax) is ax
    assert ax.get_lines()[-1].get_color() != before
    assert curves(ax)["both: progressive"][-1, 0] == 11 * 4800
    assert len(plot.loss(model.history_).get_lines()) == 2 and len(plot.loss(model.online_).get_lines()) == 1


def test_the_gap_of_a_batch_solver_is_drawn_over_passes(problem, tmp_path):
    model = handcar.LogisticRegression().fit(*problem)
    ax = plot.loss(model)
    assert ax.get_xlabel() == "pass" and ax.get_yscale() == "log"
    assert curves(ax)["certified gap"][-1, 1] == pytest.approx(model.gap_)
    (tmp_path / "report.json").write_text(json.dumps({"command": "fit", "trace": model.history_}))
    again = plot.loss(tmp_path / "report.json")
    np.testing.assert_array_equal(curves(again)["certified gap"], curves(ax)["certified gap"])


def test_the_report_of_the_command_line_is_drawn(command, adult, tmp_path):
    command("fit", adult, "--label", "income", "--solver", "ftrl", "--holdout", "0.2", "--report", tmp_path / "r.json", "-m", tmp_path / "m")
    drawn = curves(plot.loss(tmp_path / "r.json"))
    assert drawn["progressive"][-1, 0] > 30_000 and 0.2 < drawn["validation"][-1, 1] < 0.5


def test_calibration_groups_rows_by_weight(scored):
    y, p, weight = scored
    for weights in (None, weight):
        ax = plot.calibration(y, p, sample_weight=weights, bins=5)
        w = np.ones(len(y)) if weights is None else weights
        points = ax.containers[0].lines[0].get_xydata()
        assert len(points) == 5 and (np.abs(points[:, 0] - points[:, 1]) < 0.05).all()
        # Each group has a fifth of the weight, so means of the groups are nearly the mean of all.
        np.testing.assert_allclose(points.mean(axis=0), [np.average(p, weights=w), np.average(y, weights=w)], atol=5e-3)
        assert f"{np.average(p, weights=w) / np.average(y, weights=w):.3f}" in ax.get_legend_handles_labels()[1][-1]
    assert len(plot.calibration([0, 1], [0.5, 0.5]).containers[0].lines[0].get_xydata()) == 1


def test_roc_is_the_curve_of_scikit_learn(scored):
    y, p, weight = scored
    for weights in (None, weight):
        ax = plot.roc(y, p, sample_weight=weights, label="mine")
        name = f"mine (AUC {roc_auc_score(y, p, sample_weight=weights):.4f})"
        fpr, tpr, _ = roc_curve(y, p, sample_weight=weights, drop_intermediate=False)
        np.testing.assert_allclose(curves(ax)[name], np.column_stack([fpr, tpr]), atol=1e-12)
    plot.roc(y, -p, label="against", ax=ax)
    assert [t for t in ax.get_legend_handles_labels()[1] if t == "chance"] == ["chance"]
    long = plot.roc(np.tile(y, 5), np.random.default_rng(0).random(20000)).get_lines()[-1].get_xydata()
    assert len(long) <= 2001 and tuple(long[0]) == (0, 0) and tuple(long[-1]) == (1, 1)


@pytest.mark.parametrize(
    "draw, told",
    [
        (lambda: plot.loss(3), "expected a fitted estimator, its history_ or a path of a report, got int"),
        (lambda: plot.loss([]), "loss: expected a fit with at least one pass"),
        (lambda: plot.roc([0, 0], [0.1, 0.2]), "two classes"),
        (lambda: plot.roc([0, 1], [0.1, 0.2], sample_weight=[1, 0]), "roc: expected rows of both classes with weight"),
        (lambda: plot.roc([0, 1], [[0.1, 0.9], [0.2, 0.8]]), "roc: expected one number a row"),
        (lambda: plot.calibration([0, 1], [0.1, 1.2]), "calibration: expected probabilities from 0 to 1, got 0.1 to 1.2"),
        (lambda: plot.calibration([0, 1], [0.1, np.nan]), "calibration: expected finite numbers"),
        (lambda: plot.calibration([0, 1], [0.1, 0.2], bins=0), "calibration: expected at least 1 bin, got 0"),
        (lambda: plot.calibration([0, 1, 1], [0.1, 0.2]), "y: expected 2 labels"),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, told):
    with pytest.raises(ValueError) as error:
        draw()
    assert told in str(error.value)


def test_a_report_without_a_trace_is_told(tmp_path):
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(ValueError, match="without a trace"):
        plot.loss(tmp_path / "r.json")


def test_without_matplotlib_the_extra_is_named():
    code = "import sys; sys.modules['matplotlib'] = None\nfrom handcar import plot\nplot.roc([0, 1], [0, 1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'handcar[plot]'" in done.stderr
