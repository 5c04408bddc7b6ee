"""Pictures of fits and predictions, drawn by matplotlib."""

import os
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

__all__ = ["calibration", "loss", "roc"]

# source: a fitted estimator, its history_ or online_, or the path of a report. Each returns matplotlib's Axes.
def loss(
    source: Any | Sequence[dict[str, Any]] | str | os.PathLike[str], *, label: str | None = None, ax: Any = None
) -> Any: ...
def calibration(
    y: ArrayLike,
    p: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    bins: int = 10,
    label: str | None = None,
    ax: Any = None,
) -> Any: ...
def roc(
    y: ArrayLike, p: ArrayLike, *, sample_weight: ArrayLike | None = None, label: str | None = None, ax: Any = None
) -> Any: ...
