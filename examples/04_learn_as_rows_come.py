"""Learn from days of clicks one after the other, watch how good yesterday's model is today, and count visits.

    pip install ./python
    python examples/04_learn_as_rows_come.py

`partial_fit` keeps what the solver knows beside the weights, so eight days one by one give the model of all in one fit, to the bit.
"""

import numpy as np

import handcar

DAYS, ROWS = 8, 2560
random = np.random.default_rng(1)
taste = random.normal(size=(24, 40))
hour, article = random.integers(0, 24, DAYS * ROWS), random.integers(0, 40, DAYS * ROWS)
X = np.zeros((DAYS * ROWS, 64), np.float32)
X[np.arange(len(X)), hour] = 1
X[np.arange(len(X)), 24 + article] = 1
score = taste.mean(axis=1)[hour] + 3 * taste.mean(axis=0)[article]
clicked = random.random(len(X)) < 1 / (1 + np.exp(-score))

model = handcar.SGDClassifier(solver="ftrl", l1=2.0, rate=0.5)
print("day  mean loss of rows not yet learned from")
for day in range(DAYS):
    rows = slice(day * ROWS, (day + 1) * ROWS)
    model.partial_fit(X[rows], clicked[rows], rows_total=len(X))
    print(f"{day + 1:>3}  {model.online_[-1]['loss']:.4f}")

whole = handcar.SGDClassifier(solver="ftrl", l1=2.0, rate=0.5, max_iter=1).fit(X, clicked)
assert (model.coef_ == whole.coef_).all(), "days one by one give the bits of one fit"

visits = random.poisson(np.exp(score / 2))
counts = handcar.SGDRegressor("poisson", rate=0.5, max_iter=5).fit(X[ROWS:], visits[ROWS:], eval_set=(X[:ROWS], visits[:ROWS]))
print(f"\nvisits expected of the first day {counts.predict(X[:ROWS]).sum():.0f}, counted {visits[:ROWS].sum()}")
print(f"deviance on it {counts.history_[-1]['valid']['deviance']:.3f}")
