"""The estimator is one of scikit-learn's family."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import handcar


@pytest.mark.filterwarnings("ignore::UserWarning")  # Not a subclass of BaseEstimator; not scaled.
@parametrize_with_checks([handcar.LogisticRegression(), handcar.LogisticRegression(l2=0.5, fit_intercept=False)])
def test_scikit_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


def test_importing_handcar_imports_no_other_library_but_numpy():
    code = (
        "import sys, handcar, numpy as np\n"
        "handcar.LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]).predict(np.eye(4))\n"
        "print(sorted({'sklearn', 'scipy', 'pandas', 'polars', 'pyarrow', 'matplotlib'} & set(sys.modules)))\n"
    )
    assert subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], text=True).strip() == "[]"


def test_a_clone_has_the_parameters_and_no_fit(problem):
    model = handcar.LogisticRegression(l1=0.25, max_iter=77).fit(*problem)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert is_classifier(copy) and repr(copy) == "LogisticRegression(l1=0.25, max_iter=77)"
    with pytest.raises(NotFittedError):
        copy.predict(problem[0])


def test_a_pickled_model_predicts_the_same_and_knows_its_classes(problem):
    X, y = problem
    model = handcar.LogisticRegression().fit(X, np.array(["no", "yes"])[y])
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(copy.classes_, ["no", "yes"])
    assert copy.get_params() == model.get_params()


def test_pipelines_and_searches_work(problem):
    X, y = problem
    pipeline = make_pipeline(StandardScaler(), handcar.LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__l1": [0.1, 1.0, 10.0]}, scoring="roc_auc", cv=3).fit(X, y)
    assert search.best_score_ > 0.8
    assert cross_val_score(handcar.LogisticRegression(), X, y, cv=3).mean() > 0.7


def test_weights_are_repetitions_to_the_last_bit(problem):
    X, y = problem
    times = np.random.default_rng(0).integers(0, 4, size=len(y))
    weighted = handcar.LogisticRegression().fit(X, y, sample_weight=times)
    repeated = handcar.LogisticRegression().fit(X.repeat(times, axis=0), y.repeat(times))
    np.testing.assert_array_equal(weighted.coef_, repeated.coef_)
    np.testing.assert_array_equal(weighted.intercept_, repeated.intercept_)
