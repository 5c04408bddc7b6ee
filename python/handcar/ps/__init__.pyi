"""The parameter server: workers push and pull NumPy arrays by key, servers run named functions on what is pushed."""

import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TypeVar

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

from .._handcar import Keys as Keys
from .._handcar import Table as Table
from .._handcar import Portion as Portion
from .._handcar import Portions as Portions
from .._handcar import Task as Task
from .._handcar import Worker as Worker
from .._handcar import connect as connect

_R = TypeVar("_R")

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

class Error(Exception): ...
class RefusedError(Error, ValueError): ...
class DeadlineError(Error, TimeoutError): ...
class LostError(Error, ConnectionError): ...
class CheckpointError(Error, OSError): ...
class BusyError(Error, RuntimeError): ...
class FinishedError(Error, ValueError): ...

def local(workers: int = 1, servers: int = 1, *, deadline_ms: int = 600_000) -> Cluster: ...
def embed(servers: int = 1, *, deadline_ms: int = 600_000) -> Worker: ...

class Cluster:
    """The workers of one process, by rank."""

    def __init__(self, workers: list[Worker]) -> None: ...
    def worker(self, rank: int) -> Worker: ...
    def run(self, function: Callable[[Worker], _R]) -> list[_R]: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...
    @property
    def workers(self) -> int: ...
    @property
    def servers(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Worker]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
