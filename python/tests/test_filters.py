"""What filters do to pushes is asked for by name, and what they save is told."""

import numpy as np
import pytest

import handcar
from handcar import ps

KEYS = ps.Keys(np.arange(1000, dtype=np.uint64))


def test_a_table_s_filters_round_pushes_and_tell_what_they_save():
    values = np.linspace(-1.0, 1.0, 1000, dtype=np.float32)
    with ps.embed(servers=1) as worker:
        table = worker.table("w", "assign.f32", push_filters="zero,fixed-point:1,zstd:1")
        exact = worker.table("exact", "assign.f32", push_filters="lz4", pull_filters="zstd")
        got = table.push_pull(KEYS, values).wait()
        assert 0 < np.abs(got - values).max() <= 2 / 254 * 1.001
        np.testing.assert_array_equal(exact.push_pull(KEYS, values).wait(), values)
        saved = worker.stats()["filters"]
    # Within one process, filters that only save bytes are left out.
    assert [(s["name"], s["direction"]) for s in saved] == [("zero", "push"), ("fixed-point", "push"), ("zstd", "push")]
    rounding = saved[1]
    assert 4000 <= rounding["before"] <= 4200 and 1000 <= rounding["after"] <= 1200


def test_what_is_held_back_comes_when_the_worker_finishes_and_not_before():
    cluster = ps.local(workers=2)
    with cluster.worker(0) as a, cluster.worker(1) as b:

        def work(worker):
            table = worker.table("w", "sum.f32", push_filters="significant:1000000")
            table.push(KEYS, np.ones(1000, np.float32), immediate=True).wait()
            worker.barrier()
            return table.pull(KEYS).wait()

        assert all(not pulled.any() for pulled in cluster.run(work))
        assert (a.rank, b.rank) == (0, 1)


def test_what_is_wrong_with_filters_is_told():
    with ps.embed() as worker:
        with pytest.raises(ValueError, match="expected a filter among countmin, .*got \"zip\""):
            worker.table("a", "sum.f32", push_filters="zip")
        with pytest.raises(ValueError, match="expected a filter's name of letters"):
            worker.table("b", "sum.f32", pull_filters="ZSTD")
        worker.table("c", "sum.f32", push_filters="zero")
        with pytest.raises(ValueError, match="push_filters=\"zero\" .* as before, got push_filters=\"\""):
            worker.table("c", "sum.f32")
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="filters: expected a text, got 2"):
        handcar.LogisticRegression(filters=2).fit(x, y)
    with pytest.raises(ValueError, match="expected pull_filters that are exact"):
        handcar.LogisticRegression(pull_filters="fixed-point:2").fit(x, y)


def test_rounded_steps_reach_the_certified_optimum():
    random = np.random.default_rng(5)
    x = (random.random((400, 30)) < 0.2).astype(np.float64)
    y = (x @ random.normal(size=30) + random.normal(size=400) > 0).astype(int)
    plain = handcar.LogisticRegression(l1=1.0, tol=1e-6).fit(x, y)
    rounded = handcar.LogisticRegression(l1=1.0, tol=1e-6, filters="fixed-point:2").fit(x, y)
    assert max(plain.gap_, rounded.gap_) <= 1e-6
    assert abs(plain.objective_ - rounded.objective_) <= 2e-6 * plain.objective_
    exact = handcar.LogisticRegression(l1=1.0, tol=1e-6, filters="zero,zstd", pull_filters="lz4").fit(x, y)
    np.testing.assert_array_equal(exact.coef_, plain.coef_)
    names = {(s["name"], s["direction"]) for s in rounded.filters_}
    assert ("fixed-point", "push") in names and ("kkt", "push") in names
    assert all(s["after"] <= s["before"] for s in rounded.filters_ if s["name"] == "kkt")
