"""A parameter server under your own training loop: logistic regression by three workers, in NumPy.

    pip install ./python
    python examples/02_parameter_server.py

Each worker has a share of the rows. It pulls the weights of the features in its minibatch, computes their gradient, and
pushes a step; the servers add the steps of all workers. The same code runs over several machines: only the line that
makes the workers changes (`ps.connect("host:port")`, see the guide).
"""

import numpy as np

import handcar.ps as ps

WORKERS, BATCH, STEPS, RATE = 3, 64, 60, 0.3

# Clicks on 500 articles by 300 readers; a row is one article and one reader. Keys may be any 64-bit numbers.
random = np.random.default_rng(1)
ROWS = np.stack([random.integers(0, 500, 6000), 1_000_000 + random.integers(0, 300, 6000)], axis=1).astype(np.uint64)
LIKED = {key: random.normal() for key in np.unique(ROWS)}
SCORES = np.array([LIKED[article] + LIKED[reader] for article, reader in ROWS])
CLICKED = (random.random(6000) < 1 / (1 + np.exp(-SCORES))).astype(np.float32)


def train(worker):
    """One worker's part; returns the mean loss of its rows before and after."""
    weights = worker.table("weights", "sum.f32")
    rows, clicked = ROWS[worker.rank :: WORKERS], CLICKED[worker.rank :: WORKERS]

    def loss():
        unique, columns = np.unique(rows, return_inverse=True)
        margins = weights.pull(ps.Keys(unique)).wait()[columns].reshape(rows.shape).sum(axis=1)
        return np.logaddexp(0, -np.where(clicked == 1, margins, -margins)).mean()

    before = loss()
    # While a push travels, up to two further steps may be computed on slightly older weights.
    worker.set_policy(("bounded", 2))
    batches = np.random.default_rng(worker.rank)
    for _ in range(STEPS):
        batch = batches.integers(0, len(rows), BATCH)
        # Keys are sorted and unique; `columns` says which of them each entry of the batch is.
        unique, columns = np.unique(rows[batch], return_inverse=True)
        keys, columns = ps.Keys(unique), columns.reshape(BATCH, -1)
        margins = weights.pull(keys).wait()[columns].sum(axis=1)
        residual = clicked[batch] - 1 / (1 + np.exp(-margins))
        step = np.zeros(len(keys), np.float32)
        np.add.at(step, columns, RATE * residual[:, None])
        # The servers wait for the pushes of all workers and apply their sum; this worker goes on.
        pushed = weights.push(keys, step)
    # Done here is done for everybody: the last sum holds the parts of all.
    pushed.wait()
    return before, loss()


with ps.local(workers=WORKERS, servers=2) as cluster:
    for rank, (before, after) in enumerate(cluster.run(train)):
        print(f"worker {rank}: loss {before:.4f} → {after:.4f}")
        assert after < before
