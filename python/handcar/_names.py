"""Names of columns: kept at fit, compared at prediction, with the words scikit-learn's users know."""

import warnings

import numpy as np

# As many names as a message shows.
SHOWN = 5


def of_columns(columns):
    """The names of a table as ``feature_names_in_`` has them; None where none of them is a text."""
    texts = sum(isinstance(c, str) for c in columns)
    if texts == 0:
        return None
    if texts < len(columns):
        kinds = sorted({type(c).__name__ for c in columns})
        raise TypeError(f"X: expected names of columns that are all str, got {', '.join(kinds)}")
    return np.asarray(columns, dtype=object)


def compare(estimator, names):
    """Compare the names of an input (None: it has none) with those of the fit."""
    fitted = getattr(estimator, "feature_names_in_", None)
    who = type(estimator).__name__
    if names is None and fitted is not None:
        message = f"X does not have valid feature names, but {who} was fitted with feature names"
        warnings.warn(message, UserWarning, stacklevel=4)
    elif names is not None and fitted is None:
        warnings.warn(f"X has feature names, but {who} was fitted without feature names", UserWarning, stacklevel=4)
    elif names is not None and list(names) != list(fitted):
        message = "The feature names should match those that were passed during fit.\n"
        strange = sorted(set(names) - set(fitted))
        missing = sorted(set(fitted) - set(names))
        message += _listed("Feature names unseen at fit time:\n", strange)
        message += _listed("Feature names seen at fit time, yet now missing:\n", missing)
        if not strange and not missing:
            message += "Feature names must be in the same order as they were in fit.\n"
        raise ValueError(message)


def _listed(head, names):
    if not names:
        return ""
    lines = [f"- {n}\n" for n in names[:SHOWN]] + (["- ...\n"] if len(names) > SHOWN else [])
    return head + "".join(lines)
