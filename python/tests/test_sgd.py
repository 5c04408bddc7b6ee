"""SGDClassifier and SGDRegressor."""

import pickle

import handcar
import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils.estimator_checks import parametrize_with_checks

MINIBATCH = ["sgd", "adagrad", "ftrl", "emso", "adadelay", "async-adagrad", "adaptive-revision"]


def known_failures(estimator):
    """What a check asks for that solver or loss does not promise."""
    why = {"emso": "holds on to weights as its rows count, whatever they weigh", "poisson": "equal to six digits, not to seven"}
    for name in (estimator.solver, estimator.loss):
        if name in why:
            return {f"check_sample_weight_equivalence_on_{d}_data": why[name] for d in ("dense", "sparse")}
    return {}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Not a subclass of BaseEstimator; not scaled.
@parametrize_with_checks(
    [
        handcar.SGDClassifier(),
        handcar.SGDClassifier("hinge", solver="ftrl", l1=0.01, rate=1.0),
        handcar.SGDClassifier("squared_hinge", solver="emso", l2=0.1),
        handcar.SGDRegressor(),
        handcar.SGDRegressor("huber", solver="ftrl"),
        handcar.SGDRegressor("poisson", max_iter=200),
    ],
    expected_failed_checks=known_failures,
)
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


@pytest.fixture
def numbers(problem):
    """Rows and a number for each: (X, y)."""
    X, _ = problem
    return X, X @ [1, -0.5, 0, 2, 0, 0, 0.3] + 0.7


@pytest.mark.parametrize("solver", [*MINIBATCH, "ftrl+sgd"])
@pytest.mark.parametrize("loss", ["logistic", "hinge", "squared_hinge"])
def test_every_solver_learns_every_loss_of_classes(problem, solver, loss):
    X, y = problem
    model = handcar.SGDClassifier(loss, solver=solver, batch_size=32)
    if (solver, loss) == ("emso", "hinge"):
        with pytest.raises(ValueError, match="without a kink"):
            model.fit(X, y)
        return
    names = np.array(["no", "yes"])[y]
    assert model.fit(X, names).score(X, names) > 0.7
    assert set(model.classes_) == {"no", "yes"} and model.coef_.shape == (1, 7) and model.n_iter_ >= 10
    assert model.history_[-1]["solver"] == solver.split("+")[-1] and is_classifier(model)


@pytest.mark.parametrize("solver", MINIBATCH)
@pytest.mark.parametrize("loss", ["squared", "huber", "poisson"])
def test_every_solver_learns_every_loss_of_numbers(numbers, solver, loss):
    X, y = numbers
    y = np.floor(np.exp(y / 4)) if loss == "poisson" else y
    rate = 0.05 if solver == "sgd" else None
    model = handcar.SGDRegressor(loss, solver=solver, batch_size=32, max_iter=50, rate=rate).fit(X, y)
    assert model.score(X, y) > (0.2 if loss == "poisson" else 0.5) and is_regressor(model)
    assert model.coef_.shape == (7,) and model.intercept_.shape == (1,)
    margins = X @ model.coef_ + model.intercept_
    np.testing.assert_allclose(model.predict(X), np.exp(margins) if loss == "poisson" else margins, rtol=1e-5, atol=1e-6)
    assert model.score(X, y, sample_weight=np.ones(len(y))) == pytest.approx(model.score(X, y))


def test_only_log_odds_become_probabilities(problem):
    X, y = problem
    model = handcar.SGDClassifier("log_loss").fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
    hinge = handcar.SGDClassifier("hinge").fit(X, y)
    assert not hasattr(hinge, "predict_proba") and not hasattr(hinge, "predict_log_proba")
    with pytest.raises(AttributeError, match="This 'SGDClassifier' has no attribute 'predict_proba'"):
        hinge.predict_proba(X)


def test_logistic_regression_by_a_minibatch_solver_is_the_same_model(problem):
    X, y = problem
    options = dict(solver="ftrl", l1=0.5, batch_size=16, max_iter=3)
    a, b = handcar.SGDClassifier(**options).fit(X, y), handcar.LogisticRegression(**options).fit(X, y)
    np.testing.assert_array_equal(a.coef_, b.coef_)


def test_a_chain_ends_certified(problem):
    model = handcar.SGDClassifier(solver="adagrad+lbfgs", l2=1.0).fit(*problem)
    assert model.gap_ <= 1e-4 and [h["solver"] for h in model.history_][:2] == ["adagrad", "lbfgs"]


def test_options_of_emso_reach_it(problem):
    five, one = (handcar.SGDClassifier(solver="emso", inner_iterations=n).fit(*problem) for n in (None, 1))
    assert (five.coef_ != one.coef_).any()
    exact = handcar.SGDClassifier(solver="emso", inner_tol=1e-3).fit(*problem)
    assert (exact.coef_ != five.coef_).any()
    steps = handcar.SGDClassifier(solver="emso", inner="gd").fit(*problem)
    assert (steps.coef_ != five.coef_).any()


def test_models_come_back_from_files_and_pickles(problem, numbers, tmp_path):
    for model, (X, y) in (
        (handcar.SGDClassifier("squared_hinge"), problem),
        (handcar.SGDRegressor("huber", huber_delta=0.5), numbers),
    ):
        model.fit(X, y).save(tmp_path / "m")
        loaded = type(model).load(tmp_path / "m")
        assert loaded.loss == model.loss and loaded.solver == "adagrad"
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
        assert clone(model).get_params() == model.get_params()
    with pytest.raises(ValueError, match="expected a model of loss logistic, log_loss, hinge, squared_hinge, got huber"):
        handcar.SGDClassifier.load(tmp_path / "m")


def test_files_are_read_for_the_loss(tmp_path, numbers, adult):
    X, y = numbers
    path = tmp_path / "rows.csv"
    path.write_text("y,a,b\n" + "".join(f"{v},{r[0]},{r[3]}\n" for r, v in zip(X, y)))
    model = handcar.SGDRegressor(max_iter=20, rate=1.0).fit(path, label="y", raw=["a", "b"], cache=False)
    assert model.score(path) > 0.6 and len(model.predict(path)) == len(y)
    assert handcar.SGDClassifier(solver="ftrl", max_iter=1).fit(adult, label="income").score(adult) > 0.8


@pytest.mark.parametrize(
    "estimator, told",
    [
        (handcar.SGDClassifier("squared"), "loss: expected logistic, log_loss, hinge, squared_hinge, got 'squared'"),
        (handcar.SGDRegressor("hinge"), "loss: expected squared, squared_error, huber, poisson, got 'hinge'"),
        (handcar.SGDClassifier(solver="dbpg"), "solver: expected one that learns in minibatches first, got 'dbpg'"),
        (handcar.SGDClassifier("hinge", solver="sgd+dbpg"), "expected loss logistic, the only one that dbpg knows"),
        (handcar.SGDRegressor("huber", huber_delta=0.0), "expected huber_delta a number from 1e-6 to 1e6, got 0"),
        (handcar.SGDRegressor("huber", huber_delta="1"), "huber_delta: expected a number, got '1'"),
        (handcar.SGDClassifier(solver="adaptive-revision", l2=1.0), "l2 0 of adaptive-revision"),
        (handcar.SGDClassifier(solver="emso", inner="lp"), 'inner: expected cd, gd, got "lp"'),
        (handcar.SGDClassifier(solver="emso", inner_tol=2.0), "expected inner_tol a number of at least 0 and below 1"),
        (handcar.SGDClassifier(solver="emso", inner_iterations=0), "inner_iterations: expected a whole number from 1"),
    ],
)
def test_wrong_options_are_told(problem, estimator, told):
    with pytest.raises(ValueError) as error:
        estimator.fit(*problem)
    assert told in str(error.value)


def test_labels_that_are_no_counts_are_told(numbers):
    X, y = numbers
    with pytest.raises(ValueError, match="expected numbers of at least 0 for poisson, got -"):
        handcar.SGDRegressor("poisson").fit(X, y)
    with pytest.raises(ValueError, match="expected numbers, got"):
        handcar.SGDRegressor().fit(X, ["a"] * len(X))
