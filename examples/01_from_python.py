"""From a file to a certified sparse model, and back to the strongest reasons.

    pip install ./python
    python examples/01_from_python.py

Trains on the census data that ships with handcar: who earned more than $50,000 a year?
"""

import tempfile
from pathlib import Path

import handcar

ADULT = Path(__file__).resolve().parents[1] / "data" / "adult.csv.gz"

# One read serves every fit: categories are hashed by column, integers bucketed, and all of it cached.
data = handcar.read(ADULT, label="income")
print(data)

# The larger l1, the fewer weights. The gap is proven: no other weights could do better by more than this share.
print(f"{'l1':>6} {'weights':>8} {'objective':>10} {'gap':>8}")
for l1 in (100.0, 30.0, 10.0):
    model = handcar.LogisticRegression(l1=l1, tol=1e-3).fit(data)
    print(f"{l1:>6g} {model.coef_.size:>8} {model.objective_:>10.1f} {model.gap_:>8.1e}")

print("\nstrongest features")
for name, weight in model.strongest(5):
    print(f"{weight:+8.3f}  {name}")

# The same file serves `handcar predict -m` and any later Python process.
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/adult.model")
    again = handcar.LogisticRegression.load(f"{folder}/adult.model")
print(f"\nright for {again.score(ADULT):.1%} of the people it was trained on")
