"""Measures on rows that are not trained on, and callbacks that hear of them."""

import handcar
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import log_loss, roc_auc_score

ESTIMATORS = [handcar.LogisticRegression(), handcar.LogisticRegression(solver="ftrl"), handcar.SGDClassifier()]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["dbpg", "ftrl", "adagrad"])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, lambda X: pd.DataFrame(X, columns=list("abcdefg"))])
def test_measures_on_other_rows_are_those_of_the_model(problem, estimator, convert):
    X, y = problem
    X, weights = convert(X), np.arange(40) % 3
    rows, others = (X.iloc[:80], X.iloc[80:]) if hasattr(X, "iloc") else (X[:80], X[80:])
    model = estimator.fit(rows, y[:80], eval_set=[(others, y[80:], weights)])
    valid = model.history_[-1]["valid"]
    p = model.predict_proba(others)[:, 1]
    assert valid["logloss"] == pytest.approx(log_loss(y[80:], p, sample_weight=weights), rel=1e-5)
    assert valid["auc"] == pytest.approx(roc_auc_score(y[80:], p, sample_weight=weights))
    alone = estimator.fit(rows, y[:80])
    assert alone.history_[-1]["valid"] is None
    np.testing.assert_array_equal(alone.coef_, model.coef_)


def test_tables_with_categories_and_files_are_measured_alike(adult):
    table = pd.read_csv(adult)[["age", "education", "occupation", "income"]]
    X, y = table.drop(columns="income"), (table["income"] == table["income"].unique()[1]).astype(int)
    # A category that training has not seen has no weight.
    model = handcar.LogisticRegression(tol=1e-2).fit(X[:5000], y[:5000], eval_set=(X[5000:], y[5000:]))
    p = model.predict_proba(X[5000:])[:, 1]
    assert model.history_[-1]["valid"]["logloss"] == pytest.approx(log_loss(y[5000:], p), rel=1e-5)
    online = handcar.SGDClassifier(solver="ftrl", max_iter=1)
    by_path = online.fit(adult, label="income", eval_set=str(adult)).history_[-1]["valid"]
    data = handcar.read(adult, label="income")
    assert by_path == online.fit(data, eval_set=data).history_[-1]["valid"] and by_path["auc"] > 0.85


def test_numbers_have_their_own_measures(problem):
    X, _ = problem
    y = X @ np.arange(7.0)
    model = handcar.SGDRegressor(max_iter=100, rate=1.0).fit(X, y, eval_set=(X[:50], y[:50]))
    valid = model.history_[-1]["valid"]
    assert valid["r2"] == pytest.approx(model.score(X[:50], y[:50]), rel=1e-4) and "auc" not in valid


@pytest.mark.parametrize(
    "given, told",
    [
        ((1, 2, 3, 4), "eval_set: expected (X, y), (X, y, sample_weight), a path or a Dataset, got tuple"),
        ("model", "No such file"),
        ([], "eval_set: expected one set of rows, got a list of 0"),
        ((np.eye(7), [0, 1, 0, 1, 0, 1, 2]), "expected the classes"),
        ((np.eye(6), [0, 1] * 3), "eval_set: expected 7 columns as in X, got 6"),
        ((np.eye(7), [0, 1]), "expected 7 labels"),
    ],
)
def test_rows_that_do_not_fit_are_told(problem, given, told):
    with pytest.raises((ValueError, OSError)) as error:
        handcar.SGDClassifier().fit(*problem, eval_set=given)
    assert told in str(error.value) or given == "model"


def test_all_callbacks_hear_and_any_may_end_the_fit(problem):
    heard = []

    class Both:
        def __call__(self, p):
            heard.append(("pass", p["pass"], p["online"]["rows"]))

        def online(self, line):
            heard.append(("online", line["rows"]))

        def begin(self):
            heard.append("begin")

        def end(self):
            heard.append("end")

    X, y = np.tile(problem[0], (40, 1)), np.tile(problem[1], 40)
    model = handcar.SGDClassifier(callback=[lambda p: p["pass"] == 2, Both()]).fit(X, y)
    assert model.n_iter_ == 2
    rows = [h[1] for h in heard if h[0] == "online"]
    assert rows[:3] == [1024, 2048, 4096] and heard[0] == "begin" and heard[-1] == "end"
    assert ("pass", 2, 4800) in heard

    class Enough:
        def __call__(self, p):
            pass

        def online(self, line):
            return True

    model = handcar.SGDClassifier(callback=Enough(), batch_size=1).fit(X, y)
    assert model.n_iter_ == 1 and model.online_[-1]["rows"] < 4800
    with pytest.raises(ValueError, match="callback: expected a callable or a list of them, got 3"):
        handcar.SGDClassifier(callback=[3]).fit(X, y)


def test_an_error_of_a_callback_ends_the_fit(problem):
    def fail(p):
        raise KeyError("of mine")

    with pytest.raises(KeyError, match="of mine"):
        handcar.SGDClassifier(callback=[fail]).fit(*problem)
