"""A wrong call is told what was expected and what was there, and changes nothing."""

import numpy as np
import pytest

from handcar import ps

KEYS = ps.Keys(np.array([3, 8, 9], dtype=np.uint64))
ONES = np.ones(3, np.float32)


def locked():
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    return array


def misaligned():
    return np.frombuffer(bytes(13), np.uint8)[1:].view(np.float32)


BAD = [
    (lambda w, t: t.push(KEYS, np.ones(3)), TypeError, "push: expected an array of float32, got float64"),
    (lambda w, t: t.push(KEYS, np.ones(3, ">f4")), TypeError, "push: expected an array of float32, got >f4"),
    (lambda w, t: t.push(KEYS, [1.0, 2.0, 3.0]), TypeError, "push: expected an array of float32, got list"),
    (lambda w, t: t.push(KEYS, ONES[:2]), ValueError, r"push: expected shape \(3,\) \(3 keys × 1\), got shape \(2,\)"),
    (lambda w, t: t.push(KEYS, ONES[:, None]), ValueError, r"expected shape \(3,\) .*, got shape \(3, 1\)"),
    (lambda w, t: t.push(KEYS, np.ones(6, np.float32)[::2]), ValueError, r"C-contiguous .*, got strides \(8,\)"),
    (lambda w, t: t.push(KEYS, misaligned()), ValueError, "expected an aligned, C-contiguous array"),
    (lambda w, t: t.push(KEYS, ONES, args="text"), TypeError, "'str' object is not an instance of 'bytes'"),
    (lambda w, t: t.push(np.array([1, 2, 3]), ONES), TypeError, "keys: expected an array of uint64 .*, got int64"),
    (lambda w, t: t.push_pull(KEYS, ONES[:1]), ValueError, r"push_pull: expected shape \(3,\)"),
    (lambda w, t: t.pull([3, 8]), TypeError, "keys: expected an array of uint64 .*, got list"),
    (lambda w, t: t.pull(KEYS, out=np.zeros(3)), TypeError, "pull: expected an array of float32, got float64"),
    (lambda w, t: t.pull(KEYS, out=np.zeros(2, np.float32)), ValueError, r"pull: expected shape \(3,\)"),
    (lambda w, t: t.pull(KEYS, out=locked()), ValueError, "expected an array that can be written as out=, got a read"),
    (lambda w, t: t.pull(KEYS, after=[3]), TypeError, "'int' object is not an instance of 'Task'"),
    (lambda w, t: t.pull(KEYS).wait(timeout=-1), ValueError, "wait: expected a finite timeout in seconds .*, got -1"),
    (lambda w, t: t.pull(KEYS).wait(timeout=float("inf")), ValueError, "expected a finite timeout .*, got inf"),
    (lambda w, t: t.call(b"x"), ps.RefusedError, "call: refused by server 0: expected an updater with"),
    (lambda w, t: w.table("x", "sum"), ps.RefusedError, 'expected an updater among assign.f32, .*, got "sum"'),
    (lambda w, t: w.table("x", "sum"), ValueError, "expected an updater among"),
    (lambda w, t: w.table("x", "dbpg", b"short"), ps.RefusedError, "expected l1 >= 0 and l2 >= 0 as 16 bytes, or .* as 32, got 5"),
    (lambda w, t: w.table("t", "sum.f64"), ValueError, 'table "t" with updater "sum.f32" .*, got "sum.f64"'),
    (lambda w, t: w.reduce(np.ones(2)), TypeError, "reduce: expected an array of int64, got float64"),
    (lambda w, t: w.reduce_max(5), TypeError, "reduce_max: expected an array of int64, got int"),
    (lambda w, t: w.set_policy("soon"), ValueError, r"expected 'sequential', 'eventual' or \('bounded', tau\).*'soon'"),
    (lambda w, t: w.set_policy(("bounded", -1)), ValueError, "of at least 0, got .*-1"),
    (lambda w, t: ps.Keys(np.array([2, 2], np.uint64)), ValueError, "increasing keys, got 2 after 2 at position 1"),
    (lambda w, t: ps.Keys(np.array([[2]], np.uint64)), ValueError, r"keys: expected one dimension, got shape \(1, 1\)"),
    (lambda w, t: ps.Keys(np.array([2.0])), TypeError, "keys: expected an array of uint64 .*, got float64"),
    (lambda w, t: KEYS[::2], ValueError, "keys: expected a slice with step 1, got step 2"),
    (lambda w, t: ps.local(workers=0), ValueError, "local: expected workers from 1 to 256, got 0"),
    (lambda w, t: ps.local(servers=-1), ValueError, "local: expected servers from 1 to 256, got -1"),
    (lambda w, t: ps.embed(deadline_ms=0), ValueError, "local: expected deadline_ms from 1 to .*, got 0"),
    (lambda w, t: ps.local().worker(1), ValueError, "worker: expected a rank from 0 to 0, got 1"),
    (lambda w, t: ps.connect("127.0.0.1:1", join_ms=50), ps.LostError, "cannot reach the scheduler at 127.0.0.1:1"),
    (lambda w, t: ps.connect("127.0.0.1:1", join_ms=50), ConnectionError, "within 50 ms"),
    (lambda w, t: ps.connect("nowhere", join_ms=50), ps.LostError, "the scheduler at nowhere .* invalid"),
    (lambda w, t: ps.connect("127.0.0.1:1", deadline_ms=0), ValueError, "connect: expected deadline_ms from 1"),
]


@pytest.mark.parametrize("call, kind, message", BAD, ids=[f"{i}-{row[1].__name__}" for i, row in enumerate(BAD)])
def test_a_bad_call_says_what_was_expected_and_changes_nothing(call, kind, message):
    with ps.embed(servers=2) as worker:
        table = worker.table("t", "sum.f32")
        table.push(KEYS, ONES).wait()
        with pytest.raises(kind, match=message):
            call(worker, table)
        assert list(table.pull(KEYS).wait()) == [1, 1, 1]
        # A refused table leaves its name and number free.
        assert list(worker.table("x", "sum.i64").pull(KEYS).wait()) == [0, 0, 0]


def test_a_task_of_another_worker_is_refused():
    with ps.local(workers=2) as cluster:
        a, b = (worker.table("t", "sum.f32") for worker in cluster)
        task = b.pull(KEYS)
        with pytest.raises(ValueError, match=r"pull: expected after: tasks of this worker \(0\), got one of worker 1"):
            a.pull(KEYS, after=[task])


def test_a_task_that_failed_fails_each_wait_and_not_the_next_call():
    with ps.embed(servers=2) as worker:
        table = worker.table("t", "dbpg", bytes(16))
        task = table.push(KEYS, np.zeros((3, 2), np.int64), args=b"nonsense")
        for _ in range(2):
            with pytest.raises(ps.RefusedError, match="push: refused by server .: expected a dbpg request"):
                task.wait()
        assert task.done() and table.pull(KEYS).wait().shape == (3, 2)


def test_a_failure_that_nobody_waited_for_is_raised_by_a_later_call_or_the_end():
    def forgotten(then):
        with ps.embed() as worker:
            table = worker.table("t", "dbpg", bytes(16))
            table.push(KEYS, np.zeros((3, 2), np.int64), args=b"nonsense")
            then(table)

    for then in (lambda table: table.pull(KEYS), lambda table: None):
        with pytest.raises(ps.RefusedError, match="push: refused by server 0: expected a dbpg request"):
            forgotten(then)


def test_a_finished_worker_says_so():
    with ps.embed() as worker:
        table = worker.table("t", "sum.f32")
        forgotten = table.pull(KEYS)
    worker.finish()
    worker.abandon()
    calls = [
        lambda: table.push(KEYS, ONES),
        lambda: table.pull(KEYS),
        lambda: table.insert(KEYS),
        lambda: table.call(),
        lambda: worker.table("t", "sum.f32"),
        lambda: worker.reduce(np.ones(1, np.int64)),
        lambda: worker.barrier(),
        lambda: worker.stats(),
        lambda: worker.set_policy("eventual"),
        lambda: forgotten.wait(),
    ]
    for call in calls:
        with pytest.raises(ps.FinishedError, match=r": expected a worker that takes part, got worker 0 after finish"):
            call()
