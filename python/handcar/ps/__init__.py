"""The parameter server: workers push and pull NumPy arrays by key, servers run named functions on what is pushed.

    >>> import numpy as np
    >>> import handcar.ps as ps
    >>> keys = ps.Keys(np.array([3, 8, 9], dtype=np.uint64))
    >>> with ps.embed(servers=2) as worker:
    ...     table = worker.table("w", "sum.f32")
    ...     pushed = table.push(keys, np.array([1, 2, 3], dtype=np.float32))
    ...     table.pull(keys, after=[pushed]).wait()
    array([1., 2., 3.], dtype=float32)

Servers and workers are in this process (``embed``, ``local``) or in processes of their own (``connect``); the calls are
the same. Pushes copy an array once, pulls hand over the memory that the values arrived in.
"""

from .._handcar import Keys, Portion, Portions, Table, Task, Worker, connect
from ._cluster import Cluster, embed, local
from ._errors import BusyError, CheckpointError, DeadlineError, Error, FinishedError, LostError, RefusedError

__all__ = [
    "BusyError",
    "CheckpointError",
    "Cluster",
    "DeadlineError",
    "Error",
    "FinishedError",
    "Keys",
    "LostError",
    "Portion",
    "Portions",
    "RefusedError",
    "Table",
    "Task",
    "Worker",
    "connect",
    "embed",
    "local",
]
