"""Exceptions and warnings, scikit-learn's own where it is in use."""

import sys


class ConvergenceWarning(UserWarning):
    """A fit ended before its tolerance was certified."""


def of_sklearn(name, otherwise):
    """The class of that name in ``sklearn.exceptions`` if the program has imported scikit-learn.

    Programs that catch scikit-learn's exceptions have imported it; others should not wait for its import.
    """
    if "sklearn" not in sys.modules:
        return otherwise
    try:
        from sklearn import exceptions
    except ImportError:
        return otherwise
    return getattr(exceptions, name, otherwise)


class _NotFitted(ValueError, AttributeError):
    pass


def not_fitted(estimator, what="This method"):
    """The exception for an attribute or method that needs a fit first."""
    name = type(estimator).__name__
    message = f"This {name} instance is not fitted yet. {what} needs a model: call 'fit' with training data first."
    return of_sklearn("NotFittedError", _NotFitted)(message)
