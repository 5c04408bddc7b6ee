"""A group lasso drops whole columns of tables and files."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import handcar


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(7)
    n = 3000
    city, page, day = rng.integers(0, 6, n), rng.integers(0, 40, n), rng.integers(0, 7, n)
    size = rng.normal(size=n)
    score = np.array([-1.5, -1, 0, 0, 1, 1.5])[city] + 0.8 * size
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-score))).astype(int)
    text = lambda name, of: [f"{name}{i}" for i in of]  # noqa: E731
    columns = {"city": text("c", city), "page": text("p", page), "day": text("d", day), "size": size}
    return pd.DataFrame(columns), y


def test_columns_of_no_use_are_dropped_and_the_objective_is_the_formula(table, tmp_path):
    X, y = table
    model = handcar.LogisticRegression(l1=0.5, l2=0.25, group_lasso=9.0, tol=1e-6).fit(X, y)
    assert model.dropped_fields_ == ["page", "day"] and model.gap_ <= 1e-6
    weights = dict(zip(model.coef_names_, model.coef_[0]))
    assert {n.split("=")[0] for n in weights} == {"city", "size"}
    margins = model.decision_function(X)
    loss = np.logaddexp(0, -(2 * y - 1) * margins).sum()
    w = np.array(list(weights.values()))
    norms = np.sqrt(6) * np.linalg.norm([v for n, v in weights.items() if n != "size"]) + abs(weights["size"])
    penalty = 0.5 * abs(w).sum() + 0.125 * (w**2).sum() + 9.0 * norms
    assert loss + penalty == pytest.approx(model.objective_, rel=1e-6)
    model.save(tmp_path / "m")
    loaded = handcar.LogisticRegression.load(tmp_path / "m")
    assert loaded.group_lasso == 9.0 and loaded.dropped_fields_ == ["page", "day"]
    assert np.array_equal(loaded.decision_function(X), margins)


def test_a_table_and_its_file_come_to_one_model(table, tmp_path):
    X, y = table
    X.drop(columns="size").assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    options = dict(l1=0.0, group_lasso=9.0, tol=1e-7)
    of_file = handcar.LogisticRegression(**options).fit(tmp_path / "rows.csv", label="y", cache=False)
    of_table = handcar.LogisticRegression(**options).fit(X.drop(columns="size"), y)
    assert of_file.objective_ == pytest.approx(of_table.objective_, rel=1e-6)
    a, b = (dict(zip(m.coef_names_, m.coef_[0])) for m in (of_file, of_table))
    assert a.keys() == b.keys() and all(abs(a[n] - b[n]) < 1e-3 for n in a)
    assert of_file.dropped_fields_ == of_table.dropped_fields_ == ["page", "day"]


def test_other_rows_are_measured_and_a_fit_begins_where_the_last_ended(table):
    X, y = table
    model = handcar.LogisticRegression(l1=0.0, group_lasso=3.0, warm_start=True, tol=1e-5)
    model.fit(X[:2000], y[:2000], eval_set=(X[2000:], y[2000:]))
    assert model.history_[-1]["valid"]["auc"] > 0.7
    first = model.objective_
    model.fit(X[:2000], y[:2000])
    assert model.n_iter_ == 1 and model.objective_ == pytest.approx(first, rel=2e-5)


@pytest.mark.parametrize("of", [np.asarray, sp.csr_matrix])
def test_a_matrix_is_refused(of):
    X = of(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="expected data with fields .* got features that have none"):
        handcar.LogisticRegression(group_lasso=1.0).fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize(
    "parameters, message",
    [
        (dict(group_lasso=-1.0), "expected group_lasso a finite number of at least 0, got -1"),
        (dict(group_lasso="1"), "group_lasso: expected a number, got '1'"),
        (dict(group_lasso=1.0, solver="lbfgs"), "expected group_lasso solver dbpg alone.*got 1 with solver lbfgs"),
        (dict(group_lasso=1.0, delay=1), "expected delay 0 with a group lasso"),
        (dict(group_lasso=1.0, lower=0.0), "expected bounds none with a group lasso"),
    ],
)
def test_what_does_not_go_with_it_is_refused(table, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        handcar.LogisticRegression(**parameters).fit(*table)
