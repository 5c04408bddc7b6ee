"""Logistic regression."""

from . import _options
from ._classifier import LinearClassifier


class LogisticRegression(LinearClassifier):
    """L1- and L2-penalised logistic regression, solved to a certified optimum or learned row by row.

    Minimises ``sum_i loss(y_i, x_i·w + b) + l1·|w|_1 + l2/2·|w|_2^2``, plus ``group_lasso·sum_f sqrt(d_f)·|w_f|_2`` over the
    columns of a table or file. The losses are summed, so ``l1 = 1/C`` is
    scikit-learn's ``C``; the intercept ``b`` is not penalised.

    Parameters
    ----------
    l1, l2 : float
        Weights of the penalties.
    group_lasso : float
        Drops whole columns: weight of the norm of a column's weights, times the root of how many features ``d_f`` it has; on top of
        ``l1``, so ``l1=0`` for it alone. ``"dbpg"`` alone, without ``delay`` and bounds, and not of a matrix, whose columns have one weight
        each.
    lower, upper : float or None
        The least and the greatest weight; None: any. Zero must lie between them; ``lower=0`` leaves no negative weight. The intercept
        is free. Not of ``"lbfgs"``.
    solver : str
        ``"dbpg"`` and ``"lbfgs"`` go on to a certified optimum; ``"sgd"``, ``"adagrad"`` and ``"ftrl"`` learn in minibatches as the rows
        come, ``"emso"`` in large ones, ``"adadelay"``, ``"async-adagrad"`` and ``"adaptive-revision"`` with gradients that are
        ``delay`` batches late. ``"ftrl+dbpg"`` starts the second with the weights of the first.
    tol : float
        ``dbpg``, ``lbfgs``: stop once the relative gap to the optimum, which is certified, is at most this.
    max_iter : int or None
        Passes at most by the last solver; None: 200, 1000 of ``"lbfgs"``, or 1 of a minibatch solver. A fit by ``dbpg``
        or ``lbfgs`` that ends there first warns with :class:`ConvergenceWarning`.
    patience : int or None
        End a solver after so many passes without a better loss on other rows, and keep the weights of the best pass; needs such rows.
        Minibatch solvers then make 100 passes at most unless ``max_iter`` is given.
    rate, beta, batch_size : float or None, float, int
        Minibatch solvers: step size (None: 0.1, 1 of ``"sgd"`` or 3 of ``"emso"``), what is added to its divisor, and rows of a batch.
    hogwild : bool
        Minibatch solvers: learn row by row, threads racing on the weights. On one thread that is plain online learning; on several
        no fit has the bits of another.
    grid : dict of lists, or None
        ``"ftrl"`` and ``"adagrad"``: values of ``l1``, ``l2``, ``rate`` and ``beta`` of which each combination is a model, all
        trained in the same pass over the data; the one with the least progressive loss is kept.
    inner, inner_iterations, inner_tol : str, int or None, float
        ``"emso"``: what solves a batch (``"cd"`` coordinate descent, ``"gd"`` gradient steps), how many times (None: 5, or until
        ``inner_tol``), and the share of the worst violation at which it stops before.
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
    callback : callable or list of callables, optional
        Each is called after each pass with a dictionary (solver, pass, seconds, objective, nnz, active, violation, gap, online, valid;
        None where not known); a true answer ends the fit with the model so far. If it has a method ``online`` that is called within the
        passes of minibatch solvers with each entry of ``online_`` as it comes.

    Attributes
    ----------
    classes_ : array of shape (2,)
        The classes; probabilities speak of the second. Sorted, except that files put their positive label second.
    coef_ : array of shape (1, n)
        A weight for each column of an array or of a table of numbers; otherwise one for each name in ``coef_names_``.
    coef_names_ : list of str
        What each weight in ``coef_`` belongs to: ``column`` or ``column=value``.
    dropped_fields_ : list of str
        Columns without any weight, where columns have names (not the namespaces of VW text).
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
        One entry a pass; ``"valid"`` holds measures on ``eval_set``.
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
        group_lasso=0.0,
        lower=None,
        upper=None,
        solver="dbpg",
        tol=1e-4,
        max_iter=None,
        patience=None,
        rate=None,
        beta=1.0,
        batch_size=256,
        hogwild=False,
        grid=None,
        inner="cd",
        inner_iterations=None,
        inner_tol=0.0,
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
        self.group_lasso = group_lasso
        self.lower = lower
        self.upper = upper
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.patience = patience
        self.rate = rate
        self.beta = beta
        self.batch_size = batch_size
        self.hogwild = hogwild
        self.grid = grid
        self.inner = inner
        self.inner_iterations = inner_iterations
        self.inner_tol = inner_tol
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

    def predict_proba(self, X, **read_options):
        """Probabilities of the two classes, one row a row."""
        return self._probabilities(X, read_options)

    def predict_log_proba(self, X, **read_options):
        """Logarithms of the probabilities."""
        return self._log_probabilities(X, read_options)

    def _checked(self):
        return dict(
            super()._checked(),
            loss="logistic",
            group_lasso=_options.number("group_lasso", self.group_lasso),
            history=_options.whole("history_size", self.history_size, 1, 40),
            kkt_filter=bool(self.kkt_filter),
        )
