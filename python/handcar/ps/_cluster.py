"""``Cluster``: workers and servers inside this process."""

import threading

from .._handcar import local_workers

#: Milliseconds a task may take unless given: a slow worker is no dead one.
DEADLINE_MS = 600_000


def local(workers=1, servers=1, *, deadline_ms=DEADLINE_MS):
    """Starts workers and servers inside this process; nothing is opened that others could reach.

    workers, servers: from 1 to 256. A worker's own thread runs the server it talks to, so more servers cost no threads.
    deadline_ms: milliseconds a task may take.

    >>> import numpy as np, handcar.ps as ps
    >>> with ps.local(workers=2) as cluster:
    ...     cluster.run(lambda worker: int(worker.reduce(np.array([worker.rank + 1]))[0]))
    [3, 3]
    """
    return Cluster(local_workers(workers, servers, deadline_ms))


def embed(servers=1, *, deadline_ms=DEADLINE_MS):
    """The only worker of a cluster inside this process: ``local`` for a program without threads."""
    return local_workers(1, servers, deadline_ms)[0]


class Cluster:
    """The workers of one process, by rank. A context manager: finishes them at the end of its block.

    If an exception leaves the block the workers are abandoned, so that threads which still wait for each other end.
    """

    def __init__(self, workers):
        self._workers = workers

    def worker(self, rank):
        """The worker of a rank, the same object each time.

        Raises ``ValueError`` for a rank that is not there.
        """
        if not 0 <= rank < len(self._workers):
            raise ValueError(f"worker: expected a rank from 0 to {len(self._workers) - 1}, got {rank}")
        return self._workers[rank]

    def run(self, function):
        """Calls ``function(worker)`` for every worker, each in a thread of its own; the results by rank.

        The first exception of a function is raised when all have ended. Its worker is abandoned, so that the others
        end with ``LostError`` rather than wait for it; so is every worker when Ctrl-C comes.
        """
        results, failures = [None] * len(self._workers), []

        def call(rank, worker):
            try:
                results[rank] = function(worker)
            except BaseException as error:  # Whatever it is belongs to the caller of `run`.
                failures.append(error)
                worker.abandon()

        threads = [threading.Thread(target=call, args=pair, daemon=True) for pair in enumerate(self._workers)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                # In pieces: not every system ends a join for Ctrl-C.
                while thread.is_alive():
                    thread.join(0.1)
        except BaseException:
            self.abandon()
            raise
        if failures:
            raise failures[0]
        return results

    def finish(self):
        """Waits for the tasks of every worker and ends the job."""
        for worker in self._workers:
            worker.finish()

    def abandon(self):
        """Gives every worker up: what waits in other threads ends with an exception."""
        for worker in self._workers:
            worker.abandon()

    @property
    def workers(self):
        """Number of workers."""
        return len(self._workers)

    @property
    def servers(self):
        """Number of servers."""
        return self._workers[0].servers

    def __len__(self):
        return len(self._workers)

    def __iter__(self):
        return iter(self._workers)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.finish()
        else:
            self.abandon()

    def __repr__(self):
        return f"<handcar.ps.Cluster, workers: {self.workers}, servers: {self.servers}>"
