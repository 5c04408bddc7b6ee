"""Sparse linear models to a certified optimum or learned row by row, on arrays, tables and files."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

from ._handcar import Dataset as Dataset
from ._handcar import __version__ as __version__

__all__ = [
    "ConvergenceWarning",
    "Dataset",
    "LogisticRegression",
    "SGDClassifier",
    "SGDRegressor",
    "__version__",
    "progress",
    "read",
]

_Callback = Callable[[dict[str, Any]], Any]
# (X, y), (X, y, sample_weight), a path, a Dataset, or a list of one of them.
_EvalSet = Any

class ConvergenceWarning(UserWarning): ...

class progress:
    file: Any
    def __init__(self, file: Any = None) -> None: ...
    def __call__(self, p: dict[str, Any]) -> None: ...
    def begin(self) -> None: ...
    def online(self, line: dict[str, Any]) -> None: ...
    def progress(self, done: float) -> None: ...
    def end(self) -> None: ...

def read(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    format: Literal["libsvm", "criteo", "csv", "vw"] | None = None,
    label: str | None = None,
    labels: Literal["binary", "real", "count"] = "binary",
    positive: str | None = None,
    weight: str | None = None,
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    raw: str | Sequence[str] = (),
    ignore: str | Sequence[str] = (),
    keep: str | Sequence[str] = (),
    drop: str | Sequence[str] = (),
    cross: str | Sequence[str] = (),
    negatives: float | None = None,
    seed: int = 0,
    delimiter: str | None = None,
    bits: int = 64,
    hash: Literal["handcar", "vw"] = "handcar",
    zero_based: bool = False,
    on_bad_row: Literal["fail", "skip"] = "fail",
    n_threads: int = 0,
    cache: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    verify_cache: bool = False,
) -> Dataset: ...

class _LinearModel:
    l1: float
    l2: float
    lower: float | None
    upper: float | None
    solver: str
    tol: float
    max_iter: int | None
    patience: int | None
    rate: float | None
    beta: float
    batch_size: int
    inner: str
    inner_iterations: int | None
    inner_tol: float
    hogwild: bool
    grid: dict[str, list[float]] | None
    fit_intercept: bool
    n_threads: int | None
    random_state: Any
    delay: int
    filters: str
    pull_filters: str
    warm_start: bool
    verbose: int
    callback: _Callback | Sequence[_Callback] | None

    intercept_: NDArray[np.float64]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    n_iter_: int
    objective_: float
    gap_: float
    history_: list[dict[str, Any]]
    online_: list[dict[str, Any]]
    grid_: list[dict[str, Any]]
    filters_: list[dict[str, Any]]

    # X: array, SciPy sparse matrix, table of pandas, Polars or Arrow, path, list of paths, or Dataset.
    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: _EvalSet = None,
        stream: bool = False,
        **read_options: Any,
    ) -> Self: ...
    def predict(self, X: Any, **read_options: Any) -> NDArray[Any]: ...
    def score(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None, **read_options: Any
    ) -> float: ...
    def evaluate(
        self, X: Any, *, slices: list[str] | tuple[str, ...] = (), slice_values: int = 50, **read_options: Any
    ) -> dict[str, Any]: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self: ...
    def strongest(self, n: int = 20) -> list[tuple[str, float]]: ...
    @property
    def coef_(self) -> NDArray[np.float64]: ...
    @property
    def coef_names_(self) -> list[str]: ...
    @property
    def dropped_fields_(self) -> list[str]: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...

class _LinearClassifier(_LinearModel):
    classes_: NDArray[Any]

    # For solvers that learn in minibatches.
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        rows_total: int | None = None,
        eval_set: _EvalSet = None,
        **read_options: Any,
    ) -> Self: ...

    def decision_function(self, X: Any, **read_options: Any) -> NDArray[np.float64]: ...
    def predict_proba(self, X: Any, **read_options: Any) -> NDArray[np.float64]: ...
    def predict_log_proba(self, X: Any, **read_options: Any) -> NDArray[np.float64]: ...

class LogisticRegression(_LinearClassifier):
    group_lasso: float
    history_size: int
    kkt_filter: bool

    def __init__(
        self,
        l1: float = 1.0,
        l2: float = 0.0,
        *,
        group_lasso: float = 0.0,
        lower: float | None = None,
        upper: float | None = None,
        solver: str = "dbpg",
        tol: float = 1e-4,
        max_iter: int | None = None,
        patience: int | None = None,
        rate: float | None = None,
        beta: float = 1.0,
        batch_size: int = 256,
        hogwild: bool = False,
        grid: dict[str, list[float]] | None = None,
        inner: Literal["cd", "gd"] = "cd",
        inner_iterations: int | None = None,
        inner_tol: float = 0.0,
        history_size: int = 10,
        fit_intercept: bool = True,
        n_threads: int | None = 1,
        random_state: Any = 0,
        delay: int = 0,
        kkt_filter: bool = True,
        filters: str = "",
        pull_filters: str = "",
        warm_start: bool = False,
        verbose: int = 0,
        callback: _Callback | Sequence[_Callback] | None = None,
    ) -> None: ...

class SGDClassifier(_LinearClassifier):
    loss: str

    def __init__(
        self,
        loss: Literal["logistic", "log_loss", "hinge", "squared_hinge"] = "logistic",
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        lower: float | None = None,
        upper: float | None = None,
        solver: str = "adagrad",
        max_iter: int | None = None,
        patience: int | None = None,
        rate: float | None = None,
        beta: float = 1.0,
        batch_size: int = 256,
        inner: Literal["cd", "gd"] = "cd",
        inner_iterations: int | None = None,
        inner_tol: float = 0.0,
        hogwild: bool = False,
        grid: dict[str, list[float]] | None = None,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        n_threads: int | None = 1,
        random_state: Any = 0,
        delay: int = 0,
        filters: str = "",
        pull_filters: str = "",
        warm_start: bool = False,
        verbose: int = 0,
        callback: _Callback | Sequence[_Callback] | None = None,
    ) -> None: ...

class SGDRegressor(_LinearModel):
    loss: str
    huber_delta: float

    # For solvers that learn in minibatches.
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        rows_total: int | None = None,
        eval_set: _EvalSet = None,
        **read_options: Any,
    ) -> Self: ...

    def __init__(
        self,
        loss: Literal["squared", "squared_error", "huber", "poisson"] = "squared",
        *,
        huber_delta: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        lower: float | None = None,
        upper: float | None = None,
        solver: str = "adagrad",
        max_iter: int | None = None,
        patience: int | None = None,
        rate: float | None = None,
        beta: float = 1.0,
        batch_size: int = 256,
        inner: Literal["cd", "gd"] = "cd",
        inner_iterations: int | None = None,
        inner_tol: float = 0.0,
        hogwild: bool = False,
        grid: dict[str, list[float]] | None = None,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        n_threads: int | None = 1,
        random_state: Any = 0,
        delay: int = 0,
        filters: str = "",
        pull_filters: str = "",
        warm_start: bool = False,
        verbose: int = 0,
        callback: _Callback | Sequence[_Callback] | None = None,
    ) -> None: ...
