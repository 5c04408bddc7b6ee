"""Every wait ends: by its answer, a deadline, a loss, another thread's word or Ctrl-C."""

import _thread
import threading

import numpy as np
import pytest

from handcar import ps

KEYS = ps.Keys(np.array([3, 8, 9], dtype=np.uint64))
ONES = np.ones(3, np.int64)


def when_busy(worker, then):
    """A thread that does something once another one is in a call of `worker`, and the error by which it saw that."""
    got = []

    def watch():
        while True:
            try:
                worker.stats()
            except ps.BusyError as error:
                got.append(error)
                return then()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread, got


@pytest.fixture
def pair():
    """Two workers with a table each, in one process."""
    with ps.local(workers=2, servers=2) as cluster:
        yield [(worker, worker.table("t", "sum.i64")) for worker in cluster]


WAITS = {
    "barrier": lambda worker, table, task: worker.barrier(),
    "reduce": lambda worker, table, task: worker.reduce(ONES),
    "call": lambda worker, table, task: table.call(b""),
    "wait": lambda worker, table, task: task.wait(),
    "wait with a timeout": lambda worker, table, task: task.wait(timeout=1000),
    "a push held by the policy": lambda worker, table, task: table.push(KEYS, ONES),
    "a pull held by the policy": lambda worker, table, task: table.pull(KEYS),
    "finish": lambda worker, table, task: worker.finish(),
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_a_wait_and_the_task_goes_on(pair, wait):
    (a, ours), (b, theirs) = pair
    task = ours.push(KEYS, ONES)
    when_busy(a, _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        WAITS[wait](a, ours, task)
    theirs.push(KEYS, ONES).wait()
    task.wait()
    assert list(ours.pull(KEYS).wait()) == [2, 2, 2]
    # The interrupted collective counts as made.
    if wait == "barrier":
        b.barrier()
    if wait == "reduce":
        assert list(b.reduce(ONES)) == [2, 2, 2]


def test_a_worker_is_for_one_thread_at_a_time(pair):
    (a, _), (b, _) = pair
    thread, got = when_busy(a, b.barrier)
    a.barrier()
    thread.join()
    assert str(got[0]) == (
        "stats: expected one Python thread at a time to use a worker, got a call while worker 0 is in another one"
    )
    assert isinstance(got[0], RuntimeError)


def test_a_timeout_ends_the_wait_and_not_the_task(pair):
    (_, ours), (_, theirs) = pair
    task = ours.push(KEYS, ONES)
    for timeout in (0, 0.001, 0.12):
        with pytest.raises(ps.DeadlineError, match=rf"push: expected an answer within timeout={timeout} s, got none"):
            task.wait(timeout=timeout)
    assert not task.done()
    theirs.push(KEYS, ONES).wait(timeout=60)
    assert task.wait(timeout=60) is None


@pytest.mark.parametrize("call", ["push", "barrier", "call"])
def test_the_deadline_names_who_was_waited_for(call):
    with ps.local(workers=3, servers=2, deadline_ms=50) as cluster:
        tables = [worker.table("t", "sum.i64") for worker in cluster]
        waits = {
            "push": lambda: tables[0].push(KEYS, ONES).wait(),
            "barrier": lambda: cluster.worker(0).barrier(),
            "call": lambda: tables[0].call(b""),
        }
        with pytest.raises(TimeoutError, match=r"within 50 ms, still waiting for worker 1, worker 2 \(told by server"):
            waits[call]()


def test_an_abandoned_worker_ends_its_own_waits_and_those_of_others(pair):
    (a, ours), (b, _) = pair
    when_busy(b, b.abandon)
    with pytest.raises(ps.FinishedError, match="barrier: expected a worker that takes part"):
        b.barrier()
    with pytest.raises(ps.LostError, match="lost worker 1 at this process: its handle was dropped before it finished"):
        ours.push(KEYS, ONES).wait()
    # What ended the job is told to every later call, the fixture's end included.
    a.abandon()


def test_an_exception_out_of_a_block_ends_those_who_wait():
    caught = []

    def wait(worker):
        with pytest.raises(ps.LostError) as info:
            worker.barrier()
        caught.append(info.value)
        worker.abandon()

    with ps.local(workers=2) as cluster:
        thread = threading.Thread(target=wait, args=[cluster.worker(1)])
        thread.start()
        with pytest.raises(ZeroDivisionError), cluster.worker(0):
            1 / 0
        thread.join()
    assert "lost worker 0" in str(caught[0])


def test_run_raises_the_first_exception_and_waits_for_nobody():
    with ps.local(workers=3) as cluster, pytest.raises(ZeroDivisionError):
        cluster.run(lambda worker: 1 / 0 if worker.rank == 1 else worker.barrier())


def test_ctrl_c_ends_a_run_of_all_workers():
    begun, gone = threading.Event(), []

    def work(worker):
        if worker.rank == 0:
            when_busy(worker, begun.set)
        try:
            worker.table("t", "sum.i64").push(KEYS, ONES).wait() if worker.rank == 0 else begun.wait()
        except ps.Error as error:
            gone.append(error)

    def interrupt():
        # Rank 1 never comes, so that rank 0 waits until it is told to stop.
        begun.wait()
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    with ps.local(workers=2) as cluster, pytest.raises(KeyboardInterrupt):
        cluster.run(work)
