"""Rows from whatever a person has: arrays, tables, files, data sets; and margins of them."""

import numpy as np

from . import _arrays, _handcar, _labels, _names, _options, _paths, _tables
from ._estimator import Estimator


class RowsOf(Estimator):
    """What estimators make of ``X``, ``y`` and ``sample_weight``.

    Subclasses say what their labels are (``_targets``, ``_labels_alike``, ``_classes_of``) and have the model (``_fitted``).
    """

    def _rows(self, X, y, sample_weight, read_options, options, after=None, classes=None):
        """Packed rows, and what the model needs to know of them. ``after``: model and state that are gone on from."""
        before = after and after[0]
        inputs = _paths.inputs_of(X)
        if inputs is not None or isinstance(X, _handcar.Dataset):
            if y is not None or sample_weight is not None:
                raise ValueError("fit: expected no y and no sample_weight with files, which bring them, got some")
            if inputs is None:
                _no_options(read_options)
                rows = X
            else:
                reading = {"n_threads": options["n_threads"], **self._reading(options), **read_options}
                rows = _paths.read(X, **reading) if before is None else _paths.read_like(before, inputs, reading)
            columns = rows.columns
            width = len(columns) if columns else rows.width
            classes = self._classes_of(rows.label_texts if before is None else before.label_texts)
            return rows, dict(label=None, classes=classes, width=width, names=columns or None, exact=False)
        _no_options(read_options)
        label = getattr(y, "name", None) if isinstance(getattr(y, "name", None), str) else None
        join = self._joins(options) and after is None
        if _arrays.is_sparse(X):
            parts, width, names = _arrays.compressed(X), X.shape[1], None
            n, build = X.shape[0], lambda *rest: _handcar.Dataset.from_csr(*parts, *rest, join)
        elif (found := _named(X)) is not None:
            table, names = found
            n, width = _tables.n_rows(table), len(names)
            _arrays.check_size((n, width))
            columns = _tables.columns_of(table)
            build = lambda *rest: _handcar.Dataset.from_columns(columns, *rest, join, *(after or ()))  # noqa: E731
        else:
            array = _arrays.matrix(X)
            (n, width), names = array.shape, None
            build = lambda *rest: _handcar.Dataset.from_dense(array, *rest, join)  # noqa: E731
        if before is not None:
            classes = getattr(self, "classes_", None)
        labels, kind, classes, texts = self._targets(y, n, classes)
        rows = build(labels, _arrays.weights(sample_weight, n), kind)
        return rows, dict(label=(label, *texts), classes=classes, width=width, names=names, exact=True)

    def _eval_rows(self, eval_set, rows, about, read_options):
        """Rows to measure on, packed as those that are trained on."""
        if isinstance(eval_set, list) and not (eval_set and _paths.inputs_of(eval_set)):
            if len(eval_set) != 1:
                raise ValueError(f"eval_set: expected one set of rows, got a list of {len(eval_set)}")
            eval_set = eval_set[0]
        if eval_set is None:
            return None
        if isinstance(eval_set, _handcar.Dataset):
            # Classes of arrays and tables have no texts to compare, nor does a file's data set go with them.
            if about["label"] is None:
                _labels.same_texts("eval_set", rows.label_texts, eval_set.label_texts)
            return eval_set
        if (inputs := _paths.inputs_of(eval_set)) is not None:
            # Rows to measure on are read whole.
            reading = {k: v for k, v in read_options.items() if k not in ("negatives", "seed")}
            return rows.read_alike(inputs, _paths.options_of(reading))
        if not isinstance(eval_set, tuple) or not 2 <= len(eval_set) <= 3:
            got = type(eval_set).__name__
            raise ValueError(f"eval_set: expected (X, y), (X, y, sample_weight), a path or a Dataset, got {got}")
        X, y, sample_weight = (*eval_set, None)[:3]
        named, names = _named(X), about["names"]
        if named is not None:
            X = named[0]
        elif not _arrays.is_sparse(X):
            X = _arrays.matrix(X)
        n, width = (_tables.n_rows(X), len(named[1])) if named is not None else X.shape
        if width != about["width"]:
            raise ValueError(f"eval_set: expected {about['width']} columns as in X, got {width}")
        labels, kind = self._labels_alike(y, n, about["classes"]), rows.label_kind
        rest = (labels, _arrays.weights(sample_weight, n))
        if names is not None:
            if _arrays.is_sparse(X):
                raise ValueError(f"eval_set: expected a table with columns {', '.join(names)}, got a sparse matrix")
            columns = _tables.columns_of(X) if named is not None else _columns_of_matrix(names, X)
            return rows.alike(columns, *rest)
        if named is not None:
            X = _arrays.matrix(_tables.to_matrix(X))
        if _arrays.is_sparse(X):
            return _handcar.Dataset.from_csr(*_arrays.compressed(X), *rest, kind, False)
        return _handcar.Dataset.from_dense(X, *rest, kind, False)

    def _joins(self, options):
        """Whether equal rows of arrays and tables become one."""
        return True

    def _reading(self, options):
        """Options of reading files that follow from the parameters."""
        return {}

    def _margins(self, X, read_options):
        """Margins, and the labels that came along."""
        model = self._fitted("Prediction")
        inputs = _paths.inputs_of(X)
        if inputs is not None:
            options = {"n_threads": _options.threads(self.n_threads), "cache": False, **read_options}
            return model.margins_files(inputs, options)
        _no_options(read_options)
        if isinstance(X, _handcar.Dataset):
            return model.margins_rows(X), X.labels
        if model.hashed:
            raise ValueError("X: expected paths of VW text, whose names the model was trained on, got an array or table")
        if _arrays.is_sparse(X):
            self._compare(X.shape, None)
            if model.columns:
                raise ValueError(f"X: expected a table with columns {', '.join(model.columns)}, got a sparse matrix")
            return model.margins_csr(*_arrays.compressed(X)), None
        if (found := _named(X)) is not None:
            table, names = found
            _arrays.check_size((_tables.n_rows(table), len(names)))
            if self._exact:
                self._compare((_tables.n_rows(table), len(names)), names)
            if model.columns:
                return model.margins_columns(_tables.columns_of(table, set(model.columns))), None
            return model.margins_dense(_arrays.matrix(_tables.to_matrix(table))), None
        array = _arrays.matrix(X)
        self._compare(array.shape, None)
        if model.columns:
            return model.margins_columns(_columns_of_matrix(model.columns, array)), None
        return model.margins_dense(array), None

    def _compare(self, shape, names):
        if self._exact or names is not None:
            _names.compare(self, names)
        if (self._exact or self._model.columns) and len(shape) == 2 and shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} features as "
                "input."
            )


def _named(X):
    """A table whose columns have names, with the names; None for anything else."""
    if (table := _tables.table(X)) is not None and (names := _names.of_columns(_tables.names_of(table))) is not None:
        return table, names
    return None


def _columns_of_matrix(names, array):
    """The columns of an array, by name."""
    return [(n, np.ascontiguousarray(array[:, i], np.float64)) for i, n in enumerate(names)]


def _no_options(read_options):
    if read_options:
        raise TypeError(f"expected options of reading ({', '.join(read_options)}) with a path only, got other data")
