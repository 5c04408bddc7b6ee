"""Every kind of input gives the model that the plain array gives."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

import handcar

FORMATS = [sp.csr_matrix, sp.csc_matrix, sp.coo_matrix, sp.csr_array, sp.csc_array, sp.coo_array, sp.lil_array]


def same(a, b):
    np.testing.assert_array_equal(a.coef_, b.coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)


def holes(problem):
    X, y = problem
    X = np.where(np.random.default_rng(2).random(X.shape) < 0.4, 0.0, X).astype(np.float32)
    return X, y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", FORMATS)
def test_sparse_matrices_of_every_format_equal_the_array(problem, kind, dtype):
    X, y = holes(problem)
    dense = handcar.LogisticRegression().fit(X, y)
    sparse = handcar.LogisticRegression().fit(kind(X.astype(dtype)), y)
    same(dense, sparse)
    np.testing.assert_allclose(sparse.decision_function(kind(X)), dense.decision_function(X), rtol=1e-12)


def test_64_bit_indices_equal_32_bit_ones(problem):
    X, y = holes(problem)
    narrow, wide = sp.csr_matrix(X), sp.csr_matrix(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    a, b = (handcar.LogisticRegression().fit(m, y) for m in (narrow, wide))
    same(a, b)
    np.testing.assert_array_equal(a.predict_proba(narrow), b.predict_proba(wide))


def test_indices_beyond_32_bits_are_columns_like_others():
    far = 1 << 40
    indices = np.array([5, far, 5, far + 1, far + 1], dtype=np.int64)
    X = sp.csr_array((np.ones(5), indices, np.array([0, 2, 3, 4, 5])), shape=(4, far + 2))
    y = [1, 1, 0, 0]
    model = handcar.LogisticRegression(l1=0.1).fit(X, y)
    assert dict(model.strongest()).keys() <= {"5", str(far), str(far + 1)}
    assert (model.predict(X) == y).mean() >= 0.75
    with pytest.raises(ValueError, match="expected at most 16777216 columns"):
        model.coef_


def test_unsorted_repeated_and_explicit_zero_entries_are_what_scipy_means_and_stay_as_they_are():
    X = sp.csr_matrix((np.array([1.0, 2, 3, 0, 1]), np.array([2, 0, 2, 1, 1]), np.array([0, 3, 4, 5])), shape=(3, 3))
    before = X.indices.copy(), X.data.copy()
    y = [1, 0, 0]
    same(handcar.LogisticRegression(l1=0.01).fit(X, y), handcar.LogisticRegression(l1=0.01).fit(X.toarray(), y))
    np.testing.assert_array_equal(X.indices, before[0])
    np.testing.assert_array_equal(X.data, before[1])


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.bool_, np.float16, object])
def test_other_numbers_are_widened(dtype):
    X = (np.arange(40).reshape(10, 4) % 3 == 1).astype(dtype)
    y = np.arange(10) % 2
    same(handcar.LogisticRegression(l1=0.1).fit(X, y), handcar.LogisticRegression(l1=0.1).fit(X.astype(np.float64), y))


def test_strided_and_fortran_arrays_equal_plain_ones(problem):
    X, y = problem
    plain = handcar.LogisticRegression().fit(X, y)
    same(plain, handcar.LogisticRegression().fit(np.asfortranarray(X), y))
    wide = np.zeros((len(y), 14))
    wide[:, ::2] = X
    same(plain, handcar.LogisticRegression().fit(wide[:, ::2], y))


@pytest.mark.parametrize(
    "labels", [(0, 1), (-1, 1), (1, 2), (False, True), (0.0, 1.0), ("no", "yes"), (b"no", b"yes"), (10, 7)]
)
def test_any_two_labels_will_do(problem, labels):
    X, y = problem
    named = np.array(labels)[y]
    model = handcar.LogisticRegression().fit(X, named)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert set(model.predict(X)) == set(named)
    assert model.score(X, named) == np.mean(model.predict(X) == named) > 0.7


TABLE = {
    "age": [20, 61, 33, 47, None, 25, 58, 39],
    "city": ["Rome", "Oslo", None, "Rome", "Oslo", "Rome", "Oslo", "Köln"],
    "kind": ["a", "b", "a", "b", "a", "b", "a", "b"],
    "paid": [True, False, True, True, False, False, True, False],
}
Y = [1, 0, 1, 1, 0, 1, 0, 0]


def tables():
    frame = pd.DataFrame(TABLE).astype({"age": "float64", "paid": "bool"})
    yield "pandas", frame
    yield "pandas, categories and nullable types", frame.astype({"age": "Int64", "kind": "category", "paid": "boolean"})
    yield "pandas, objects", frame.astype({"city": object, "kind": object})
    yield "pandas on arrow", frame.convert_dtypes(dtype_backend="pyarrow")
    yield "polars", pl.DataFrame(TABLE)
    yield "polars, lazy", pl.DataFrame(TABLE).lazy()
    yield "polars, categories", pl.DataFrame(TABLE).with_columns(pl.col("city").cast(pl.Categorical), pl.col("kind").cast(pl.Enum(["b", "a", "c"])))
    yield "arrow", pa.table(TABLE)
    yield "arrow, batch", pa.RecordBatch.from_pydict(TABLE)
    arrow = pa.table(TABLE)
    yield "arrow, chunks", pa.concat_tables([arrow.slice(0, 3), arrow.slice(3)])
    yield "arrow, dictionaries", arrow.set_column(1, "city", arrow["city"].dictionary_encode())


@pytest.mark.parametrize("table", [pytest.param(t, id=name) for name, t in tables()])
def test_tables_of_every_library_give_one_model(table, tmp_path):
    first = handcar.LogisticRegression(l1=0.1).fit(pd.DataFrame(TABLE), Y)
    model = handcar.LogisticRegression(l1=0.1).fit(table, Y)
    same(first, model)
    assert model.coef_names_ == first.coef_names_
    assert list(model.feature_names_in_) == list(TABLE)
    np.testing.assert_array_equal(model.predict_proba(table), first.predict_proba(pd.DataFrame(TABLE)))
    names = dict(model.strongest())
    assert any(n.startswith("city=") for n in names) and names.keys() <= {
        "age", "age=(missing)", "city=Rome", "city=Oslo", "city=Köln", "city=(missing)", "kind=a", "kind=b", "paid",
    }  # fmt: skip
    # What is known of a table travels in the file.
    model.save(tmp_path / "m")
    loaded = handcar.LogisticRegression.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(table), model.predict_proba(table))


def test_a_table_of_numbers_is_an_array_with_names(problem):
    X, y = problem
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    model = handcar.LogisticRegression().fit(frame, y)
    same(model, handcar.LogisticRegression().fit(X, y))
    assert model.coef_.shape == (1, 7) and model.coef_names_ == list(frame.columns)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(model.decision_function(X), model.decision_function(frame))


def test_a_category_never_seen_counts_nothing():
    model = handcar.LogisticRegression(l1=0.1).fit(pd.DataFrame(TABLE), Y)
    row = {"age": [0], "city": ["Atlantis"], "kind": ["z"], "paid": [False]}
    np.testing.assert_allclose(model.decision_function(pd.DataFrame(row)), model.intercept_)


def test_labels_may_be_a_column_of_any_library(problem):
    X, y = problem
    plain = handcar.LogisticRegression().fit(X, y)
    for column in (pd.Series(y), pl.Series(y), pa.array(y), pa.chunked_array([y[:50], y[50:]]), list(y)):
        same(plain, handcar.LogisticRegression().fit(X, column))


def test_an_all_zero_matrix_leaves_the_intercept():
    model = handcar.LogisticRegression().fit(np.zeros((4, 3)), [0, 0, 0, 1])
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 3)))[0, 1], 0.25, atol=1e-3)
    assert not model.coef_.any()
