"""Labels: any two values, or numbers."""

import warnings

import numpy as np

from ._errors import of_sklearn


def column(y, rows=None):
    """Labels as a one-dimensional array."""
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None")
    if type(y).__module__.partition(".")[0] == "pyarrow" and hasattr(y, "to_numpy"):
        y = y.to_numpy() if hasattr(y, "num_chunks") else y.to_numpy(zero_copy_only=False)
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        # The words are those that scikit-learn's users know.
        message = "A column-vector y was passed when a 1d array was expected. Use y.ravel() to say so."
        warnings.warn(message, of_sklearn("DataConversionWarning", UserWarning), stacklevel=4)
        y = y.ravel()
    if y.ndim != 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {y.shape} instead.")
    if rows is not None and len(y) != rows:
        raise ValueError(f"y: expected {rows} labels, one for each row of X, got {len(y)}")
    return y


def two_classes(y):
    """The two classes in order, and each row's label as -1 or +1; the second class is the positive one."""
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y: expected two classes, got NaN or infinity: Input y contains NaN or inf.")
    if y.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: y: expected two classes, got {y.dtype}")
    if y.dtype.kind == "O":
        kinds = {type(v).__name__ for v in y}
        if "NoneType" in kinds or any(isinstance(v, float) and v != v for v in y):
            raise ValueError("y: expected two classes, got missing values: Input y contains NaN.")
    try:
        classes, index = np.unique(y, return_inverse=True)
    except TypeError:
        raise ValueError(f"y: expected values of one type, got {', '.join(sorted(kinds))}") from None
    if len(classes) > 2:
        if y.dtype.kind == "f" and (y != np.floor(y)).any():
            raise ValueError(f"Unknown label type: continuous. y: expected two classes, got {len(classes)} numbers")
        shown = ", ".join(repr(c) for c in classes[:5].tolist()) + (", ..." if len(classes) > 5 else "")
        raise ValueError(
            "Only binary classification is supported. The type of the target is multiclass: "
            f"y: expected two classes, got {len(classes)} ({shown})"
        )
    if len(classes) < 2:
        raise ValueError(f"y: expected two classes, got one class: {classes[0]!r}")
    return classes, np.where(index == 1, np.float32(1), np.float32(-1))


def of_classes(y, classes):
    """Labels of classes that are known as -1 or +1."""
    known = np.isin(y, classes)
    if not known.all():
        negative, positive = classes.tolist()
        raise ValueError(f"y: expected the classes {negative!r} and {positive!r}, got {y[~known][:1].tolist()[0]!r}")
    return np.where(y == classes[1], np.float32(1), np.float32(-1))


def numbers(y):
    """Labels as finite numbers."""
    if y.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: y: expected numbers, got {y.dtype}")
    try:
        y = y.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"y: expected numbers, got {y.dtype}") from None
    if not np.isfinite(y).all():
        raise ValueError("y: expected finite numbers, got NaN or infinity: Input y contains NaN or infinity.")
    return y


def texts_of(classes):
    """The texts of the two classes for the model file; (None, None) where they are 0 and 1, which need no text."""
    values = classes.tolist()
    if classes.dtype.kind in "buif" and values == [0, 1]:
        return None, None
    return tuple(_text(v) for v in values)


def from_texts(negative, positive):
    """The classes of a model from a file."""
    if positive is None:
        return np.array([0, 1])
    if negative is None:
        negative = f"not {positive}"
    for kind in (int, float):
        try:
            return np.array([kind(negative), kind(positive)])
        except ValueError:
            pass
    return np.array([negative, positive])


def same_texts(what, expected, got):
    """Refuses rows of a file whose labels -1 and +1 mean other texts; numbers, which have no texts, mean +1 by 1."""
    (negative, positive), (other, given) = expected, got
    same = (positive or "1") == (given or "1") and (negative is None or other is None or negative == other)
    if not same:
        raise ValueError(
            f"{what}: expected labels whose positive class is {positive or '1'!r} (the other {negative or '0 or -1'!r}), "
            f"got {given or '1'!r} ({other or '0 or -1'!r}): pass the paths instead, or read with positive={positive or '1'!r}"
        )


def _text(value):
    return str(int(value)) if isinstance(value, (bool, float)) and float(value).is_integer() else str(value)
