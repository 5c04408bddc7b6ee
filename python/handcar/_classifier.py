"""Linear models of two classes."""

import numpy as np

from . import _labels
from ._estimator import Available
from ._linear import LinearModel, not_partial


class LinearClassifier(LinearModel):
    """A linear model of one of two classes; margins above 0 are of the second."""

    _estimator_type = "classifier"

    def __sklearn_tags__(self):
        # Only scikit-learn calls this, so it is there.
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=False),
            input_tags=InputTags(sparse=True),
        )

    @Available(not_partial)
    def partial_fit(
        self, X, y=None, classes=None, sample_weight=None, *, rows_total=None, eval_set=None, **read_options
    ):
        """Go on learning, with one pass over some rows; the first call begins a model.

        The solver goes on where the last call, or ``fit``, ended: step sizes, and whatever else it knows beside the weights, are kept
        (also by pickling; a model file has the weights alone, and after ``load`` step sizes begin anew). Features that were not
        seen before join. ``history_`` and ``online_`` tell of this call, ``objective_`` is that of its rows.

        Parameters
        ----------
        X, y, sample_weight, eval_set, read_options
            As of :meth:`fit`. Columns must be those of the first call.
        classes : array of two values, optional
            The classes, where the rows of the first call may be of one.
        rows_total : int, optional
            Rows that the penalties ``l1`` and ``l2`` belong to. Each call carries the whole penalty once unless told that it is a
            piece of so many rows. With it, pieces whose lengths are multiples of ``batch_size`` give the model of one ``fit`` with
            ``max_iter=1``: to the bit if the largest magnitude of each feature's values lies between the same powers of two in all
            pieces, as for categories and 0 and 1, and otherwise up to rounding.

        Returns
        -------
        self
            The estimator itself.
        """
        if classes is not None:
            classes, _ = _labels.two_classes(_labels.column(classes))
            known = getattr(self, "classes_", classes)
            if not np.array_equal(known, classes):
                raise ValueError(f"classes: expected those of the first call, {list(known)}, got {list(classes)}")
        return self._partial(X, y, sample_weight, rows_total, eval_set, read_options, classes)

    def decision_function(self, X, **read_options):
        """The margin of each row: above 0 for the positive class. Of logistic loss it is the log odds."""
        return self._margins(X, read_options)[0]

    def predict(self, X, **read_options):
        """The likelier class of each row."""
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

    def _probabilities(self, X, read_options):
        margins = self._log_odds("predict_proba", X, read_options)
        # exp of nothing but non-positive numbers: it cannot overflow.
        small = np.exp(-np.abs(margins))
        positive = np.where(margins >= 0, 1.0, small) / (1.0 + small)
        negative = np.where(margins >= 0, small, 1.0) / (1.0 + small)
        return np.column_stack([negative, positive])

    def _log_probabilities(self, X, read_options):
        margins = self._log_odds("predict_log_proba", X, read_options)
        return -np.column_stack([np.logaddexp(0.0, margins), np.logaddexp(0.0, -margins)])

    def _log_odds(self, what, X, read_options):
        if (loss := self._fitted(what).facts["loss_name"]) != "logistic":
            raise ValueError(f"{what}: expected a model of logistic loss, got {loss}, whose margins are no log odds")
        return self._margins(X, read_options)[0]

    def _shaped(self, weights):
        return weights[np.newaxis]

    def _classes_of(self, label_texts):
        return _labels.from_texts(*label_texts)

    def _targets(self, y, rows, classes):
        """Labels, their kind, the classes (those given, if any), and the texts of the classes for the model file."""
        if classes is None:
            classes, signs = _labels.two_classes(_labels.column(y, rows))
        else:
            signs = _labels.of_classes(_labels.column(y, rows), classes)
        return signs, "binary", classes, _labels.texts_of(classes)

    def _labels_alike(self, y, rows, classes):
        return _labels.of_classes(_labels.column(y, rows), classes)
