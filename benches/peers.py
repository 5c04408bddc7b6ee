"""The same job by handcar and its peers: L1 logistic regression on drawn clicks, l1 = 4, no intercept, one thread.

Each peer is given the file in the form it reads best. "objective" is that of the weights it ends with, relative to the
best of all; "text to model" is the whole run from a file, "fit" the training alone where the peer can be asked. Log loss
and AUC are of the 60,000 rows that were not trained on. Vowpal Wabbit is an online learner: its objective is not compared.
"""

import json
import time
from pathlib import Path

import common
import objective

L1 = 4.0
ROWS = 300_000


def judge(name, weights, train, test, seconds, fit):
    """A row of the table before the best objective is known."""
    import numpy as np

    def margins(ids):
        return weights[ids].sum(1)

    def loss(ids, y):
        m = y * margins(ids)
        return np.maximum(0, -m) + np.log1p(np.exp(-abs(m)))

    f = loss(*train).sum() + L1 * abs(weights).sum()
    order = np.argsort(margins(test[0]), kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    positive = test[1] > 0
    n, p = len(order), positive.sum()
    auc = (rank[positive].sum() - p * (p + 1) / 2) / (p * (n - p))
    return name, seconds, fit, f, int((weights != 0).sum()), loss(*test).mean(), auc


def measure(folder, **_):
    import numpy as np
    import scipy.sparse
    from sklearn.linear_model import LogisticRegression

    path = common.clicks(folder, ROWS, seed=3)
    ids, y, keys = objective.tokens(path)
    cut = ROWS * 4 // 5
    train, test = (ids[:cut], y[:cut]), (ids[cut:], y[cut:])
    with open(Path(folder) / "train.vw", "w") as out:
        for row, label in zip(*train):
            out.write(f"{label:.0f} | " + " ".join(str(i + 1) for i in row) + "\n")
    with open(path) as lines:
        lines = lines.readlines()
    (Path(folder) / "train.tsv").write_text("".join(lines[:cut]))
    (Path(folder) / "test.tsv").write_text("".join(lines[cut:]))
    ours = []
    for tolerance in ("1e-4", "1e-3"):
        model, report, measured = Path(folder) / "m", Path(folder) / "r", Path(folder) / "e"
        start = time.perf_counter()
        common.handcar(
            *("fit", Path(folder) / "train.tsv", "--format", "criteo", "--l1", L1, "--no-intercept", "--no-cache"),
            *("--threads", 1, "--quiet", "--tol", tolerance, "-m", model, "--report", report),
        )
        seconds = time.perf_counter() - start
        common.handcar("eval", Path(folder) / "test.tsv", "--format", "criteo", "-m", model, "--report", measured)
        facts, quality = json.loads(report.read_text()), json.loads(measured.read_text())["metrics"]
        ours.append((f"handcar --tol {tolerance}", seconds, facts, quality))

    table = []

    matrix = scipy.sparse.csr_matrix(
        (np.ones(train[0].size), train[0].ravel(), np.arange(0, train[0].size + 1, ids.shape[1])), (cut, keys)
    )
    for solver, options in (("liblinear", dict(tol=1e-3)), ("saga", dict(tol=1e-2, max_iter=30))):
        model = LogisticRegression(solver=solver, l1_ratio=1.0, C=1 / L1, fit_intercept=False, **options)
        start = time.perf_counter()
        model.fit(matrix, train[1])
        table.append(judge(f"scikit-learn, {solver}", model.coef_[0], train, test, None, time.perf_counter() - start))

    peer = objective.Liblinear(np.ascontiguousarray(train[0]), np.ascontiguousarray(train[1]), keys)
    for tolerance in (0.1, 0.01):
        seconds, weights = peer.train(tolerance)
        table.append(judge(f"liblinear -s 6 -e {tolerance}", weights, train, test, None, seconds))

    import vowpalwabbit

    for passes in (1, 10):
        args = (
            f"--quiet -d {folder}/train.vw --loss_function logistic --noconstant -b 22 --hash strings "
            f"--passes {passes} " + (f"--cache_file {folder}/vw.cache -k " if passes > 1 else "")
        )
        start = time.perf_counter()
        vw = vowpalwabbit.Workspace(args)
        seconds = time.perf_counter() - start
        readable = np.array([vw.get_weight(i + 1) for i in range(keys)])
        table.append(judge(f"Vowpal Wabbit, {passes} pass" + "es" * (passes > 1), readable, train, test, seconds, None))

    best = min([t[3] for t in table] + [facts["objective"] for _, _, facts, _ in ours])
    rows = []
    for name, seconds, facts, quality in ours:
        fit, over, gap = facts["trace"][-1]["seconds"], facts["objective"] / best - 1, facts["kkt"]["gap_bound"]
        quality = [f"{quality['logloss']:.4f}", f"{quality['auc']:.4f}"]
        rows.append([name, f"{seconds:.2f} s", f"{fit:.2f} s", f"{over:.1e}", f"{facts['nnz']:,}", f"{gap:.1e}", *quality])
    for name, seconds, fit, f, nonzeros, logloss, auc in table:
        times = [f"{seconds:.2f} s" if seconds else "-", f"{fit:.2f} s" if fit else "-"]
        over = "-" if name.startswith("Vowpal") else f"{f / best - 1:.1e}"
        rows.append([name, *times, over, f"{nonzeros:,}", "none", f"{logloss:.4f}", f"{auc:.4f}"])
    header = ["240,000 drawn clicks", "text to model", "fit", "objective over the best", "nonzeros", "certified gap"]
    common.table([*header, "log loss", "AUC"], rows)
