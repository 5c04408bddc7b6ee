"""The optimum is the one that other solvers find."""

import inspect

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression as Liblinear

import handcar


def objective(X, signs, w, b, l1, l2, weights=1.0):
    losses = np.logaddexp(0, -signs * (X @ w + b))
    return np.sum(weights * losses) + l1 * np.abs(w).sum() + l2 / 2 * (w @ w)


def reference(X, signs, l1, l2, intercept, weights=1.0, lower=None, upper=None):
    """The least objective: smooth once the weights are split into positive and negative parts with bounds."""
    n = X.shape[1]

    def parts(v):
        w, b = v[:n] - v[n : 2 * n], v[-1] * intercept
        margins = X @ w + b
        g = -weights * signs / (1 + np.exp(signs * margins))
        gw = X.T @ g + l2 * w
        value = objective(X, signs, w, b, 0.0, l2, weights) + l1 * v[: 2 * n].sum()
        return value, np.concatenate([gw + l1, -gw + l1, [g.sum() * intercept]])

    bounds = [(0, upper)] * n + [(0, None if lower is None else -lower)] * n + [(None, None)]
    start = np.zeros(2 * n + 1)
    return minimize(parts, start, jac=True, bounds=bounds, method="L-BFGS-B", tol=1e-14, options={"maxiter": 10_000}).fun


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l1, l2", [(1.0, 0.0), (5.0, 0.0), (0.5, 2.0), (0.0, 1.0)])
def test_the_objective_is_the_least_there_is(problem, l1, l2, intercept):
    X, y = problem
    model = handcar.LogisticRegression(l1=l1, l2=l2, fit_intercept=intercept, tol=1e-5, max_iter=2000).fit(X, y)
    least = reference(X, 2 * y - 1, l1, l2, intercept)
    reached = objective(X, 2 * y - 1, model.coef_[0], model.intercept_[0], l1, l2)
    assert reached == pytest.approx(model.objective_, rel=1e-6)
    assert least * (1 - 1e-7) <= reached <= least * (1 + 2e-5)
    # The certificate never claims more than is true.
    assert model.gap_ >= (reached - least) / reached - 1e-7


@pytest.mark.parametrize("lower, upper", [(0.0, None), (-0.1, 0.2), (None, 0.0), (-0.3, np.inf)])
@pytest.mark.parametrize("l1, l2", [(1.0, 0.0), (0.5, 2.0)])
def test_between_bounds_the_objective_is_the_least_there_is(problem, l1, l2, lower, upper, tmp_path):
    X, y = problem
    model = handcar.LogisticRegression(l1=l1, l2=l2, lower=lower, upper=upper, tol=1e-5, max_iter=2000).fit(X, y)
    above = None if upper == np.inf else upper
    least = reference(X, 2 * y - 1, l1, l2, True, lower=lower, upper=above)
    free = reference(X, 2 * y - 1, l1, l2, True)
    reached = objective(X, 2 * y - 1, model.coef_[0], model.intercept_[0], l1, l2)
    assert least > free * (1 + 1e-4), "the bounds hold nothing"
    # L-BFGS-B stops a little above the least.
    assert least * (1 - 1e-6) <= reached <= least * (1 + 2e-5)
    assert lower is None or model.coef_.min() >= lower
    assert upper is None or model.coef_.max() <= upper
    model.save(tmp_path / "m")
    loaded = handcar.LogisticRegression.load(tmp_path / "m")
    assert (loaded.lower is None) == (lower is None) and (loaded.upper is None) == (above is None)
    assert lower is None or loaded.lower == pytest.approx(lower, rel=1e-7)


def test_example_weights_multiply_the_loss(problem):
    X, y = problem
    weights = np.random.default_rng(1).uniform(0.1, 3, size=len(y))
    model = handcar.LogisticRegression(tol=1e-5, max_iter=2000).fit(X, y, sample_weight=weights)
    least = reference(X, 2 * y - 1, 1.0, 0.0, True, weights)
    assert model.objective_ == pytest.approx(least, rel=2e-5)


def test_liblinear_agrees_on_sparse_data():
    random = np.random.default_rng(3)
    X = (random.random((400, 60)) < 0.08).astype(float)
    y = (X @ random.normal(size=60) + random.logistic(size=400) > 0).astype(int)
    l1 = 2.0
    way = {"l1_ratio": 1.0} if "deprecated" in str(inspect.signature(Liblinear).parameters["penalty"]) else {"penalty": "l1"}
    other = Liblinear(C=1 / l1, solver="liblinear", fit_intercept=False, tol=1e-8, max_iter=100_000, **way).fit(X, y)
    model = handcar.LogisticRegression(l1=l1, fit_intercept=False, tol=1e-5, max_iter=2000).fit(X, y)
    theirs = objective(X, 2 * y - 1, other.coef_[0], 0.0, l1, 0.0)
    assert model.objective_ <= theirs * (1 + 2e-5)
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=5e-3)


def test_threads_do_not_change_a_bit(problem):
    X, y = problem
    one, two = (handcar.LogisticRegression(n_threads=n).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)
    assert (one.objective_, one.n_iter_) == (two.objective_, two.n_iter_)


def test_a_warm_start_begins_where_the_last_fit_ended(problem):
    X, y = problem
    model = handcar.LogisticRegression(warm_start=True).fit(X, y)
    cold = model.n_iter_
    assert model.fit(X, y).n_iter_ < cold


def test_a_fit_that_runs_out_of_passes_warns(problem):
    with pytest.warns(handcar.ConvergenceWarning, match="stopped after 1 passes before the tolerance"):
        handcar.LogisticRegression(max_iter=1, tol=1e-9).fit(*problem)


def test_a_callback_hears_each_pass_and_can_end_the_fit(problem):
    heard = []

    def callback(p):
        heard.append(p["pass"])
        return p["pass"] == 3

    with pytest.warns(handcar.ConvergenceWarning):
        model = handcar.LogisticRegression(tol=0.0, max_iter=1000, callback=callback).fit(*problem)
    assert heard[:3] == [1, 2, 3] and model.n_iter_ <= 4
    assert [h["pass"] for h in model.history_] == list(range(1, model.n_iter_ + 1))


def test_an_error_in_a_callback_ends_the_fit_and_comes_out(problem):
    def callback(_):
        raise KeyError("mine")

    model = handcar.LogisticRegression(callback=callback)
    with pytest.raises(KeyError, match="mine"):
        model.fit(*problem)
    assert not hasattr(model, "classes_")


def test_verbose_prints_a_line_a_pass(problem, capfd):
    model = handcar.LogisticRegression(verbose=1).fit(*problem)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == model.n_iter_ and lines[0].startswith("pass    1  objective ")
