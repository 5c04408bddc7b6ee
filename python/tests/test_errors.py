"""What is wrong is said, with what was expected and what was there."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import handcar

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 1.0], [0.0, 1.0]])
Y = [0, 1, 0, 1]


def fit(x=X, y=Y, weights=None, **parameters):
    return handcar.LogisticRegression(**parameters).fit(x, y, weights)


def broken(**changes):
    m = sp.csr_matrix(X)
    for name, value in changes.items():
        setattr(m, name, np.array(value, dtype=getattr(m, name).dtype))
    m.has_canonical_format = True
    return m


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fit(X * [1, np.nan]), "X: row 0, column 1: expected finite numbers, got NaN"),
        (lambda: fit(np.where(X == 5, np.inf, X)), "X: row 2, column 0: expected finite numbers, got infinity"),
        (lambda: fit(X * 1e200), r"expected numbers within f32 \(±3.4e38\), got"),
        (lambda: fit(X + 1j), "Complex data not supported"),
        (lambda: fit(X[0]), "Expected 2D array, got 1D array instead"),
        (lambda: fit(X[:0], []), r"0 sample\(s\)"),
        (lambda: fit(X[:, :0]), r"0 feature\(s\)"),
        (lambda: fit(y=None), "requires y to be passed"),
        (lambda: fit(y=[0, 1, 0]), "y: expected 4 labels, one for each row of X, got 3"),
        (lambda: fit(y=[0, 1, 2, 1]), r"Only binary classification is supported.*got 3 \(0, 1, 2\)"),
        (lambda: fit(y=[0.5, 1.1, 2.2, 1]), "Unknown label type: continuous"),
        (lambda: fit(y=[1, 1, 1, 1]), "y: expected two classes, got one class: .*1"),
        (lambda: fit(y=[0, 1, np.nan, 1]), "y: expected two classes, got NaN"),
        (lambda: fit(y=["a", None, "b", "a"]), "missing values"),
        (lambda: fit(y=np.array(["a", 1, "b", 2], dtype=object)), "y: expected values of one type, got int, str"),
        (lambda: fit(y=np.eye(4)), "y should be a 1d array"),
        (lambda: fit(weights=[1, 1, 1]), r"sample_weight: expected shape \(4,\)"),
        (lambda: fit(weights=[1, 1, -1, 1]), "expected finite weights of at least 0, got -1.0 in row 2"),
        (lambda: fit(weights=[0, 0, 0, 0]), "only zero weights"),
        (lambda: fit(l1=-1.0), "fit: expected l1 a finite number of at least 0, got -1"),
        (lambda: fit(l2=np.inf), "fit: expected l2 a finite number of at least 0, got inf"),
        (lambda: fit(lower=0.5), "fit: expected lower <= 0 <= upper, got 0.5 and inf"),
        (lambda: fit(upper="1"), "upper: expected a number, got '1'"),
        (lambda: fit(lower=-1, solver="lbfgs"), "expected bounds dbpg or a minibatch solver .*, got -1..inf of lbfgs"),
        (lambda: fit(tol="small"), "tol: expected a number, got 'small'"),
        (lambda: fit(max_iter=0), "max_iter: expected a whole number from 1"),
        (lambda: fit(max_iter=1.5), "max_iter: expected a whole number, got 1.5"),
        (lambda: fit(n_threads=0), "n_threads: expected a whole number from 1 to 4096, got 0"),
        (lambda: fit(delay=5000), "fit: expected delay at most 1024, got 5000"),
        (lambda: fit(random_state=-1), "random_state: expected a whole number"),
        (lambda: fit(broken(indices=[0, 1, 0, 9, 0, 1, 1])), "X: CSR: expected indices from 0 to 1, got 9 at entry 3"),
        (lambda: fit(broken(indices=[0, 1, 0, -1, 0, 1, 1])), "X: CSR: expected indices from 0 to 1, got -1"),
        (lambda: fit(broken(indptr=[0, 2, 1, 6, 7])), "X: CSR: expected .* rising offsets"),
        (lambda: fit(sp.csr_matrix(X) * np.inf), "X: entry 0: expected finite numbers, got inf"),
        (lambda: fit().predict(X[:, :1]), "X has 1 features, but LogisticRegression is expecting 2 features as input"),
        (lambda: handcar.LogisticRegression().set_params(C=1.0), "Invalid parameter 'C'"),
        (lambda: handcar.read("x", format="arff"), "option format: expected libsvm, criteo, csv or vw, got arff"),
    ],
)
def test_bad_values_are_value_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "column, message",
    [
        (pd.to_datetime(["2020-01-01"] * 4), "column 'a': expected numbers, booleans, categories or text, got datetime64"),
        ([1 + 2j] * 4, "column 'a': expected numbers, booleans, categories or text, got complex128"),
        ([[1], [2], [3], [4]], "column 'a': expected .*, got list objects|unhashable"),
        ([1.0, np.inf, 2.0, 3.0], 'column "a", row 1: expected finite numbers, got infinity'),
    ],
)
def test_columns_that_are_no_features_are_refused_by_name(column, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit(pd.DataFrame({"a": column, "b": [1, 2, 3, 4]}))


def test_tables_must_have_the_columns_of_the_fit(tmp_path):
    frame = pd.DataFrame({"a": ["x", "y", "x", "y"], "b": [1, 2, 3, 4]})
    model = fit(frame, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing:\n- a"):
        model.predict(frame[["b"]])
    model.save(tmp_path / "m")
    with pytest.raises(ValueError, match='X: expected a column "a", got columns b'):
        handcar.LogisticRegression.load(tmp_path / "m").predict(frame[["b"]])
    with pytest.raises(ValueError, match='column "b", row 0: expected a finite number, got "one"'):
        model.predict(pd.DataFrame({"a": ["x"], "b": ["one"]}))


def test_files_that_are_not_there_are_file_not_found_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a file or pattern that matches one, got .*none.csv"):
        handcar.read(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match="read model .*none"):
        handcar.LogisticRegression.load(tmp_path / "none")
    with pytest.raises(OSError, match="write .*/m"):
        fit().save(tmp_path / "no" / "folder" / "m")


def test_bad_rows_name_file_line_and_column(tmp_path):
    (tmp_path / "f.csv").write_text("x,y\n1,0\n2,1\n3\n")
    with pytest.raises(ValueError, match="f.csv, line 4: expected 2 columns, got 1"):
        handcar.LogisticRegression().fit(tmp_path / "f.csv", label="y")
    with pytest.raises(ValueError, match="expected a column \"z\", got columns x, y"):
        handcar.LogisticRegression().fit(tmp_path / "f.csv", label="z")


def test_what_is_no_model_is_called_what_it_is(tmp_path):
    (tmp_path / "m").write_text("hello")
    with pytest.raises(ValueError, match="expected a handcar model, got"):
        handcar.LogisticRegression.load(tmp_path / "m")


def test_files_bring_their_labels(tmp_path):
    (tmp_path / "f.svm").write_text("1 1:1\n0 2:1\n")
    with pytest.raises(ValueError, match="expected no y and no sample_weight with files"):
        fit(tmp_path / "f.svm")
    with pytest.raises(TypeError, match=r"options of reading \(label\) with a path only"):
        handcar.LogisticRegression().fit(X, Y, label="y")
    with pytest.raises(TypeError, match="expected a path or a list of paths, got int"):
        handcar.read(3)


def test_rows_read_with_other_bins_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{i}.5,{i % 2}\n" for i in range(9)))
    (tmp_path / "b.csv").write_text("x,y\n" + "".join(f"{i}.25,{i % 2}\n" for i in range(9)))
    model = handcar.LogisticRegression(l1=0.01).fit(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="pass the paths instead"):
        model.predict(handcar.read(tmp_path / "b.csv"))
    assert len(model.predict(tmp_path / "b.csv")) == 9


def test_patience_needs_rows_to_measure_on():
    X, y = np.eye(4), [0, 1, 0, 1]
    with pytest.raises(ValueError, match="expected patience with rows to measure on"):
        handcar.LogisticRegression(patience=2).fit(X, y)
    with pytest.raises(ValueError, match="patience: expected a whole number from 1 to"):
        handcar.LogisticRegression(patience=0).fit(X, y)
