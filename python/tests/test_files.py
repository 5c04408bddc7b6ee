"""Files: read as the command line reads them, and models it can read."""

import gzip

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import dump_svmlight_file
from sklearn.metrics import roc_auc_score

import handcar

pytestmark = pytest.mark.filterwarnings("ignore::handcar.ConvergenceWarning")
NUMBERS = ["age", "fnlwgt", "educational-num", "capital-gain", "capital-loss", "hours-per-week"]


@pytest.fixture(scope="module")
def frame(adult):
    return pd.read_csv(adult, keep_default_na=False)


def fit_adult(adult, **options):
    return handcar.LogisticRegression(max_iter=40).fit(adult, label="income", **options)


def test_a_file_gives_labels_columns_and_names(adult, frame):
    model = fit_adult(adult)
    assert list(model.classes_) == ["<=50K", ">50K"]
    assert model.n_features_in_ == 14 and list(model.feature_names_in_) == list(frame.columns[:-1])
    assert "marital-status=Married-civ-spouse" in model.coef_names_
    assert roc_auc_score(frame["income"], model.decision_function(adult)) > 0.92
    assert model.score(adult) == pytest.approx(np.mean(model.predict(adult) == frame["income"]))


def test_a_table_is_scored_as_the_file_it_came_from(adult, frame):
    for options in ({}, {"raw": NUMBERS}, {"categorical": "age", "bits": 20}):
        model = fit_adult(adult, **options)
        np.testing.assert_array_equal(model.decision_function(frame), model.decision_function(adult))


def test_a_table_trains_to_the_ranking_of_the_file(adult, frame):
    scale = {"fnlwgt": 1e5, "capital-gain": 1e4, "capital-loss": 1e3, "age": 10, "hours-per-week": 10}
    X = frame.drop(columns="income").assign(**{c: lambda f, c=c, s=s: f[c] / s for c, s in scale.items()})
    model = handcar.LogisticRegression(max_iter=40).fit(X, frame["income"])
    raw = fit_adult(adult, raw=NUMBERS)
    ours, theirs = (roc_auc_score(frame["income"], m) for m in (model.decision_function(X), raw.decision_function(adult)))
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_texts_alone_train_to_the_objective_of_the_file(adult, frame):
    X = frame.drop(columns=["income", *NUMBERS])
    table = handcar.LogisticRegression(max_iter=60).fit(X, frame["income"])
    file = handcar.LogisticRegression(max_iter=60).fit(adult, label="income", ignore=NUMBERS)
    assert table.objective_ == pytest.approx(file.objective_, rel=1e-3)
    assert set(dict(table.strongest(10))) & set(dict(file.strongest(10)))


def test_one_read_serves_many_fits(adult):
    data = handcar.read(adult, label="income")
    assert len(data) == data.n_rows == 48842 and data.label_texts == ("<=50K", ">50K")
    assert data.report["rows"] == 48842 and 'took ">50K"' in data.report["notes"][0]
    few, many = (handcar.LogisticRegression(l1=l1, max_iter=10).fit(data) for l1 in (50.0, 1.0))
    assert few.coef_.size < many.coef_.size
    np.testing.assert_array_equal(many.decision_function(data), many.decision_function(adult))
    assert many.score(data) == many.score(adult)


def test_a_second_read_comes_from_the_cache(adult, tmp_path):
    options = {"label": "income", "cache_dir": tmp_path}
    assert not handcar.read(adult, **options).report["from_cache"]
    assert handcar.read(str(adult), **options).report["from_cache"]


def test_the_model_of_a_file_is_the_command_lines_byte_for_byte(adult, command, tmp_path):
    command("fit", adult, "--label", "income", "--passes", 40, "-m", tmp_path / "theirs", "--quiet")
    fit_adult(adult).save(tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    loaded = handcar.LogisticRegression.load(tmp_path / "theirs")
    np.testing.assert_array_equal(loaded.decision_function(adult), fit_adult(adult).decision_function(adult))


def test_the_command_line_predicts_what_python_predicts(adult, command, frame, tmp_path):
    model = handcar.LogisticRegression(max_iter=20).fit(frame.drop(columns="income"), frame["income"])
    model.save(tmp_path / "m")
    theirs = np.array(command("predict", adult, "-m", tmp_path / "m", "--quiet").split(), dtype=np.float32)
    np.testing.assert_array_equal(theirs, model.predict_proba(adult)[:, 1].astype(np.float32))


def test_a_saved_model_of_an_array_comes_back(problem, tmp_path):
    X, y = problem
    model = handcar.LogisticRegression(l1=2.0, random_state=9).fit(X, np.array(["b", "a"])[y])
    model.save(tmp_path / "m")
    loaded = handcar.LogisticRegression.load(str(tmp_path / "m"))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert (loaded.l1, loaded.random_state, list(loaded.classes_)) == (2.0, 9, ["a", "b"])
    assert loaded.objective_ == model.objective_


def test_libsvm_files_count_columns_as_their_ids_do(problem, tmp_path):
    X, y = problem
    X = X.astype(np.float32).astype(np.float64)
    dump_svmlight_file(X, y, str(tmp_path / "one.svm"), zero_based=False)
    dump_svmlight_file(X, y, str(tmp_path / "zero.svm"), zero_based=True)
    array = handcar.LogisticRegression().fit(X, y)
    for name, options in (("one.svm", {}), ("zero.svm", {"zero_based": True})):
        file = handcar.LogisticRegression().fit(tmp_path / name, **options)
        np.testing.assert_allclose(file.predict_proba(X), array.predict_proba(X), atol=2e-2)
        assert file.coef_.shape == (1, 7)
        np.testing.assert_allclose(file.decision_function(tmp_path / name), file.decision_function(X), rtol=1e-5)


def test_vw_text_is_fitted_and_scored(tmp_path):
    rows = [f"{i % 3 // 2} 2 'r{i}|user kind={i % 3} |page p{i % 5}:0.5\n" for i in range(300)]
    (tmp_path / "rows.vw").write_text("".join(rows))
    for hash in ("handcar", "vw"):
        data = handcar.read(tmp_path / "rows.vw", format="vw", hash=hash, cache=False)
        assert len(data) == 300 and "vw" in repr(data)
        assert data.n_features == 8
        model = handcar.LogisticRegression().fit(data)
        scores = model.predict_proba(tmp_path / "rows.vw")[:, 1]
        assert scores[2] > 0.5 > scores[1]
        if hash == "handcar":
            assert model.n_features_in_ == 8
            assert {"user^kind=2", "page^p1"} & {name for name, _ in model.strongest()}
            with pytest.raises(ValueError, match="expected paths of VW text"):
                model.predict(np.zeros((2, 8)))
    with pytest.raises(ValueError, match="option hash: expected handcar or vw, got murmur"):
        handcar.read(tmp_path / "rows.vw", hash="murmur")


def test_lists_patterns_and_compressed_files_are_inputs(problem, tmp_path):
    X, y = problem
    for i, part in enumerate((slice(0, 60), slice(60, None))):
        dump_svmlight_file(X[part], y[part], str(tmp_path / f"{i}.svm"), zero_based=False)
    whole = (tmp_path / "0.svm").read_bytes() + (tmp_path / "1.svm").read_bytes()
    (tmp_path / "all.gz").write_bytes(gzip.compress(whole))
    inputs = ([tmp_path / "0.svm", tmp_path / "1.svm"], str(tmp_path / "?.svm"), tmp_path / "all.gz")
    models = [handcar.LogisticRegression().fit(i) for i in inputs]
    for model in models:
        np.testing.assert_array_equal(model.coef_, models[0].coef_)
    assert len(models[0].predict(inputs[0])) == len(y)


def test_skipped_rows_are_counted(tmp_path):
    (tmp_path / "f.svm").write_text("1 1:1\n0 2:1\nrubbish\n1 1:2\n0 2:3\n")
    data = handcar.read(tmp_path / "f.svm", format="libsvm", on_bad_row="skip")
    assert data.report["skipped"] == 1 and "f.svm, line 3" in data.report["reasons"][0]


def test_a_fifo_is_read_while_other_threads_run(tmp_path):
    # The writer is a thread of this interpreter: if reading kept the lock, neither would ever end.
    import os
    import threading

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def write():
        with open(fifo, "w") as out:
            for i in range(20_000):
                out.write(f"{i % 2} {1 + i % 7}:1\n")

    writer = threading.Thread(target=write)
    writer.start()
    data = handcar.read(fifo, format="libsvm", cache=False)
    writer.join()
    assert len(data) == 20_000


