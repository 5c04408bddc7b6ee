"""Sparse logistic regression to a certified optimum, on arrays, tables and files."""

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

__all__ = ["ConvergenceWarning", "Dataset", "LogisticRegression", "__version__", "read"]

class ConvergenceWarning(UserWarning): ...

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

class LogisticRegression:
    l1: float
    l2: float
    lower: float | None
    upper: float | None
    solver: str
    tol: float
    max_iter: int | None
    rate: float | None
    beta: float
    batch_size: int
    hogwild: bool
    grid: dict[str, list[float]] | None
    history_size: int
    fit_intercept: bool
    n_threads: int | None
    random_state: Any
    delay: int
    kkt_filter: bool
    filters: str
    pull_filters: str
    warm_start: bool
    verbose: int
    callback: Callable[[dict[str, Any]], Any] | None

    classes_: NDArray[Any]
    intercept_: NDArray[np.float64]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    n_iter_: int
    objective_: float
    gap_: float
    history_: list[dict[str, Any]]
    online_: list[dict[str, Any]]
    filters_: list[dict[str, Any]]

    def __init__(
        self,
        l1: float = 1.0,
        l2: float = 0.0,
        *,
        lower: float | None = None,
        upper: float | None = None,
        solver: str = "dbpg",
        tol: float = 1e-4,
        max_iter: int | None = None,
        rate: float | None = None,
        beta: float = 1.0,
        batch_size: int = 256,
        hogwild: bool = False,
        grid: dict[str, list[float]] | None = None,
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
        callback: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None: ...
    # X: array, SciPy sparse matrix, table of pandas, Polars or Arrow, path, list of paths, or Dataset.
    def fit(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None, **read_options: Any
    ) -> Self: ...
    def decision_function(self, X: Any, **read_options: Any) -> NDArray[np.float64]: ...
    def predict_proba(self, X: Any, **read_options: Any) -> NDArray[np.float64]: ...
    def predict_log_proba(self, X: Any, **read_options: Any) -> NDArray[np.float64]: ...
    def predict(self, X: Any, **read_options: Any) -> NDArray[Any]: ...
    def score(
        self, X: Any, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None, **read_options: Any
    ) -> float: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self: ...
    def strongest(self, n: int = 20) -> list[tuple[str, float]]: ...
    @property
    def coef_(self) -> NDArray[np.float64]: ...
    @property
    def coef_names_(self) -> list[str]: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
