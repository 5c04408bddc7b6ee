"""What is pushed is what is pulled, for every kind of table and worker."""

import doctest
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import handcar._handcar
from handcar import ps


def keys_of(*keys):
    return ps.Keys(np.array(keys, dtype=np.uint64))


@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("kind, dtype", [("f32", np.float32), ("f64", np.float64), ("i64", np.int64)])
@pytest.mark.parametrize("updater", ["sum", "assign"])
def test_random_pushes_equal_numpy(updater, kind, dtype, servers):
    random = np.random.default_rng(7)
    # Whole numbers: their sums are exact in any type and order.
    space = np.unique(random.integers(0, 2**63, 400).astype(np.uint64))
    reference = np.zeros(len(space), dtype)
    with ps.embed(servers) as worker:
        table = worker.table("t", f"{updater}.{kind}")
        assert (table.push_dtype, table.pull_dtype, table.push_width, table.pull_width) == (dtype, dtype, 1, 1)
        for _ in range(30):
            at = np.sort(random.choice(len(space), random.integers(0, 200), replace=False))
            keys, pushed = ps.Keys(space[at]), random.integers(-1000, 1000, len(at)).astype(dtype)
            reference[at] = pushed if updater == "assign" else reference[at] + pushed
            if random.random() < 0.5:
                pulled = table.push_pull(keys, pushed).wait()
                np.testing.assert_array_equal(pulled, reference[at])
            else:
                assert table.push(keys, pushed).wait() is None
        pulled = table.pull(ps.Keys(space)).wait()
    assert pulled.dtype == dtype and pulled.shape == space.shape
    np.testing.assert_array_equal(pulled, reference)


def test_several_numbers_a_key_are_columns_and_args_reach_the_updater():
    with ps.embed(servers=2) as worker:
        table = worker.table("w", "dbpg", struct.pack("<dd", 1.0, 0.0))
        keys = keys_of(1, 5, 9)
        assert (table.push_width, table.pull_width) == (2, 2)
        weights = np.array([0.5, -2.0, 0.0], dtype=np.float32)
        # "Start from these weights", which travel as the bits of their numbers.
        pushed = np.stack([weights.view(np.int32).astype(np.int64), np.zeros(3, np.int64)], axis=1)
        task = table.push_pull(keys, pushed, args=b"\x01")
        np.testing.assert_array_equal(task.wait(), np.stack([weights, np.ones(3)], axis=1))
        assert len(task.notes) == 2 and all(isinstance(note, bytes) and note for note in task.notes)
        out = np.empty((3, 2), np.float32)
        assert table.pull(keys, out=out).wait() is out
        np.testing.assert_array_equal(out[:, 0], weights)
        replies = table.call(b"\x00")
        assert len(replies) == 2 and all(isinstance(reply, bytes) for reply in replies)


def test_a_pushed_array_may_be_changed_at_once_and_a_pulled_one_is_the_callers():
    with ps.local(workers=2, servers=2) as cluster:
        a, b = (worker.table("t", "sum.f32") for worker in cluster)
        keys, mine = keys_of(1, 2, 3), np.ones(3, np.float32)
        waiting = a.push(keys, mine)
        mine[:] = 100
        b.push(keys, np.zeros(3, np.float32)).wait()
        waiting.wait()
        pulled = a.pull(keys).wait()
        pulled += 5
        np.testing.assert_array_equal(a.pull(keys).wait(), np.ones(3))


def test_a_task_gives_its_result_again_and_out_is_filled_by_the_wait():
    with ps.embed() as worker:
        table, keys, out = worker.table("t", "sum.f64"), keys_of(4, 6), np.full(2, 9.0)
        pushed = table.push(keys, np.array([1.0, 2.0]))
        task = table.pull(keys, after=[pushed], out=out)
        assert task.wait() is out is task.wait(timeout=0) and list(out) == [1, 2] and task.done()
        first = table.pull(keys).wait
        assert table.insert(keys_of(7)).wait() is None
        assert list(first()) == [1, 2]


def test_keys_are_shared_sliced_and_compared():
    raw = np.array([3, 8, 2**64 - 1], dtype=np.uint64)
    keys = ps.Keys(raw)
    raw[0] = 5
    assert list(keys.array) == [3, 8, 2**64 - 1] and len(keys) == 3
    assert keys[1:] == keys_of(8, 2**64 - 1) != keys and len(keys[2:1]) == 0
    assert {keys: 1}[keys_of(3, 8, 2**64 - 1)] == 1
    with ps.embed() as worker:
        table = worker.table("t", "sum.i64")
        table.push(keys, np.array([1, 2, 3])).wait()
        # A plain array will do; it is checked by each call.
        assert list(table.pull(np.array([8, 9], dtype=np.uint64)).wait()) == [2, 0]


def test_a_table_asked_for_again_is_the_same_table():
    with ps.embed() as worker:
        keys = keys_of(1)
        worker.table("t", "sum.i64").push(keys, np.array([4])).wait()
        assert list(worker.table("t", "sum.i64").pull(keys).wait()) == [4]


def test_workers_in_threads_add_up():
    workers, rounds, random = 4, 25, np.random.default_rng(3)
    keys = ps.Keys(np.arange(50, dtype=np.uint64) * 7)
    pushed = random.integers(-9, 9, (workers, rounds, 50)).astype(np.float64)

    def work(worker):
        table = worker.table("t", "sum.f64")
        for step in range(rounds):
            pulled = table.push_pull(keys, pushed[worker.rank, step]).wait()
            # Aggregated: nobody sees a sum that lacks a worker's part.
            np.testing.assert_array_equal(pulled, pushed[:, : step + 1].sum((0, 1)))
        worker.barrier()
        most = worker.reduce_max(np.array([[worker.rank, -worker.rank]]))
        return int(worker.reduce(np.array([worker.rank]))[0]), most.tolist()

    with ps.local(workers, servers=2) as cluster:
        assert cluster.run(work) == [(6, [[3, 0]])] * workers
        # Any threads will do: these come from a pool.
        with ThreadPoolExecutor(workers) as pool:
            assert list(pool.map(lambda w: w.reduce(np.ones(2, np.int64)).tolist(), cluster)) == [[4, 4]] * workers


@pytest.mark.parametrize("policy, most", [("sequential", 0), (("bounded", 4), 4), ("eventual", 2**20)])
def test_pushes_nobody_waits_for_arrive_under_every_policy(policy, most):
    gate, keys = threading.Barrier(2), keys_of(1, 2)

    def work(worker):
        worker.set_policy(policy)
        table = worker.table("t", "sum.i64")
        for _ in range(3000):
            table.push(keys, np.array([1, 2]), immediate=True)
            table.pull(keys)
        # In this process a push has arrived when it has been sent.
        gate.wait()
        return table.pull(keys).wait().tolist(), worker.stats()["staleness_max"] <= most

    with ps.local(workers=2, servers=2) as cluster:
        assert cluster.run(work) == [([6000, 12000], True)] * 2


def test_a_bounded_delay_lets_tau_tasks_be_under_way():
    with ps.local(workers=2) as cluster:
        a, b = cluster
        a.set_policy(("bounded", 2))
        ours, theirs, keys = a.table("t", "sum.i64"), b.table("t", "sum.i64"), keys_of(1)
        tasks = [ours.push(keys, np.array([1])) for _ in range(3)]
        assert not any(task.done() for task in tasks) and a.stats()["staleness_max"] == 2
        assert sum(a.stats()["staleness"]) >= len(tasks) and len(a.stats()["staleness"]) == 3
        for _ in tasks:
            theirs.push(keys, np.array([1])).wait()
        assert all(task.done() for task in tasks)


def test_the_examples_in_the_docstrings_hold():
    runner, finder = doctest.DocTestRunner(), doctest.DocTestFinder(recurse=False)
    documented = [ps, ps.local, ps.Keys, ps.Task]
    for thing in documented:
        for test in finder.find(thing, module=False, globs={}):
            runner.run(test)
    assert runner.tries >= 10 and runner.failures == 0
    public = [ps.Table, ps.Worker, ps.Cluster]
    members = [member for kind in public for name, member in vars(kind).items() if not name.startswith("_")]
    assert all(member.__doc__ for member in [*public, *members, handcar._handcar.connect])
