"""Linear models of labels that are numbers."""

import numpy as np

from . import _labels
from ._linear import LinearModel


class LinearRegressor(LinearModel):
    """A linear model of numbers."""

    _estimator_type = "regressor"

    def __sklearn_tags__(self):
        # Only scikit-learn calls this, so it is there.
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True, positive_only=self.loss == "poisson"),
            regressor_tags=RegressorTags(),
            input_tags=InputTags(sparse=True),
        )

    def predict(self, X, **read_options):
        """The mean label that is expected of each row."""
        return self._model_means(self._margins(X, read_options)[0])

    def score(self, X, y=None, sample_weight=None, **read_options):
        """R², the share of the labels' variance that is predicted; files and data sets bring their labels."""
        margins, labels = self._margins(X, read_options)
        means = self._model_means(margins)
        y = labels.astype(np.float64) if labels is not None and y is None else _labels.numbers(_labels.column(y, len(means)))
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        missed = float(np.sum(weights * (y - means) ** 2))
        whole = float(np.sum(weights * (y - np.average(y, weights=weights)) ** 2))
        return 1.0 - missed / whole if whole > 0 else float(missed == 0)

    def _model_means(self, margins):
        return self._model.means(margins)

    def _shaped(self, weights):
        return weights

    def _classes_of(self, label_texts):
        return None

    def _kind(self):
        return "count" if self.loss == "poisson" else "real"

    def _targets(self, y, rows, classes):
        """Labels, their kind, no classes, and no texts."""
        return self._labels_alike(y, rows, None), self._kind(), None, (None, None)

    def _labels_alike(self, y, rows, classes):
        numbers = _labels.numbers(_labels.column(y, rows))
        if self._kind() == "count" and (numbers < 0).any():
            raise ValueError(f"y: expected numbers of at least 0 for poisson, got {numbers.min()}")
        return numbers.astype(np.float32)

    def _reading(self, options):
        return {"labels": self._kind()}
