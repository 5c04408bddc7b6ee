"""Labels that are numbers, on their way from arrays, tables and files to models."""

import handcar
import numpy as np
import pytest
from handcar import _handcar

OPTIONS = dict(
    solver="adagrad", l1=0.0, l2=0.0, rate=0.5, beta=1.0, batch_rows=64, fit_intercept=True, delay=0, max_iter=20,
    tol=1e-4, n_threads=1, seed=0, kkt_filter=True, filters="", pull_filters="", label=None,
)  # fmt: skip


@pytest.fixture
def line():
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (800, 3)).astype(np.float32)
    return x, (x @ [1.0, -2.0, 0.5] + 0.7).astype(np.float32)


def test_a_line_is_found_from_arrays(line):
    x, y = line
    rows = _handcar.Dataset.from_dense(x, y, None, "real")
    assert rows.label_kind == "real"
    assert set(rows.labels) == set(y)
    for loss, delta in (("squared", None), ("huber", 0.5)):
        model, _, online, *_ = _handcar.fit(rows, loss=loss, huber_delta=delta, **OPTIONS)
        means = model.means(model.margins_dense(x))
        assert np.sqrt(np.mean((means - y) ** 2)) < 0.02
        assert online[-1]["auc"] is None
        assert model.facts["huber_delta"] == delta
        assert model.facts["label_kind"] == "real"


def test_counts_have_means_above_zero(line):
    x, y = line
    counts = np.floor(np.exp(y / 2)).astype(np.float32)
    columns = [(f"c{i}", x[:, i].astype(np.float64)) for i in range(3)]
    rows = _handcar.Dataset.from_columns(columns, counts, None, "count")
    model = _handcar.fit(rows, loss="poisson", **OPTIONS)[0]
    margins = model.margins_columns(columns)
    np.testing.assert_allclose(model.means(margins), np.exp(margins))


def test_files_bring_real_labels(tmp_path, line):
    x, y = line
    path = tmp_path / "rows.csv"
    path.write_text("y,a,b,c\n" + "".join(f"{v},{r[0]},{r[1]},{r[2]}\n" for r, v in zip(x, y)))
    rows = handcar.read(path, labels="real", raw=["a", "b", "c"], cache=False)
    np.testing.assert_array_equal(rows.labels, y)
    model = _handcar.fit(rows, loss="squared", **OPTIONS)[0]
    margins, labels = model.margins_files([str(path)], {})
    np.testing.assert_array_equal(labels, y)
    assert np.sqrt(np.mean((margins - y) ** 2)) < 0.02


def test_labels_that_do_not_fit_are_refused(line):
    x, y = line
    with pytest.raises(ValueError, match="as a label 0, 1, -1 or"):
        _handcar.Dataset.from_dense(x, y, None)
    with pytest.raises(ValueError, match="at least 0"):
        _handcar.Dataset.from_dense(x, y, None, "count")
    with pytest.raises(ValueError, match="label_kind: expected binary, real, count"):
        _handcar.Dataset.from_dense(x, y, None, "whole")
    rows = _handcar.Dataset.from_dense(x, y, None, "real")
    with pytest.raises(ValueError, match="labels of the kind binary"):
        handcar.LogisticRegression(solver="ftrl").fit(rows)
    with pytest.raises(ValueError, match="labels of the kind binary"):
        _handcar.fit(rows, loss="hinge", **OPTIONS)
