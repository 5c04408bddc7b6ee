"""Solvers of LogisticRegression: minibatches, solvers in turn, and what they tell."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import handcar


# One batch: where rows are cut into several, a row's weight is not its repetition, which a check demands.
@pytest.mark.filterwarnings("ignore::UserWarning")  # Not a subclass of BaseEstimator; not scaled.
@parametrize_with_checks([handcar.LogisticRegression(solver="ftrl", max_iter=50, batch_size=1 << 17, l1=0.0)])
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


@pytest.mark.parametrize("solver", ["sgd", "adagrad", "ftrl"])
def test_minibatch_solvers_learn_and_tell(problem, solver):
    X, y = problem
    model = handcar.LogisticRegression(solver=solver, batch_size=16, max_iter=5, rate=1.0).fit(X, y)
    assert model.score(X, y) > 0.7
    assert [h["solver"] for h in model.history_] == [solver] * 5 and model.n_iter_ == 5
    assert np.isnan(model.gap_) and model.history_[0]["violation"] is None
    last = model.online_[-1]
    assert last["rows"] == len(y) and last["pass"] == 5 and 0.5 < last["auc"] < 1 and last["auc_error"] > 0
    threads = handcar.LogisticRegression(solver=solver, batch_size=16, max_iter=5, rate=1.0, n_threads=3).fit(X, y)
    np.testing.assert_array_equal(model.coef_, threads.coef_)


def test_solvers_in_turn_end_certified(problem):
    alone = handcar.LogisticRegression(tol=1e-6).fit(*problem)
    both = handcar.LogisticRegression(solver="ftrl+dbpg", tol=1e-6).fit(*problem)
    assert both.gap_ <= 1e-6 and both.objective_ == pytest.approx(alone.objective_, rel=2e-6)
    assert {h["solver"] for h in both.history_} == {"ftrl", "dbpg"}


def test_one_pass_is_the_default(problem):
    assert handcar.LogisticRegression(solver="ftrl").fit(*problem).n_iter_ == 1


@pytest.mark.parametrize(
    "options, told",
    [
        (dict(solver="vw"), "solver: expected dbpg, sgd, adagrad, ftrl, got \"vw\""),
        (dict(solver=1), "solver: expected a text, got 1"),
        (dict(solver="ftrl", rate=-1.0), "expected rate a finite number above 0, got -1"),
        (dict(solver="ftrl", batch_size=0), "batch_size: expected a whole number from 1 to 131072, got 0"),
        (dict(solver="sgd", rate="fast"), "rate: expected a number, got 'fast'"),
    ],
)
def test_wrong_options_are_told(problem, options, told):
    with pytest.raises(ValueError) as error:
        handcar.LogisticRegression(**options).fit(*problem)
    assert told in str(error.value)


def test_estimators_of_files_and_of_earlier_versions_have_everything(problem, tmp_path):
    model = handcar.LogisticRegression(solver="ftrl").fit(*problem)
    model.save(tmp_path / "m")
    loaded = handcar.LogisticRegression.load(tmp_path / "m")
    assert loaded.solver == "ftrl" and loaded.online_ == [] and loaded.history_ == []
    state = model.__getstate__()
    for name in ("solver", "rate", "beta", "batch_size"):
        del state[name]
    old = handcar.LogisticRegression.__new__(handcar.LogisticRegression)
    old.__setstate__(state)
    assert old.get_params()["solver"] == "dbpg"
    np.testing.assert_array_equal(old.predict_proba(problem[0]), model.predict_proba(problem[0]))
