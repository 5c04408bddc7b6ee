"""Whatever NumPy or SciPy can make of an input, as the arrays that Rust takes."""

import numpy as np


def is_sparse(X):
    """Whether ``X`` is a SciPy sparse matrix or array, told without importing SciPy."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def matrix(X):
    """A two-dimensional array of f32 or f64; other numbers become f64."""
    array = np.asarray(X)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: X: expected real numbers, got {array.dtype}")
    if array.ndim != 2:
        got = {0: "scalar array", 1: "1D array"}.get(array.ndim, f"array with dim {array.ndim}")
        raise ValueError(
            f"Expected 2D array, got {got} instead. Reshape your data either using array.reshape(-1, 1) if it has a "
            "single feature or array.reshape(1, -1) if it is a single sample."
        )
    check_size(array.shape)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype in (np.float16, np.bool_) else np.float64)
    return array


def compressed(X):
    """A sparse matrix as ``(indptr, indices, data, columns)``, each index once a row."""
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead. Reshape your data.")
    if X.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: X: expected real numbers, got {X.dtype}")
    check_size(X.shape)
    csr = X.tocsr()
    if not csr.has_canonical_format:
        # On a copy: the caller's matrix stays as it is.
        csr = csr.copy() if csr is X else csr
        csr.sum_duplicates()
    data = csr.data if csr.data.dtype in (np.float32, np.float64) else csr.data.astype(np.float64)
    return (*(np.ascontiguousarray(a) for a in (_index(csr.indptr), _index(csr.indices), data)), csr.shape[1])


def _index(array):
    return array if array.dtype in (np.int32, np.int64) else array.astype(np.int64)


def check_size(shape):
    """Refuse a matrix without rows or columns."""
    if shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required.")
    if shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required.")


def weights(sample_weight, rows):
    """Example weights as f32; None: all 1."""
    if sample_weight is None:
        return None
    array = np.asarray(sample_weight)
    if array.dtype.kind not in "buifO":
        raise ValueError(f"sample_weight: expected numbers, got {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim == 0:
        array = np.full(rows, float(array))
    if array.shape != (rows,):
        raise ValueError(f"sample_weight: expected shape ({rows},), one weight for each row of X, got {array.shape}")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        raise ValueError(f"sample_weight: expected finite weights of at least 0, got {array[bad[0]]} in row {bad[0]}")
    if not array.any():
        raise ValueError("sample_weight: expected at least one weight above zero, got only zero weights")
    return array.astype(np.float32)
