"""Estimators of all losses, by the solvers that learn in minibatches."""

from . import _options
from ._classifier import LinearClassifier
from ._estimator import Available
from ._linear import BATCH_SOLVERS
from ._regressor import LinearRegressor

# Passes unless told otherwise: enough for data of some hundred rows, as tutorials have. Large data needs one.
MAX_ITER = 10

CLASSIFIER_LOSSES = {
    "logistic": "logistic",
    "log_loss": "logistic",
    "hinge": "hinge",
    "squared_hinge": "squared-hinge",
}
REGRESSOR_LOSSES = {"squared": "squared", "squared_error": "squared", "huber": "huber", "poisson": "poisson"}

_SHARED = """
    l1, l2 : float
        Weights of the penalties ``l1·|w|_1 + l2/2·|w|_2^2`` beside the sum of the losses; one pass carries them once.
    lower, upper : float or None
        The least and the greatest weight; None: any. Zero must lie between them. The intercept is free.
    solver : str
        ``"sgd"``, ``"adagrad"``, ``"ftrl"``, ``"emso"``, ``"adadelay"``, ``"async-adagrad"`` or ``"adaptive-revision"`` (which takes no
        penalty); several in turn as ``"ftrl+sgd"``. After one of them a solver that goes on to the optimum may follow where it knows the
        loss: ``"adagrad+lbfgs"``.
    max_iter : int or None
        Passes of the last solver; None: 10, or of one that goes on to the optimum as many as it needs.
    patience : int or None
        End a solver after so many passes without a better loss on ``eval_set``, and keep the weights of the best pass. Solvers then make
        100 passes at most unless ``max_iter`` is given.
    rate, beta, batch_size : float or None, float, int
        Step size (None: 0.1, 1 of ``"sgd"`` or 3 of ``"emso"``), what is added to its divisor, and rows of a batch.
    inner, inner_iterations, inner_tol : str, int or None, float
        ``"emso"``: what solves a batch (``"cd"`` coordinate descent, ``"gd"`` gradient steps), how many times (None: 5, or until
        ``inner_tol``), and the share of the worst violation at which it stops before.
    hogwild : bool
        Learn row by row, threads racing on the weights; on several threads no fit has the bits of another.
    grid : dict of lists, or None
        ``"ftrl"`` and ``"adagrad"``: values of ``l1``, ``l2``, ``rate`` and ``beta`` of which each combination is a model, all trained in
        one pass (``max_iter=1``); the one with the least progressive loss is kept. With ``eval_set`` more passes, and the least loss on it.
    tol : float
        Relative gap at which a solver that goes on to the optimum stops.
    fit_intercept : bool
        Whether to fit an intercept, which is not penalised.
    n_threads : int or None
        Threads; None or -1: all cores. Results do not depend on it, unless they race.
    random_state : int
        Seed of what is random: nothing but the order of blocks of ``"dbpg"``. Rows are taken in their order; shuffle sorted data.
    delay : int
        Batches that may be under way when one starts; 0 is sequential and reproducible.
    filters, pull_filters : str
        What pushes and pulls go through, as ``"zero,zstd:1"``.
    warm_start, verbose : bool, int
        Whether a fit begins with the weights of the one before; above 0: print a line a pass to stderr.
    callback : callable or list of callables, optional
        As of :class:`LogisticRegression`.
"""


class _Minibatch:
    """What the two have in common beside a linear model."""

    def _checked(self):
        options = super()._checked()
        solvers = options["solver"].split("+")
        if solvers[0] in BATCH_SOLVERS:
            raise ValueError(f"solver: expected one that learns in minibatches first, got {self.solver!r}")
        told = options["max_iter"] is not None or options["patience"] is not None
        if not told and solvers[-1] not in BATCH_SOLVERS and options["grid"] is None:
            options["max_iter"] = MAX_ITER
        return dict(options, loss=self._loss())

    def _joins(self, options):
        # Equal rows are one row to a solver that goes on to the optimum. Others learn from each as it comes.
        return any(s in BATCH_SOLVERS for s in options["solver"].split("+"))

    def _loss(self):
        name = _options.text("loss", self.loss)
        if name not in self._LOSSES:
            raise ValueError(f"loss: expected {', '.join(self._LOSSES)}, got {name!r}")
        return self._LOSSES[name]

    @classmethod
    def _of_facts(cls, facts):
        loss = facts["loss_name"].replace("-", "_")
        if loss not in cls._LOSSES:
            raise ValueError(f"load: expected a model of loss {', '.join(cls._LOSSES)}, got {loss}")
        return {**super()._of_facts(facts), "loss": loss}


def _no_odds(estimator):
    return None if CLASSIFIER_LOSSES.get(estimator.loss) == "logistic" else f"probabilities need loss='logistic', not {estimator.loss!r}"


class SGDClassifier(_Minibatch, LinearClassifier):
    __doc__ = f"""A linear classifier that learns in minibatches as the rows come.

    Parameters
    ----------
    loss : {{"logistic", "hinge", "squared_hinge"}}
        What is summed over rows; ``"log_loss"`` is another name of the first, which alone has probabilities.{_SHARED}
    Attributes
    ----------
    classes_, coef_, coef_names_, intercept_, n_features_in_, feature_names_in_, n_iter_, objective_, history_, online_, grid_
        As of :class:`LogisticRegression`.
    """

    _LOSSES = CLASSIFIER_LOSSES

    def __init__(
        self,
        loss="logistic",
        *,
        l1=0.0,
        l2=0.0,
        lower=None,
        upper=None,
        solver="adagrad",
        max_iter=None,
        patience=None,
        rate=None,
        beta=1.0,
        batch_size=256,
        inner="cd",
        inner_iterations=None,
        inner_tol=0.0,
        hogwild=False,
        grid=None,
        tol=1e-4,
        fit_intercept=True,
        n_threads=1,
        random_state=0,
        delay=0,
        filters="",
        pull_filters="",
        warm_start=False,
        verbose=0,
        callback=None,
    ):
        self.loss = loss
        self.l1 = l1
        self.l2 = l2
        self.lower = lower
        self.upper = upper
        self.solver = solver
        self.max_iter = max_iter
        self.patience = patience
        self.rate = rate
        self.beta = beta
        self.batch_size = batch_size
        self.inner = inner
        self.inner_iterations = inner_iterations
        self.inner_tol = inner_tol
        self.hogwild = hogwild
        self.grid = grid
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.n_threads = n_threads
        self.random_state = random_state
        self.delay = delay
        self.filters = filters
        self.pull_filters = pull_filters
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    @Available(_no_odds)
    def predict_proba(self, X, **read_options):
        """Probabilities of the two classes, one row a row; of logistic loss."""
        return self._probabilities(X, read_options)

    @Available(_no_odds)
    def predict_log_proba(self, X, **read_options):
        """Logarithms of the probabilities; of logistic loss."""
        return self._log_probabilities(X, read_options)


class SGDRegressor(_Minibatch, LinearRegressor):
    __doc__ = f"""A linear regression that learns in minibatches as the rows come.

    Parameters
    ----------
    loss : {{"squared", "huber", "poisson"}}
        What is summed over rows: half the squared error (``"squared_error"`` is another name), Huber's loss, or half the Poisson
        deviance of counts, whose mean is ``exp`` of the margin.
    huber_delta : float
        ``"huber"``: where the square becomes a line.{_SHARED}
    Attributes
    ----------
    coef_ : array of shape (n,)
        A weight for each column of an array or of a table of numbers; otherwise one for each name in ``coef_names_``.
    intercept_ : array of shape (1,)
        The intercept.
    coef_names_, n_features_in_, feature_names_in_, n_iter_, objective_, history_, online_, grid_
        As of :class:`LogisticRegression`.
    """

    _LOSSES = REGRESSOR_LOSSES

    def __init__(
        self,
        loss="squared",
        *,
        huber_delta=1.0,
        l1=0.0,
        l2=0.0,
        lower=None,
        upper=None,
        solver="adagrad",
        max_iter=None,
        patience=None,
        rate=None,
        beta=1.0,
        batch_size=256,
        inner="cd",
        inner_iterations=None,
        inner_tol=0.0,
        hogwild=False,
        grid=None,
        tol=1e-4,
        fit_intercept=True,
        n_threads=1,
        random_state=0,
        delay=0,
        filters="",
        pull_filters="",
        warm_start=False,
        verbose=0,
        callback=None,
    ):
        self.loss = loss
        self.huber_delta = huber_delta
        self.l1 = l1
        self.l2 = l2
        self.lower = lower
        self.upper = upper
        self.solver = solver
        self.max_iter = max_iter
        self.patience = patience
        self.rate = rate
        self.beta = beta
        self.batch_size = batch_size
        self.inner = inner
        self.inner_iterations = inner_iterations
        self.inner_tol = inner_tol
        self.hogwild = hogwild
        self.grid = grid
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.n_threads = n_threads
        self.random_state = random_state
        self.delay = delay
        self.filters = filters
        self.pull_filters = pull_filters
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def _checked(self):
        options = super()._checked()
        delta = _options.number("huber_delta", self.huber_delta)
        return dict(options, huber_delta=delta if options["loss"] == "huber" else None)

    @classmethod
    def _of_facts(cls, facts):
        delta = facts["huber_delta"]
        return {**super()._of_facts(facts), **({} if delta is None else {"huber_delta": delta})}
