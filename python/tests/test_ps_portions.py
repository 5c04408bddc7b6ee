"""Passes in portions: shared by whoever is free, each counted once, also when workers are killed."""

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

with ps.connect(sys.argv[1]) as worker:
    table = worker.table("sums", "sum.i64")
    for number in range(int(sys.argv[2])):
        keys = ps.Keys(np.arange(number * 100, number * 100 + 50, dtype=np.uint64))
        for portion in worker.portions(number, 30):
            values = np.arange(50) * (1 + portion.index)
            table.push(keys, values, portion=portion)
        print(number, flush=True)
"""


def test_portions_are_shared_and_each_counts_once():
    keys = ps.Keys(np.arange(5, dtype=np.uint64))

    def work(worker):
        table, mine = worker.table("t", "sum.f64"), []
        for number in range(3):
            for portion in worker.portions(number, 8):
                table.push(keys, np.full(5, 1.0 + portion.index), portion=portion)
                mine.append(portion)
        worker.barrier()
        assert list(table.pull(keys).wait()) == [3 * 36.0] * 5
        return mine

    with ps.local(workers=3, servers=2) as cluster:
        done = [portion for mine in cluster.run(work) for portion in mine]
    assert len({(p.pass_number, p.index) for p in done}) == len(set(done)) == 24
    assert repr(done[0]) == f"<handcar.ps.Portion {done[0].index} of pass {done[0].pass_number}>"


def test_a_push_made_twice_for_one_portion_counts_once():
    keys = ps.Keys(np.array([7], dtype=np.uint64))
    with ps.local(workers=2) as cluster:
        a, b = cluster
        tables = cluster.run(lambda worker: worker.table("t", "sum.i64"))
        portion = next(a.portions(0, 1))
        tables[1].push(keys, np.array([5]), portion=portion).wait()
        tables[0].push(keys, np.array([5]), portion=portion).wait()
        assert list(a.portions(0, 1)) == [] and list(b.portions(0, 1)) == []
        assert list(tables[1].pull(keys).wait()) == [5]


def test_passes_out_of_order_and_other_counts_are_refused():
    with ps.embed() as worker:
        next(worker.portions(3, 4))
        with pytest.raises(ps.RefusedError, match="expected 4 portions in pass 3 as others said, got 5"):
            next(worker.portions(3, 5))
        with pytest.raises(ps.RefusedError, match="expected pass 3, which is not over, got 4"):
            next(worker.portions(4, 4))
        with pytest.raises(ps.RefusedError, match="expected 1 to 65536 portions, got 0"):
            next(worker.portions(4, 0))


@pytest.fixture
def start():
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


def test_killed_workers_portions_go_to_others(binary, start):
    passes = 40
    scheduler = start(binary, "scheduler", "--elastic", "--servers", "2", "--replicas", "2")
    address = scheduler.stdout.readline().split()[-1]
    for _ in range(2):
        start(binary, "server", "--scheduler", address)
    with ps.connect(address) as worker:
        table = worker.table("sums", "sum.i64")
        stays = start(sys.executable, "-c", WORK, address, passes)
        killed = 0
        while int(stays.stdout.readline()) < passes - 10:
            victim = start(sys.executable, "-c", WORK, address, passes)
            victim.stdout.readline()
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            killed += 1
        assert stays.wait(60) == 0, stays.stderr.read()
        assert killed > 0
        for number in range(passes):
            assert list(worker.portions(number, 30)) == []
            keys = ps.Keys(np.arange(number * 100, number * 100 + 50, dtype=np.uint64))
            assert list(table.pull(keys).wait()) == list(np.arange(50) * 30 * 31 // 2), number
        with pytest.raises(ValueError, match="workers come and go"):
            worker.barrier()
    assert scheduler.wait(20) == 0
