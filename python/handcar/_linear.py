"""What estimators of linear models share: data in, a model, its margins out."""

import json
import os
import tempfile
import warnings

import numpy as np

from . import _handcar, _labels, _names, _options, _paths
from ._callbacks import Listeners
from ._errors import ConvergenceWarning, not_fitted
from ._estimator import Available
from ._progress import display
from ._rows import RowsOf

# `coef_` is a dense array: up to here it has a size that a program can be expected to hold (128 MiB).
COEF_COLUMNS_MAX = 1 << 24
# Solvers that go on to a tolerance.
BATCH_SOLVERS = ("dbpg", "lbfgs")
# Solvers whose state one fit can take over from another.
RESUMABLE_SOLVERS = ("sgd", "adagrad", "ftrl", "adadelay", "async-adagrad", "adaptive-revision")


def not_partial(estimator):
    """Why an estimator cannot go on learning; None if it can."""
    if estimator.solver not in RESUMABLE_SOLVERS:
        return f"expected a solver among {', '.join(RESUMABLE_SOLVERS)}, got {estimator.solver!r}"
    bare = dict(patience=None, hogwild=False, grid=None, delay=0, filters="", pull_filters="")
    odd = [name for name, value in bare.items() if getattr(estimator, name) != value]
    return f"expected no {odd[0]}, got {getattr(estimator, odd[0])!r}" if odd else None


class LinearModel(RowsOf):
    """A linear model that Rust trains.

    Subclasses say what their labels are (``_targets``, ``_classes_of``), which parameters Rust gets (``_checked``), and what
    becomes of margins.
    """

    def fit(self, X, y=None, sample_weight=None, *, eval_set=None, stream=False, **read_options):
        """Train.

        Parameters
        ----------
        X : array, sparse matrix, table, path, list of paths, or Dataset
            Tables of pandas, Polars and Arrow: numbers and booleans are taken as they are, text and categories become
            features ``column=value``, missing values a category of their own. Paths are read as by
            :func:`handcar.read`, with ``read_options``; files and data sets bring their labels.
        y : array
            The labels. Of a classifier any two values, the second in sorted order being the positive class.
        sample_weight : array, optional
            A factor of each row's loss.
        eval_set : (X, y), (X, y, sample_weight), path, Dataset, or a list of one of them
            Rows to measure on after each pass: ``history_[i]["valid"]``.
        stream : bool
            Paths: learn from each row once, as it is read, and keep none: one pass in memory for the features alone. For solvers
            that learn in minibatches; penalties with ``"ftrl"``. ``objective_`` is then of rows before they were learned from.

        Returns
        -------
        self
            The estimator itself.
        """
        options = self._checked()
        if stream:
            return self._fit_stream(X, (y, sample_weight, eval_set), options, read_options)
        rows, about = self._rows(X, y, sample_weight, read_options, options)
        valid = self._eval_rows(eval_set, rows, about, read_options)
        before = getattr(self, "_model", None) if self.warm_start else None
        # What a solver knows beside the weights is kept for `partial_fit`.
        resume = before is None and not_partial(self) is None
        self._train(rows, about, options, init=before, valid=valid, resume=resume)
        model, history = self._model, self.history_
        batch = history and history[-1]["solver"] in BATCH_SOLVERS
        if batch and self.patience is None and not model.facts["converged"]:
            gap = "no certificate" if model.facts["gap"] is None else f"certified gap {model.facts['gap']:.1e}"
            warnings.warn(
                f"fit: stopped after {self.n_iter_} passes before the tolerance: {gap}, asked for tol={self.tol:.1e}. "
                "Raise max_iter, or scale columns of very different size.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @Available(not_partial)
    def partial_fit(self, X, y=None, sample_weight=None, *, rows_total=None, eval_set=None, **read_options):
        """Go on learning, with one pass over some rows; the first call begins a model.

        The solver goes on where the last call, or ``fit``, ended: step sizes, and whatever else it knows beside the weights, are kept
        (also by pickling; a model file has the weights alone, and after ``load`` step sizes begin anew). Features that were not
        seen before join. ``history_`` and ``online_`` tell of this call, ``objective_`` is that of its rows.

        Parameters
        ----------
        X, y, sample_weight, eval_set, read_options
            As of :meth:`fit`. Columns must be those of the first call.
        rows_total : int, optional
            Rows that the penalties ``l1`` and ``l2`` belong to. Each call carries the whole penalty once unless told that it is a
            piece of so many rows. With it, pieces whose lengths are multiples of ``batch_size`` give the model of one ``fit`` with
            ``max_iter=1``: to the bit if the largest magnitude of each feature's and label's values lies between the same powers of
            two in all pieces, as for categories and 0 and 1, and otherwise up to rounding.

        Returns
        -------
        self
            The estimator itself.
        """
        return self._partial(X, y, sample_weight, rows_total, eval_set, read_options)

    def _partial(self, X, y, sample_weight, rows_total, eval_set, read_options, classes=None):
        options = dict(self._checked(), max_iter=1)
        if rows_total is not None:
            rows_total = _options.whole("rows_total", rows_total, 1, 2**63 - 1)
        before, state = getattr(self, "_model", None), getattr(self, "_state", None)
        rows, about = self._rows(X, y, sample_weight, read_options, options, after=(before, state), classes=classes)
        if before is not None and about["width"] != self.n_features_in_ and (about["exact"] or before.columns):
            raise ValueError(
                f"X has {about['width']} features, but {type(self).__name__} is expecting {self.n_features_in_} features as "
                "input."
            )
        if before is not None:
            if about["exact"]:
                _names.compare(self, about["names"])
            else:
                _labels.same_texts("X", before.label_texts, rows.label_texts)
            about["width"] = max(about["width"], self.n_features_in_)
        valid = self._eval_rows(eval_set, rows, about, read_options)
        self._train(rows, about, options, init=before, state=state, rows_total=rows_total, valid=valid, resume=True)
        return self

    def _fit_stream(self, X, others, options, read_options):
        inputs = _paths.inputs_of(X)
        if inputs is None or any(other is not None for other in others):
            raise ValueError("stream: expected paths, which bring their labels, and no eval_set")
        before = getattr(self, "_model", None) if self.warm_start else None
        read = _paths.options_of({"n_threads": options["n_threads"], **self._reading(options), **read_options})
        with Listeners.of(self.callback, *display(self.verbose)) as listeners:
            found = _handcar.fit(stream=(inputs, read), **options, label=None, init=before, observer=listeners)
        model, history, online, filters, grid, _ = found
        self._adopt(model, self._classes_of(model.label_texts), *self._shape_of(model), exact=False)
        self._state = None
        self.history_, self.online_, self.filters_, self.grid_ = history, online, filters, grid
        return self

    def _train(self, rows, about, options, *, init, valid, resume, state=None, rows_total=None):
        label = about.pop("label")
        with Listeners.of(self.callback, *display(self.verbose)) as listeners:
            model, history, online, filters, grid, state = _handcar.fit(
                rows,
                **options,
                label=label,
                init=init,
                resume=resume,
                state=state,
                rows_total=rows_total,
                valid=valid,
                observer=listeners,
            )
        self._adopt(model, **about)
        self._state = state
        self.history_, self.online_, self.filters_, self.grid_ = history, online, filters, grid

    def evaluate(self, X, *, slices=(), slice_values=50, **read_options):
        """Measures on the rows of files, in memory that does not grow with them.

        ``slices``: fields by whose values the measures are taken too, of each the ``slice_values`` with the most rows. Returns the
        report of ``handcar eval``: a dictionary of ``rows``, ``loss``, ``metrics``, ``calibration`` and ``slices``.
        """
        inputs = _paths.inputs_of(X)
        if inputs is None:
            raise ValueError("evaluate: expected paths (of other data predictions give what scikit-learn's metrics take), got other data")
        if isinstance(slices, str):
            raise ValueError(f"slices: expected a list of fields, got {slices!r}")
        model = self._fitted("evaluate")
        options = {"n_threads": _options.threads(self.n_threads), "cache": False, **read_options}
        most = _options.whole("slice_values", slice_values, 1, 1 << 16)
        return json.loads(_handcar.evaluate(model, inputs, options, list(slices), most))

    def save(self, path):
        """Write the model file that the command line reads, whole or not at all."""
        self._fitted("save").save(os.fspath(path))

    @classmethod
    def load(cls, path):
        """An estimator with the model of a file, whether Python or the command line wrote it."""
        model = _handcar.Model.load(os.fspath(path))
        self = cls(**cls._of_facts(model.facts))
        self._adopt(model, self._classes_of(model.label_texts), *cls._shape_of(model), exact=False)
        self._state = None
        self.history_, self.online_, self.filters_, self.grid_ = [], [], [], []
        return self

    @staticmethod
    def _shape_of(model):
        """How many features a model of files has, and the names of its columns."""
        keys, columns = model.keys, model.columns
        index = int(keys[-1]) + 1 - model.base if len(keys) else 0
        return len(columns) if columns else model.features if model.hashed else index, columns or None

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
            return self._shaped(model.weights.astype(np.float64))
        if self.n_features_in_ > COEF_COLUMNS_MAX:
            raise ValueError(
                f"coef_: expected at most {COEF_COLUMNS_MAX} columns in a dense array, got {self.n_features_in_}; "
                "strongest(n) gives the nonzero weights"
            )
        return self._shaped(model.spread(self.n_features_in_))

    @property
    def coef_names_(self):
        """Names of the weights in ``coef_``."""
        model = self._fitted("coef_names_")
        if not model.plain:
            return model.names
        names = getattr(self, "feature_names_in_", None)
        return list(names) if names is not None else [str(i + model.base) for i in range(self.n_features_in_)]

    @property
    def dropped_fields_(self):
        """Names of the columns without any weight, where columns have names."""
        return self._fitted("dropped_fields_").dropped_fields

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
        if state.get("_state") is not None:
            state["_state"] = state["_state"].to_bytes()
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
        if state.get("_state") is not None:
            self._state = _handcar.State.from_bytes(state["_state"])

    @classmethod
    def _of_facts(cls, facts):
        """The parameters that a model file remembers."""
        known = cls._parameters()
        told = ("solver", "l1", "l2", "group_lasso", "lower", "upper", "tol", "fit_intercept", "delay")
        names = [n for n in told if n in known]
        return {**{n: facts[n] for n in names}, "random_state": facts["seed"]}

    def _checked(self):
        """The parameters that all estimators have, as Rust takes them."""
        return dict(
            l1=_options.number("l1", self.l1),
            l2=_options.number("l2", self.l2),
            lower=None if self.lower is None else _options.number("lower", self.lower),
            upper=None if self.upper is None else _options.number("upper", self.upper),
            solver=_options.text("solver", self.solver),
            tol=_options.number("tol", self.tol),
            max_iter=None if self.max_iter is None else _options.whole("max_iter", self.max_iter, 1, 2**32 - 1),
            patience=None if self.patience is None else _options.whole("patience", self.patience, 1, 2**32 - 1),
            rate=None if self.rate is None else _options.number("rate", self.rate),
            beta=_options.number("beta", self.beta),
            batch_rows=_options.whole("batch_size", self.batch_size, 1, 1 << 17),
            hogwild=bool(self.hogwild),
            grid=_options.axes("grid", self.grid),
            inner=_options.text("inner", self.inner),
            inner_iterations=None
            if self.inner_iterations is None
            else _options.whole("inner_iterations", self.inner_iterations, 1, 2**32 - 1),
            inner_tol=_options.number("inner_tol", self.inner_tol),
            fit_intercept=bool(self.fit_intercept),
            n_threads=_options.threads(self.n_threads),
            seed=_options.seed(self.random_state),
            delay=_options.whole("delay", self.delay, 0, 2**32 - 1),
            filters=_options.text("filters", self.filters),
            pull_filters=_options.text("pull_filters", self.pull_filters),
        )

    def _adopt(self, model, classes, width, names, exact):
        self._model = model
        # Whether inputs must have exactly the columns of the fit; files may have more.
        self._exact = exact
        if classes is not None:
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
