"""Workers in several processes over TCP, with the scheduler and servers of the command line."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from handcar import ps

WORK = """
import sys
import numpy as np
import handcar.ps as ps

with ps.connect(sys.argv[1], rank=int(sys.argv[2])) as worker:
    table = worker.table("t", "sum.f64")
    random = np.random.default_rng(worker.rank)
    for _ in range(20):
        keys = ps.Keys(np.unique(random.integers(0, 500, 100).astype(np.uint64)))
        table.push_pull(keys, random.integers(-9, 9, len(keys)).astype(np.float64), immediate=True).wait()
    everything = ps.Keys(np.arange(500, dtype=np.uint64))
    worker.barrier()
    ones = np.ones(500)
    table.push(everything, ones).wait()
    print(*table.pull(everything).wait(), flush=True)
    assert list(worker.reduce(np.array([worker.rank, 1]))) == [1, 2]
    stats = worker.stats()
    assert stats["bytes_sent"] > 20_000 and stats["bytes_received"] > 20_000, stats
"""

WAIT = """
import sys
import handcar.ps as ps

try:
    print("begun", flush=True)
    worker = ps.connect(sys.argv[1], **eval(sys.argv[2]))
    print("joined", flush=True)
    # Who is interrupted in the first one has come to it all the same.
    worker.barrier()
    worker.barrier()
except BaseException as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""


def reference():
    """What the two processes of WORK leave behind."""
    sums = np.full(500, 2.0)
    for rank in (0, 1):
        random = np.random.default_rng(rank)
        for _ in range(20):
            keys = np.unique(random.integers(0, 500, 100).astype(np.uint64))
            sums[keys] += random.integers(-9, 9, len(keys)).astype(np.float64)
    return sums


@pytest.fixture
def start():
    """Starts processes and ends those that are left."""
    running = []

    def start(*command):
        process = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def job(binary, start):
    """Starts a scheduler and its servers; gives their processes and the address to join."""

    def job(workers, servers):
        scheduler = start(binary, "scheduler", "--workers", workers, "--servers", servers)
        address = scheduler.stdout.readline().split()[-1]
        others = [start(binary, "server", "--scheduler", address, "--rank", rank) for rank in range(servers)]
        return address, [scheduler, *others]

    return job


def python(start, code, *words):
    return start(sys.executable, "-c", code, *words)


def test_two_processes_add_up_to_what_numpy_does(job, start):
    address, roles = job(workers=2, servers=2)
    workers = [python(start, WORK, address, rank) for rank in (0, 1)]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        np.testing.assert_array_equal(np.array(out.split(), float), reference())
    # Workers that finish end the job for everybody, in good order.
    assert [role.wait(timeout=60) for role in roles] == [0, 0, 0]


def test_workers_of_one_process_may_be_in_different_threads(job):
    from concurrent.futures import ThreadPoolExecutor

    address, _ = job(workers=2, servers=1)
    keys = ps.Keys(np.arange(100_000, dtype=np.uint64))

    def work(rank):
        with ps.connect(address, rank=rank) as worker:
            table = worker.table("t", "sum.f32")
            out = np.empty(len(keys), np.float32)
            for _ in range(10):
                table.push_pull(keys, np.full(len(keys), rank + 1, np.float32), out=out).wait()
            sent = worker.stats()["bytes_sent"]
            worker.barrier()
        # The keys travelled once, the values ten times.
        assert sent < 4 * 10 * len(keys) + 8 * len(keys) + 10_000
        return out

    with ThreadPoolExecutor(2) as pool:
        for out in pool.map(work, (0, 1)):
            np.testing.assert_array_equal(out, np.full(len(keys), 30, np.float32))


def test_a_server_that_dies_is_named(job):
    address, roles = job(workers=1, servers=2)
    with pytest.raises(ps.LostError, match="lost server 1 at 127.0.0.1"), ps.connect(address) as worker:
        table, keys = worker.table("t", "sum.f32"), ps.Keys(np.arange(1000, dtype=np.uint64))
        roles[2].kill()
        while True:
            table.push_pull(keys, np.ones(1000, np.float32)).wait()


def test_a_worker_that_leaves_by_an_exception_is_named(job, start):
    address, _ = job(workers=2, servers=1)
    waiting = python(start, WAIT, address, "{'rank': 0}")
    with pytest.raises(ZeroDivisionError), ps.connect(address, rank=1):
        assert waiting.stdout.readline() + waiting.stdout.readline() == "begun\njoined\n"
        1 / 0
    out, err = waiting.communicate(timeout=60)
    assert out.startswith("LostError: lost worker 1 at 127.0.0.1"), out + err


def test_a_missing_worker_is_told_to_those_who_came(job, start):
    address, _ = job(workers=2, servers=1)
    waiting = python(start, WAIT, address, "{'rank': 0, 'deadline_ms': 100}")
    with ps.connect(address, rank=1) as late:
        assert waiting.stdout.readline() + waiting.stdout.readline() == "begun\njoined\n"
        out, err = waiting.communicate(timeout=60)
        late.abandon()
    assert "DeadlineError: reduce: expected an answer within 100 ms, still waiting for worker 1 " in out, out + err


def test_a_rank_that_is_taken_or_not_there_is_refused(job, start):
    address, _ = job(workers=2, servers=1)
    with pytest.raises(ps.RefusedError, match="expected a rank below 2 workers, got 7"):
        ps.connect(address, rank=7)


def test_nobody_at_the_address_or_nobody_else_in_time_is_an_error(binary, start):
    scheduler = start(binary, "scheduler", "--workers", 2, "--servers", 1)
    address = scheduler.stdout.readline().split()[-1]
    with pytest.raises(ps.DeadlineError, match="join: expected an answer within"):
        ps.connect(address, join_ms=100)
    scheduler.kill()
    scheduler.wait()
    with pytest.raises(ps.LostError, match=f"connect: cannot reach the scheduler at {address} within 100 ms"):
        ps.connect(address, join_ms=100)


@pytest.mark.parametrize("joined", [False, True])
def test_ctrl_c_ends_the_wait_for_others(job, start, joined):
    address, _ = job(workers=2, servers=1)
    waiting = python(start, WAIT, address, "{'rank': 0}")
    assert waiting.stdout.readline() == "begun\n"
    if joined:
        other = python(start, WAIT, address, "{'rank': 1}")
        assert other.stdout.readline() == "begun\n"
        assert waiting.stdout.readline() == "joined\n"
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=60)
    assert out == "KeyboardInterrupt: \n", out + err
    if joined:
        out, err = other.communicate(timeout=60)
        assert other.returncode == 0 and "LostError: lost worker 0" in out, out + err
