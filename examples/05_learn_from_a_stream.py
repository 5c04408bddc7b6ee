"""Learn from a log in Vowpal Wabbit's text without keeping a row, and go on from the model with the next day's.

    pip install ./python
    python examples/05_learn_from_a_stream.py

Memory holds the features alone, so the log may be of any size, compressed, several files, or "-" for a pipe.
"""

import pathlib
import tempfile

import numpy as np

import handcar

random = np.random.default_rng(1)
taste = random.normal(size=(50, 20))


def log(path, rows):
    """Who saw which advertisement, and clicked or not."""
    user, ad = random.integers(0, 50, rows), random.integers(0, 20, rows)
    clicked = random.random(rows) < 1 / (1 + np.exp(-2 * taste[user, ad]))
    path.write_text("".join(f"{1 if c else -1} |user u{u} |ad a{a}\n" for u, a, c in zip(user, ad, clicked)))
    return path


with tempfile.TemporaryDirectory() as folder:
    days = [log(pathlib.Path(folder) / f"day{day}.vw", 20_000) for day in (1, 2)]
    model = handcar.SGDClassifier(solver="ftrl", l1=1.0, max_iter=1, warm_start=True)
    for day in days:
        # A cross of the two fields: who likes what.
        model.fit(day, stream=True, cross="user*ad")
        told = model.online_[-1]
        print(f"{day.name}: mean loss {told['loss']:.4f} and AUC {told['auc']:.3f} of rows not yet learned from")
    for name, weight in model.strongest(3):
        print(f"{weight:+.3f}  {name}")
