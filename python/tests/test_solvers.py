"""Solvers of LogisticRegression: minibatches, solvers in turn, and what they tell."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import handcar


# One batch: where rows are cut into several, a row's weight is not its repetition, which a check demands.
@pytest.mark.filterwarnings("ignore::UserWarning")  # Not a subclass of BaseEstimator; not scaled.
@parametrize_with_checks(
    [
        handcar.LogisticRegression(solver="ftrl", max_iter=50, batch_size=1 << 17, l1=0.0),
        handcar.LogisticRegression(solver="lbfgs"),
    ]
)
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


def test_racing_threads_learn(problem):
    X, y = problem
    one = handcar.LogisticRegression(solver="ftrl", hogwild=True, max_iter=5, rate=1.0).fit(X, y)
    again = handcar.LogisticRegression(solver="ftrl", hogwild=True, max_iter=5, rate=1.0).fit(X, y)
    two = handcar.LogisticRegression(solver="ftrl", hogwild=True, max_iter=5, rate=1.0, n_threads=2).fit(X, y)
    np.testing.assert_array_equal(one.coef_, again.coef_)
    assert two.objective_ == pytest.approx(one.objective_, rel=0.05)


def test_the_models_of_a_grid_are_those_trained_alone(problem):
    X, y = problem
    axes = {"l1": [0.1, 1.0], "rate": [0.1, 1.0, 5.0]}
    grid = handcar.LogisticRegression(solver="ftrl", grid=axes, batch_size=16).fit(X, y)
    assert len(grid.grid_) == 6 and sum(m["chosen"] for m in grid.grid_) == 1
    best = min(grid.grid_, key=lambda m: m["loss"])
    assert best["chosen"]
    alone = handcar.LogisticRegression(solver="ftrl", l1=best["l1"], rate=best["rate"], batch_size=16).fit(X, y)
    np.testing.assert_array_equal(grid.coef_, alone.coef_)
    assert alone.grid_ == [] and alone.online_[-1]["loss"] == pytest.approx(best["loss"], rel=1e-6)


def test_solvers_in_turn_end_certified(problem):
    alone = handcar.LogisticRegression(tol=1e-6).fit(*problem)
    both = handcar.LogisticRegression(solver="ftrl+dbpg", tol=1e-6).fit(*problem)
    assert both.gap_ <= 1e-6 and both.objective_ == pytest.approx(alone.objective_, rel=2e-6)
    assert {h["solver"] for h in both.history_} == {"ftrl", "dbpg"}


def test_lbfgs_agrees_with_dbpg_and_is_certified(problem):
    dbpg = handcar.LogisticRegression(tol=1e-6).fit(*problem)
    for options in (dict(), dict(history_size=5), dict(solver="ftrl+lbfgs")):
        lbfgs = handcar.LogisticRegression(**{"solver": "lbfgs", "tol": 1e-6, **options}).fit(*problem)
        assert lbfgs.gap_ <= 1e-6 and lbfgs.objective_ == pytest.approx(dbpg.objective_, rel=2e-6)
        assert lbfgs.history_[-1]["solver"] == "lbfgs"
    with pytest.warns(handcar.ConvergenceWarning):
        handcar.LogisticRegression(solver="lbfgs", max_iter=2, tol=1e-9).fit(*problem)


def test_one_pass_is_the_default(problem):
    assert handcar.LogisticRegression(solver="ftrl").fit(*problem).n_iter_ == 1


@pytest.mark.parametrize(
    "options, told",
    [
        (dict(solver="vw"), "solver: expected dbpg, lbfgs, sgd, adagrad, ftrl, emso, adadelay, async-adagrad, adaptive-revision, got \"vw\""),
        (dict(solver=1), "solver: expected a text, got 1"),
        (dict(solver="ftrl", rate=-1.0), "expected rate a finite number above 0, got -1"),
        (dict(solver="ftrl", batch_size=0), "batch_size: expected a whole number from 1 to 131072, got 0"),
        (dict(solver="ftrl", grid={"l1": ["much"]}), "grid: l1: expected a number, got 'much'"),
        (dict(solver="ftrl", grid={"l3": [1]}), "grid: expected NAME=X,Y,... with a name among l1, l2, rate, beta"),
        (dict(grid={"l1": [1, 2]}), "expected grid solver ftrl or adagrad, got l1=1,2 for dbpg"),
        (dict(solver="lbfgs", history_size=0), "history_size: expected a whole number from 1 to 40, got 0"),
        (dict(solver="lbfgs", delay=1), "expected delay 0 of lbfgs"),
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
    for name in ("solver", "rate", "beta", "batch_size", "history_size", "hogwild", "grid", "inner"):
        del state[name]
    old = handcar.LogisticRegression.__new__(handcar.LogisticRegression)
    old.__setstate__(state)
    assert old.get_params()["solver"] == "dbpg"
    np.testing.assert_array_equal(old.predict_proba(problem[0]), model.predict_proba(problem[0]))
