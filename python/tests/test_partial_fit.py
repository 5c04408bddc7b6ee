"""partial_fit goes on where the last call ended."""

import pickle

import handcar
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import log_loss

SOLVERS = ["sgd", "adagrad", "ftrl", "adadelay", "async-adagrad", "adaptive-revision"]


@pytest.fixture(scope="module")
def clicks():
    """Rows of categories that come and go, as a table and as a matrix, and two classes: (table, matrix, y)."""
    random = np.random.default_rng(3)
    near = np.arange(800) // 100
    table = pd.DataFrame({"page": [f"p{v}" for v in near + random.integers(0, 5, 800)], "hour": random.integers(0, 2, 800)})
    page = table["page"].str[1:].astype(int).to_numpy()
    matrix = sparse.csr_array((np.ones(1600), (np.tile(np.arange(800), 2), np.append(page, 20 + near))), shape=(800, 40))
    y = ((page % 3 == 0) ^ (random.random(800) < 0.2)).astype(int)
    return table, matrix, y


def penalties(solver):
    return {} if solver == "adaptive-revision" else dict(l1=0.2, l2=0.1)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", ["table", "matrix"])
def test_pieces_have_the_bits_of_one_fit(clicks, solver, kind):
    X, y = clicks[0 if kind == "table" else 1], clicks[2]
    options = dict(solver=solver, batch_size=32, rate=0.5, **penalties(solver))
    whole = handcar.SGDClassifier(max_iter=1, **options).fit(X, y)
    model = handcar.SGDClassifier(**options)
    for begin, end in ((0, 160), (160, 192), (192, 640), (640, 800)):
        rows = X.iloc[begin:end] if kind == "table" else X[begin:end]
        model.partial_fit(rows, y[begin:end], classes=[0, 1], rows_total=800)
        # What is kept outlives the process.
        model = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(X), whole.predict_proba(X))
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    assert model.coef_names_ == whole.coef_names_ and model.n_iter_ == 1


def test_logistic_regression_and_numbers_go_on_as_well(clicks):
    _, X, y = clicks
    options = dict(solver="ftrl", l1=0.5, batch_size=16)
    whole = handcar.SGDClassifier(max_iter=1, **options).fit(X, y)
    model = handcar.LogisticRegression(**options)
    for begin in range(0, 800, 80):
        model.partial_fit(X[begin : begin + 80], y[begin : begin + 80], [0, 1], rows_total=800)
    np.testing.assert_array_equal(model.coef_, whole.coef_)
    target = X @ np.linspace(-1, 1, 40)
    whole = handcar.SGDRegressor(batch_size=16, max_iter=1).fit(X, target)
    model = handcar.SGDRegressor(batch_size=16)
    for begin in range(0, 800, 400):
        model.partial_fit(X[begin : begin + 400], target[begin : begin + 400])
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-4, atol=1e-4)


def test_fit_is_gone_on_from_with_its_step_sizes(clicks):
    _, X, y = clicks
    options = dict(batch_size=32, l1=0.2)
    two = handcar.SGDClassifier(max_iter=2, **options).fit(X, y)
    more = handcar.SGDClassifier(max_iter=1, **options).fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(more.coef_, two.coef_)
    anew = handcar.SGDClassifier(max_iter=1, warm_start=True, **options).fit(X, y).fit(X, y)
    assert (anew.coef_ != two.coef_).any()


def test_files_are_read_with_the_columns_of_the_first(tmp_path, adult, clicks):
    table, _, y = clicks
    for i, rows in enumerate((slice(0, 320), slice(320, 800), slice(0, 800))):
        table.assign(y=y).iloc[rows].to_csv(tmp_path / f"{i}.csv", index=False)
    reading = dict(label="y", categorical=["page", "hour"], cache=False)
    options = dict(batch_size=32, solver="ftrl", l1=0.5)
    whole = handcar.SGDClassifier(max_iter=1, **options).fit(tmp_path / "2.csv", **reading)
    model = handcar.SGDClassifier(**options)
    for i in range(2):
        model.partial_fit(tmp_path / f"{i}.csv", rows_total=800, eval_set=tmp_path / "2.csv", **reading)
    assert dict(zip(model.coef_names_, model.coef_[0])) == dict(zip(whole.coef_names_, whole.coef_[0]))
    assert model.history_[-1]["valid"]["auc"] > 0.6
    with pytest.raises(ValueError, match="X has 14 features, but SGDClassifier is expecting 2"):
        model.partial_fit(handcar.read(adult, label="income"))
    numbers = handcar.read(tmp_path / "0.csv", label="y", categorical="page", cache=False)
    with pytest.raises(ValueError, match="rows read with the columns and bins that the model was trained on"):
        model.partial_fit(numbers)


def test_a_model_from_a_file_is_gone_on_from(tmp_path, clicks):
    table, _, y = clicks
    model = handcar.SGDClassifier(batch_size=32).fit(table[:400], y[:400])
    model.save(tmp_path / "m")
    loaded = handcar.SGDClassifier.load(tmp_path / "m").set_params(batch_size=32)
    before = dict(loaded.strongest(100))
    loaded.partial_fit(table[600:], y[600:])
    after = dict(loaded.strongest(100))
    assert set(before) - {"hour"} <= set(after) and after["page=p0"] == before["page=p0"] and "page=p11" in after
    np.testing.assert_array_equal(loaded.classes_, [0, 1])


def test_each_call_carries_the_penalty_unless_told(clicks):
    _, X, y = clicks
    pieces = [(X[:700], y[:700]), (X[700:], y[700:])]
    norms = []
    for total in (800, None):
        model = handcar.SGDClassifier(solver="ftrl", l1=5.0, batch_size=10)
        for piece in pieces:
            model.partial_fit(*piece, rows_total=total)
        norms.append(np.abs(model.coef_).sum())
    assert 0 < norms[1] < norms[0]


@pytest.mark.parametrize(
    "estimator, told",
    [
        (handcar.LogisticRegression(), "has no attribute 'partial_fit': expected a solver among sgd, adagrad, ftrl"),
        (handcar.SGDClassifier(solver="emso"), "expected a solver among sgd, adagrad, ftrl"),
        (handcar.SGDRegressor(solver="ftrl+sgd"), "expected a solver among sgd, adagrad, ftrl"),
        (handcar.SGDClassifier(hogwild=True), "expected no hogwild, got True"),
        (handcar.SGDRegressor(delay=2), "expected no delay, got 2"),
    ],
)
def test_solvers_that_cannot_go_on_say_so(estimator, told):
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError) as error:
        estimator.partial_fit
    assert told in str(error.value)


def test_calls_that_do_not_fit_the_first_are_told(clicks):
    table, X, y = clicks
    model = handcar.SGDClassifier().partial_fit(X[:1], y[:1], classes=[0, 1])
    for call, told in (
        (lambda: model.partial_fit(X[:, :7], y), "X has 7 features, but SGDClassifier is expecting 40 features"),
        (lambda: model.partial_fit(X, y + 1), "y: expected the classes 0 and 1"),
        (lambda: model.partial_fit(X, y, classes=[1, 2]), "classes: expected those of the first call"),
        (lambda: model.partial_fit(X, y, rows_total=0), "rows_total: expected a whole number from 1"),
        (lambda: model.set_params(rate=3.0).partial_fit(X, y), "resume rate, beta, penalty and batch size as they were"),
        (lambda: model.set_params(rate=None, solver="sgd").partial_fit(X, y), "got sgd after adagrad"),
        (lambda: handcar.SGDClassifier().partial_fit(X[:1], y[:1]), "expected two classes, got one class"),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert told in str(error.value)
    with pytest.raises(ValueError, match="columns of the kinds that the model was trained on"):
        handcar.SGDClassifier().fit(table, y).partial_fit(table.assign(page=1.0), y)


def test_data_sets_whose_classes_are_the_other_way_round_are_refused(tmp_path):
    # The rarer text is the positive class of a file that says nothing else.
    for name, texts in (("first", ["no", "no", "yes"]), ("other", ["yes", "yes", "no"]), ("alike", ["no", "yes", "no"])):
        pd.DataFrame({"page": list("abc") * 4, "bought": texts * 4}).to_csv(tmp_path / name, index=False)
    read = {n: handcar.read(tmp_path / n, label="bought", cache=False) for n in ("first", "other", "alike")}
    model = handcar.SGDClassifier().fit(read["first"], eval_set=read["alike"])
    told = r"expected labels whose positive class is 'yes' \(the other 'no'\), got 'no' \('yes'\): pass the paths"
    with pytest.raises(ValueError, match="eval_set: " + told):
        handcar.SGDClassifier().fit(read["first"], eval_set=read["other"])
    with pytest.raises(ValueError, match="X: " + told):
        model.partial_fit(read["other"])
    said = handcar.read(tmp_path / "other", label="bought", positive="yes", cache=False)
    model.partial_fit(read["alike"]).partial_fit(said, eval_set=said).partial_fit(tmp_path / "other", label="bought")
    np.testing.assert_array_equal(model.classes_, ["no", "yes"])


def test_ids_that_begin_elsewhere_are_refused(tmp_path, clicks):
    _, X, y = clicks
    (tmp_path / "rows").write_text("1 1:1 3:1\n-1 2:1\n1 3:1\n-1 1:1 2:1\n")
    rows = handcar.read(tmp_path / "rows", cache=False)
    from_zero = handcar.read(tmp_path / "rows", zero_based=True, cache=False)
    for first, then, told in (
        ((rows,), (X[:, :3], y), "expected libsvm text with ids from 1, which the model was trained on, got arrays"),
        ((X[:, :3], y), (rows,), "expected arrays, which the model was trained on, got libsvm text with ids from 1"),
        ((rows,), (from_zero,), "libsvm text with ids from 1, which the model was trained on, got libsvm text with ids from 0"),
    ):
        model = handcar.SGDClassifier().partial_fit(*first)
        with pytest.raises(ValueError, match=told):
            model.partial_fit(*then)
    with pytest.raises(ValueError, match="eval_set: expected rows of the kind that were trained on"):
        handcar.SGDClassifier().fit(rows, eval_set=from_zero)
    with pytest.raises(ValueError, match="X: expected rows read with the columns"):
        handcar.SGDClassifier().fit(from_zero).predict(rows)


@pytest.mark.parametrize("kind", ["table", "matrix"])
@pytest.mark.parametrize("total", [None, 800])
def test_measures_of_a_piece_are_those_of_the_whole_model(clicks, kind, total):
    X, y = clicks[0 if kind == "table" else 1], clicks[2]
    model = handcar.SGDClassifier(solver="ftrl", batch_size=16, rate=0.5, l1=0.2)
    for begin in range(0, 800, 200):
        part = slice(begin, begin + 200)
        rows = X.iloc[part] if kind == "table" else X[part]
        model.partial_fit(rows, y[part], classes=[0, 1], rows_total=total, eval_set=(X, y))
        assert model.history_[-1]["valid"]["logloss"] == pytest.approx(log_loss(y, model.predict_proba(X)[:, 1]), rel=1e-6)
    weights = dict(model.strongest(100))
    rest = pickle.loads(pickle.dumps(model)).partial_fit(rows, y[part], eval_set=(X, y))
    assert len(weights) > 10 and rest.history_[-1]["valid"]["logloss"] == pytest.approx(
        log_loss(y, rest.predict_proba(X)[:, 1]), rel=1e-6
    )
