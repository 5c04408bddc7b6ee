"""Sparse linear models to a certified optimum or learned row by row, on arrays, tables and files.

    >>> import handcar
    >>> model = handcar.LogisticRegression(l1=1.0).fit(X, y)       # doctest: +SKIP
    >>> model.predict_proba(X)[:, 1]                               # doctest: +SKIP
"""

from ._errors import ConvergenceWarning
from ._handcar import Dataset, __version__
from ._logistic import LogisticRegression
from ._paths import read
from ._progress import progress
from ._sgd import SGDClassifier, SGDRegressor

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
