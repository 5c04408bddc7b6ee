"""Work shared by whoever is free: the clicks of each article are counted by three workers, one of which is slow.

    pip install ./python
    python examples/03_portions.py

A pass over the rows is cut into portions. Whoever is free is given the next one; late in the pass the slow worker's
portion is given to a second worker as well. Pushes are made *for a portion* and count once, whoever makes them. With a
scheduler started as `handcar scheduler --elastic` the same code goes on when workers join, leave or are killed.
"""

import time

import numpy as np

import handcar.ps as ps

PORTIONS = 12
random = np.random.default_rng(1)
ARTICLES = random.zipf(1.3, 60_000).astype(np.uint64) % 500


def count(worker):
    """One worker's part; returns how many portions it did."""
    clicks, mine = worker.table("clicks", "sum.i64"), 0
    for portion in worker.portions(0, PORTIONS):
        if worker.rank == 0:
            time.sleep(0.5)  # Its machine is busy with something else.
        rows = ARTICLES[portion.index :: PORTIONS]
        unique, counts = np.unique(rows, return_counts=True)
        clicks.push(ps.Keys(unique), counts, portion=portion)
        mine += 1
    return mine


with ps.local(workers=3, servers=2) as cluster:
    begun = time.perf_counter()
    done = cluster.run(count)
    took = time.perf_counter() - begun
    unique, counts = np.unique(ARTICLES, return_counts=True)
    found = cluster.worker(0).table("clicks", "sum.i64").pull(ps.Keys(unique)).wait()
    assert (found == counts).all(), "every row counts once"
    print(f"portions done by each worker: {done}, of {PORTIONS}; {took:.2f} s, and every click counted once")
