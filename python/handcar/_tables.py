"""Tables of pandas, Polars and Arrow as plain columns, without importing any of them.

A column becomes ``(name, float64 numbers)`` with NaN for missing, or ``(name, int32 codes, texts)`` with -1 for missing,
so that each text is looked at once, however many rows have it.
"""

import sys

import numpy as np


def table(X):
    """``X`` as a table in memory, if it is one whose columns have names; otherwise None."""
    library = _library(X)
    if library == "capsule":
        return _arrow(X)
    if library == "polars" and hasattr(X, "collect"):
        return X.collect()
    return None if library is None else X


def names_of(X):
    """The names of a table's columns."""
    return list(X.schema.names if _library(X) == "pyarrow" else X.columns)


def columns_of(X, wanted=None):
    """The columns of a table; of those in ``wanted`` only, if given."""
    library = _library(X)
    convert = {"pandas": _pandas, "polars": _polars, "pyarrow": _pyarrow}[library]
    found = []
    for i, name in enumerate(names_of(X)):
        if wanted is None or str(name) in wanted:
            column = X.iloc[:, i] if library == "pandas" else X.column(i) if library == "pyarrow" else X.to_series(i)
            found.append((str(name), *convert(str(name), column)))
    return found


def to_matrix(X):
    """A table of numbers as an array, for models that know columns by place."""
    found = columns_of(X)
    texts = [c[0] for c in found if len(c) == 3]
    if texts:
        raise ValueError(f"X: expected numbers in every column, got text in {texts[0]!r}")
    return np.column_stack([c[1] for c in found])


def n_rows(X):
    """Number of rows of a table."""
    return X.num_rows if hasattr(X, "num_rows") else len(X)


def _library(X):
    root = type(X).__module__.partition(".")[0]
    kind = type(X).__name__
    if root == "pandas" and hasattr(X, "iloc") and hasattr(X, "columns"):
        return "pandas"
    if root == "polars" and kind in ("DataFrame", "LazyFrame"):
        return "polars"
    if root == "pyarrow" and kind in ("Table", "RecordBatch"):
        return "pyarrow"
    if hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns") and "numpy" != root:
        return "capsule"
    return None


def _arrow(X):
    try:
        import pyarrow
    except ImportError:
        raise TypeError(f"X: expected pyarrow to be installed to read a {type(X).__name__}, got no such module") from None
    return pyarrow.table(X)


def _refuse(name, got):
    expected = "numbers, booleans, categories or text"
    return ValueError(f"X: column {name!r}: expected {expected}, got {got} (convert or drop the column)")


def _texts(name, codes, values):
    for value in values:
        if not isinstance(value, (str, int, float, bool, np.generic)):
            raise _refuse(name, f"{type(value).__name__} objects")
    return np.ascontiguousarray(codes, dtype=np.int32), [_text(v) for v in values]


def _text(value):
    # Whole numbers as a CSV file has them: 3, not 3.0.
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _numbers(array):
    return (np.ascontiguousarray(array, dtype=np.float64),)


def _pandas(name, column):
    pd = sys.modules["pandas"]
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _texts(name, column.cat.codes.to_numpy(), list(dtype.categories))
    kind = getattr(dtype, "kind", "O")
    if (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)) and kind != "c":
        if hasattr(column, "sparse"):
            column = column.sparse.to_dense()
        return _numbers(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if kind == "O" or pd.api.types.is_string_dtype(dtype):
        codes, values = pd.factorize(column)
        return _texts(name, codes, list(values))
    raise _refuse(name, dtype)


def _polars(name, column):
    pl = sys.modules["polars"]
    dtype = column.dtype
    if dtype == pl.Boolean or dtype.is_numeric() or dtype == pl.Null:
        return _numbers(column.cast(pl.Float64).to_numpy())
    if dtype == pl.String or dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
        # Dense ranks count the distinct texts in order, from 1.
        codes = column.rank("dense").fill_null(0).to_numpy().astype(np.int32) - 1
        return _texts(name, codes, column.drop_nulls().unique().sort().to_list())
    raise _refuse(name, dtype)


def _pyarrow(name, column):
    pa = sys.modules["pyarrow"]
    import pyarrow.compute as compute

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        # Booleans do not cast to floats in one step.
        column = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
        return _numbers(_numpy(compute.fill_null(column.cast(pa.float64(), safe=False), float("nan"))))
    if pa.types.is_decimal(kind):
        return _numbers(_numpy(compute.fill_null(column.cast(pa.float64()), float("nan"))))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        encoded = compute.dictionary_encode(column)
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.chunk(0)
        codes = _numpy(compute.fill_null(encoded.indices.cast(pa.int32()), -1))
        return _texts(name, codes, encoded.dictionary.to_pylist())
    raise _refuse(name, kind)


def _numpy(array):
    return array.to_numpy() if hasattr(array, "num_chunks") else array.to_numpy(zero_copy_only=False)
