"""Tables saved and restored."""

import numpy as np
import pytest

from handcar import ps

KEYS = ps.Keys(np.arange(0, 5000, 5, dtype=np.uint64))


def fill(worker):
    table = worker.table("t", "sum.f64")
    table.push(KEYS, np.arange(1000) / 7).wait()
    return table


def test_a_checkpoint_comes_back_on_another_number_of_workers_and_servers(tmp_path):
    def save(worker):
        table = fill(worker)
        numbers = worker.save(tmp_path, job="mine"), worker.save(str(tmp_path))
        return numbers, table.pull(KEYS).wait()

    with ps.local(workers=2, servers=3) as cluster:
        (numbers, saved), _ = cluster.run(save)
    assert numbers == (1, 2)
    assert len(list((tmp_path / "pieces").iterdir())) == 1, "the second wrote nothing new"

    def restore(worker):
        assert worker.restore(tmp_path) == 2
        table = worker.table("t", "sum.f64")
        assert worker.restore(tmp_path, number=1) == 1
        before = table.pull(KEYS).wait()
        worker.barrier()
        table.push(KEYS, np.ones(1000)).wait()
        return before, table.pull(KEYS).wait()

    with ps.local(workers=3) as cluster:
        for before, after in cluster.run(restore):
            assert (before == saved).all() and (after == saved + 3).all()


def test_damage_and_misfits_are_refused(tmp_path):
    with ps.embed() as worker:
        with pytest.raises(ps.CheckpointError, match="expected"):
            worker.restore(tmp_path / "nothing")
        fill(worker)
        worker.save(tmp_path)
        with pytest.raises(ValueError, match="no such job"):
            worker.save(tmp_path, job="no such job")
    with ps.embed() as worker:
        worker.table("t", "sum.i64")
        with pytest.raises(ValueError, match='updater "sum.f64" as in the checkpoint, got "sum.i64"'):
            worker.restore(tmp_path)
    piece = next((tmp_path / "pieces").iterdir())
    piece.write_bytes(piece.read_bytes()[:-1])
    with ps.embed() as worker:
        with pytest.raises(ps.CheckpointError, match="the checkpoint is refused|refused ones"):
            worker.restore(tmp_path)
