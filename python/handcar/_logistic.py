"""The estimator."""

import os
import sys
import tempfile
import warnings

import numpy as np

from . import _arrays, _handcar, _labels, _names, _options, _paths, _tables
from ._errors import ConvergenceWarning, not_fitted
from ._estimator import BinaryClassifier

# `coef_` is a dense array: up to here it has a size that a program can be expected to hold (128 MiB).
COEF_COLUMNS_MAX = 1 << 24


class LogisticRegression(BinaryClassifier):
    """L1- and L2-penalised logistic regression, solved to a certified optimum or learned row by row.

    Minimises ``sum_i loss(y_i, x_i·w + b) + l1·|w|_1 + l2/2·|w|_2^2``. The losses are summed, so ``l1 = 1/C`` is
    scikit-learn's ``C``; the intercept ``b`` is not penalised.

    Parameters
    ----------
    l1, l2 : float
        Weights of the penalties.
    solver : str
        ``"dbpg"`` and ``"lbfgs"`` go on to a certified optimum; ``"sgd"``, ``"adagrad"``, ``"ftrl"`` learn in minibatches as the rows come.
        ``"emso"`` in large ones; ``"adadelay"``, ``"async-adagrad"`` and ``"adaptive-revision"`` with gradients that are
        ``delay`` batches late. ``"ftrl+dbpg"`` starts the second with the weights of the first.
    tol : float
        ``dbpg``, ``lbfgs``: stop once the relative gap to the optimum, which is certified, is at most this.
    max_iter : int or None
        Passes at most by the last solver; None: 200, 1000 of ``"lbfgs"``, or 1 of a minibatch solver. A fit by ``dbpg``
        or ``lbfgs`` that ends there first warns with :class:`ConvergenceWarning`.
    rate, beta, batch_size : float or None, float, int
        Minibatch solvers: step size (None: 0.1, or 1 of ``"sgd"``), what is added to its divisor, and rows of a batch.
    hogwild : bool
        Minibatch solvers: learn row by row, threads racing on the weights. On one thread that is plain online learning; on several
        no fit has the bits of another.
    grid : dict of lists, or None
        ``"ftrl"`` and ``"adagrad"``: values of ``l1``, ``l2``, ``rate`` and ``beta`` of which each combination is a model, all
        trained in the same pass over the data; the one with the least progressive loss is kept.
    history_size : int
        ``lbfgs``: pairs of changes that directions are made of, up to 40.
    fit_intercept : bool
        Whether to fit an intercept.
    n_threads : int or None
        Threads that read and train; None or -1: all cores. Results do not depend on it (unless ``delay > 0``).
    random_state, delay : int
        Seed of the order of blocks; blocks or batches under way when one starts (0 is sequential and reproducible).
    kkt_filter : bool
        Whether weights at zero whose gradient is small rest until a certificate asks for all.
    filters, pull_filters : str
        What pushes and pulls go through, as ``"zero,zstd:1"``: the command line's ``--filters``. In this process filters
        that only save bytes are left out; those that round change the way to the optimum, and not the certificate.
    warm_start, verbose : bool, int
        Whether a fit begins with the weights of the one before; above 0: print a line a pass to stderr.
    callback : callable, optional
        Called after each pass with a dictionary (solver, pass, seconds, objective, nnz, active, violation, gap; None where
        not known); a true answer ends the fit with the model so far.

    Attributes
    ----------
    classes_ : array of shape (2,)
        The classes; probabilities speak of the second. Sorted, except that files put their positive label second.
    coef_ : array of shape (1, n)
        A weight for each column of an array or of a table of numbers; otherwise one for each name in ``coef_names_``.
    coef_names_ : list of str
        What each weight in ``coef_`` belongs to: ``column`` or ``column=value``.
    intercept_ : array of shape (1,)
        The intercept.
    n_features_in_ : int
        Columns seen during fit.
    feature_names_in_ : array of str
        Names of the columns, where they have names.
    n_iter_ : int
        Passes done.
    objective_ : float
        The minimised sum.
    gap_ : float
        Certified bound on ``(objective_ - optimum) / objective_``; NaN if the fit ended without one.
    history_ : list of dict
        One entry a pass.
    online_ : list of dict
        Minibatch solvers: progressive measures (pass, rows, seconds, loss_since, loss, auc, auc_error, ne), at 1000 rows,
        2000, 4000, ... and at the end of each pass.
    grid_ : list of dict
        For each model of ``grid`` what it was trained with, its ``loss`` (progressive: of rows not learned from yet), its nonzero
        weights ``nnz``, and whether it was ``chosen``.
    filters_ : list of dict
        For each filter its name, direction, and the bytes before and after it.
    """

    def __init__(
        self,
        l1=1.0,
        l2=0.0,
        *,
        solver="dbpg",
        tol=1e-4,
        max_iter=None,
        rate=None,
        beta=1.0,
        batch_size=256,
        hogwild=False,
        grid=None,
        history_size=10,
        fit_intercept=True,
        n_threads=1,
        random_state=0,
        delay=0,
        kkt_filter=True,
        filters="",
        pull_filters="",
        warm_start=False,
        verbose=0,
        callback=None,
    ):
        self.l1 = l1
        self.l2 = l2
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.rate = rate
        self.beta = beta
        self.batch_size = batch_size
        self.hogwild = hogwild
        self.grid = grid
        self.history_size = history_size
        self.fit_intercept = fit_intercept
        self.n_threads = n_threads
        self.random_state = random_state
        self.delay = delay
        self.kkt_filter = kkt_filter
        self.filters = filters
        self.pull_filters = pull_filters
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def fit(self, X, y=None, sample_weight=None, **read_options):
        """Train.

        Parameters
        ----------
        X : array, sparse matrix, table, path, list of paths, or Dataset
            Tables of pandas, Polars and Arrow: numbers and booleans are taken as they are, text and categories become
            features ``column=value``, missing values a category of their own. Paths are read as by
            :func:`handcar.read`, with ``read_options``; files and data sets bring their labels.
        y : array of two values
            The labels; the second in sorted order is the positive class.
        sample_weight : array, optional
            A factor of each row's loss.

        Returns
        -------
        LogisticRegression
            The estimator itself.
        """
        options = self._checked()
        rows, about = self._rows(X, y, sample_weight, read_options, options["n_threads"])
        before = getattr(self, "_model", None) if self.warm_start else None
        model, history, online, filters, grid = _handcar.fit(
            rows, **options, label=about.pop("label"), init=before, observer=self._observer()
        )
        self._adopt(model, **about)
        self.history_, self.online_, self.filters_, self.grid_ = history, online, filters, grid
        if history and history[-1]["solver"] in ("dbpg", "lbfgs") and not model.facts["converged"]:
            gap = "no certificate" if model.facts["gap"] is None else f"certified gap {model.facts['gap']:.1e}"
            warnings.warn(
                f"fit: stopped after {self.n_iter_} passes before the tolerance: {gap}, asked for tol={self.tol:.1e}. "
                "Raise max_iter, or scale columns of very different size.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X, **read_options):
        """Log odds of the positive class, one a row."""
        return self._margins(X, read_options)[0]

    def predict_proba(self, X, **read_options):
        """Probabilities of the two classes, one row a row."""
        margins = self._log_odds("predict_proba", X, read_options)
        # exp of nothing but non-positive numbers: it cannot overflow.
        small = np.exp(-np.abs(margins))
        positive = np.where(margins >= 0, 1.0, small) / (1.0 + small)
        negative = np.where(margins >= 0, small, 1.0) / (1.0 + small)
        return np.column_stack([negative, positive])

    def predict_log_proba(self, X, **read_options):
        """Logarithms of the probabilities."""
        margins = self._log_odds("predict_log_proba", X, read_options)
        return -np.column_stack([np.logaddexp(0.0, margins), np.logaddexp(0.0, -margins)])

    def predict(self, X, **read_options):
        """The more probable class of each row."""
        margins = self._margins(X, read_options)[0]
        return self.classes_[(margins > 0).astype(int)]

    def score(self, X, y=None, sample_weight=None, **read_options):
        """Share of rows whose class is predicted rightly; files and data sets bring their labels."""
        margins, labels = self._margins(X, read_options)
        if labels is not None and y is None:
            right = (margins > 0) == (labels > 0)
        else:
            y = _labels.column(y, len(margins))
            right = self.classes_[(margins > 0).astype(int)] == y
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        return float(np.average(right, weights=weights))

    def save(self, path):
        """Write the model file that the command line reads, whole or not at all."""
        self._fitted("save").save(os.fspath(path))

    @classmethod
    def load(cls, path):
        """An estimator with the model of a file, whether Python or the command line wrote it."""
        model = _handcar.Model.load(os.fspath(path))
        facts = model.facts
        self = cls(**{n: facts[n] for n in ("solver", "l1", "l2", "tol", "fit_intercept", "delay")}, random_state=facts["seed"])
        keys, columns = model.keys, model.columns
        index = int(keys[-1]) + 1 - model.base if len(keys) else 0
        width = len(columns) if columns else model.features if model.hashed else index
        self._adopt(model, _labels.from_texts(*model.label_texts), width, columns or None, exact=False)
        self.history_, self.online_, self.filters_, self.grid_ = [], [], [], []
        return self

    def strongest(self, n=20):
        """The names and weights of the ``n`` strongest features, the strongest first."""
        model = self._fitted("strongest")
        weights = model.weights
        return [(model.name(i), float(weights[i])) for i in model.strongest()[:n]]

    @property
    def coef_(self):
        """Weights; see the class."""
        model = self._fitted("coef_")
        if not model.plain:
            return model.weights.astype(np.float64)[np.newaxis]
        if self.n_features_in_ > COEF_COLUMNS_MAX:
            raise ValueError(
                f"coef_: expected at most {COEF_COLUMNS_MAX} columns in a dense array, got {self.n_features_in_}; "
                "strongest(n) gives the nonzero weights"
            )
        return model.spread(self.n_features_in_)[np.newaxis]

    @property
    def coef_names_(self):
        """Names of the weights in ``coef_``."""
        model = self._fitted("coef_names_")
        if not model.plain:
            return model.names
        names = getattr(self, "feature_names_in_", None)
        return list(names) if names is not None else [str(i + model.base) for i in range(self.n_features_in_)]

    def __sklearn_is_fitted__(self):
        return "_model" in self.__dict__

    def __getstate__(self):
        state = dict(self.__dict__)
        if "_model" in state:
            # The model file is the one stable form of a model.
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "model")
                self._model.save(path)
                with open(path, "rb") as file:
                    state["_model"] = file.read()
        return state

    def __setstate__(self, state):
        # A state of an earlier version lacks what is new.
        self.__dict__.update({**type(self)().__dict__, **state})
        if "_model" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "model")
                with open(path, "wb") as file:
                    file.write(state["_model"])
                self._model = _handcar.Model.load(path)

    def _checked(self):
        """The parameters as Rust takes them."""
        return dict(
            l1=_options.number("l1", self.l1),
            l2=_options.number("l2", self.l2),
            solver=_options.text("solver", self.solver),
            loss="logistic",
            tol=_options.number("tol", self.tol),
            max_iter=None if self.max_iter is None else _options.whole("max_iter", self.max_iter, 1, 2**32 - 1),
            rate=None if self.rate is None else _options.number("rate", self.rate),
            beta=_options.number("beta", self.beta),
            batch_rows=_options.whole("batch_size", self.batch_size, 1, 1 << 17),
            hogwild=bool(self.hogwild),
            grid=_options.axes("grid", self.grid),
            history=_options.whole("history_size", self.history_size, 1, 40),
            fit_intercept=bool(self.fit_intercept),
            n_threads=_options.threads(self.n_threads),
            seed=_options.seed(self.random_state),
            delay=_options.whole("delay", self.delay, 0, 2**32 - 1),
            kkt_filter=bool(self.kkt_filter),
            filters=_options.text("filters", self.filters),
            pull_filters=_options.text("pull_filters", self.pull_filters),
        )

    def _observer(self):
        if not self.verbose:
            return self.callback
        callback = self.callback

        def observer(p):
            gap = "" if p["gap"] is None else f"  gap {p['gap']:.1e}"
            line = f"pass {p['pass']:>4}  objective {p['objective']:.6f}  nonzeros {p['nnz']}{gap}  {p['seconds']:.1f} s"
            print(line, file=sys.stderr, flush=True)
            return callback(p) if callback is not None else False

        return observer

    def _rows(self, X, y, sample_weight, read_options, n_threads):
        """Packed rows, and what the model needs to know of them."""
        inputs = _paths.inputs_of(X)
        if inputs is not None or isinstance(X, _handcar.Dataset):
            if y is not None or sample_weight is not None:
                raise ValueError("fit: expected no y and no sample_weight with files, which bring them, got some")
            rows = X if inputs is None else _paths.read(X, **{"n_threads": n_threads, **read_options})
            if inputs is None:
                _no_options(read_options)
            columns = rows.columns
            width = len(columns) if columns else rows.width
            classes = _labels.from_texts(*rows.label_texts)
            return rows, dict(label=None, classes=classes, width=width, names=columns or None, exact=False)
        _no_options(read_options)
        label = getattr(y, "name", None) if isinstance(getattr(y, "name", None), str) else None
        if _arrays.is_sparse(X):
            parts, width, names = _arrays.compressed(X), X.shape[1], None
            n, build = X.shape[0], lambda *rest: _handcar.Dataset.from_csr(*parts, *rest)
        elif (table := _tables.table(X)) is not None and (names := _names.of_columns(_tables.names_of(table))) is not None:
            n, width = _tables.n_rows(table), len(names)
            _arrays.check_size((n, width))
            columns = _tables.columns_of(table)
            build = lambda *rest: _handcar.Dataset.from_columns(columns, *rest)  # noqa: E731
        else:
            array = _arrays.matrix(X)
            (n, width), names = array.shape, None
            build = lambda *rest: _handcar.Dataset.from_dense(array, *rest)  # noqa: E731
        classes, signs = _labels.two_classes(_labels.column(y, n))
        rows = build(signs, _arrays.weights(sample_weight, n))
        label = (label, *_labels.texts_of(classes))
        return rows, dict(label=label, classes=classes, width=width, names=names, exact=True)

    def _adopt(self, model, classes, width, names, exact):
        self._model = model
        # Whether inputs must have exactly the columns of the fit; files may have more.
        self._exact = exact
        self.classes_ = classes
        self.n_features_in_ = int(width)
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        facts = model.facts
        self.intercept_ = np.array([model.intercept])
        self.n_iter_ = int(facts["passes"])
        self.objective_ = facts["objective"]
        self.gap_ = float("nan") if facts["gap"] is None else facts["gap"]

    def _fitted(self, what):
        try:
            return self.__dict__["_model"]
        except KeyError:
            raise not_fitted(self, what) from None

    def _margins(self, X, read_options):
        """Margins, and the labels in -1 and +1 that came along."""
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
        if (table := _tables.table(X)) is not None and (names := _names.of_columns(_tables.names_of(table))) is not None:
            _arrays.check_size((_tables.n_rows(table), len(names)))
            if self._exact:
                self._compare((_tables.n_rows(table), len(names)), names)
            if model.columns:
                return model.margins_columns(_tables.columns_of(table, set(model.columns))), None
            return model.margins_dense(_arrays.matrix(_tables.to_matrix(table))), None
        array = _arrays.matrix(X)
        self._compare(array.shape, None)
        if model.columns:
            columns = [(n, np.ascontiguousarray(array[:, i], np.float64)) for i, n in enumerate(model.columns)]
            return model.margins_columns(columns), None
        return model.margins_dense(array), None

    def _log_odds(self, what, X, read_options):
        if (loss := self._fitted(what).facts["loss_name"]) != "logistic":
            raise ValueError(f"{what}: expected a model of logistic loss, got {loss}, whose margins are no log odds")
        return self._margins(X, read_options)[0]

    def _compare(self, shape, names):
        if self._exact or names is not None:
            _names.compare(self, names)
        if (self._exact or self._model.columns) and len(shape) == 2 and shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} features as "
                "input."
            )


def _no_options(read_options):
    if read_options:
        raise TypeError(f"expected options of reading ({', '.join(read_options)}) with a path only, got other data")
