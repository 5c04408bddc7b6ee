"""The compiled half of handcar."""

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

import numpy as np
from numpy.typing import NDArray

__version__: str

_Floats = NDArray[np.float32] | NDArray[np.float64]
_Indices = NDArray[np.int32] | NDArray[np.int64]
_Numbers = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int64]
_Column = tuple[str, NDArray[np.float64]] | tuple[str, NDArray[np.int32], list[str]]

class Dataset:
    """Packed rows with their labels; made by :func:`handcar.read`, shared by any number of fits."""

    @staticmethod
    def from_dense(
        x: _Floats,
        labels: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
        label_kind: Literal["binary", "real", "count"] = "binary",
        join: bool = True,
    ) -> Dataset: ...
    @staticmethod
    def from_csr(
        offsets: _Indices,
        indices: _Indices,
        values: _Floats,
        columns: int,
        labels: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
        label_kind: Literal["binary", "real", "count"] = "binary",
        join: bool = True,
    ) -> Dataset: ...
    @staticmethod
    def from_columns(
        columns: Sequence[_Column],
        labels: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
        label_kind: Literal["binary", "real", "count"] = "binary",
        join: bool = True,
        after: Model | None = None,
        state: State | None = None,
    ) -> Dataset: ...
    def alike(
        self,
        columns: Sequence[_Column],
        labels: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
    ) -> Dataset: ...
    def read_alike(self, inputs: list[str], options: dict[str, Any]) -> Dataset: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_features(self) -> int: ...
    @property
    def n_entries(self) -> int: ...
    @property
    def labels(self) -> NDArray[np.float32]: ...
    @property
    def columns(self) -> list[str]: ...
    @property
    def width(self) -> int: ...
    @property
    def label_kind(self) -> Literal["binary", "real", "count"]: ...
    @property
    def label_texts(self) -> tuple[str | None, str | None]: ...
    @property
    def report(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...

class State:
    """What a minibatch solver knows beside the weights, between two fits."""

    @staticmethod
    def from_bytes(bytes: bytes) -> State: ...
    def to_bytes(self) -> bytes: ...
    @property
    def batches(self) -> int: ...

class Model:
    """A sparse linear model: the same file as the command line's."""

    @staticmethod
    def load(path: str) -> Model: ...
    def save(self, path: str) -> None: ...
    @property
    def weights(self) -> NDArray[np.float32]: ...
    @property
    def keys(self) -> NDArray[np.uint64]: ...
    @property
    def names(self) -> list[str]: ...
    def name(self, i: int) -> str: ...
    def strongest(self) -> list[int]: ...
    @property
    def intercept(self) -> float: ...
    @property
    def format(self) -> str: ...
    @property
    def columns(self) -> list[str]: ...
    @property
    def dropped_fields(self) -> list[str]: ...
    @property
    def plain(self) -> bool: ...
    @property
    def base(self) -> int: ...
    def spread(self, columns: int) -> NDArray[np.float64]: ...
    @property
    def label_texts(self) -> tuple[str | None, str | None]: ...
    @property
    def facts(self) -> dict[str, Any]: ...
    def means(self, margins: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def margins_dense(self, x: _Floats) -> NDArray[np.float64]: ...
    def margins_csr(
        self, offsets: _Indices, indices: _Indices, values: _Floats, columns: int
    ) -> NDArray[np.float64]: ...
    def margins_columns(self, columns: Sequence[_Column]) -> NDArray[np.float64]: ...
    def margins_rows(self, rows: Dataset) -> NDArray[np.float64]: ...
    def margins_files(
        self, inputs: list[str], options: dict[str, Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]: ...

def read(inputs: list[str], options: dict[str, Any], like: Model | None = None) -> Dataset: ...
def evaluate(model: Model, inputs: list[str], options: dict[str, Any], slices: list[str], most: int) -> str: ...
def fit(
    rows: Dataset | None = None,
    *,
    stream: tuple[list[str], dict[str, Any]] | None = None,
    solver: str,
    loss: str,
    l1: float,
    l2: float,
    group_lasso: float = 0.0,
    lower: float | None = None,
    upper: float | None = None,
    huber_delta: float | None = None,
    rate: float | None,
    beta: float,
    batch_rows: int,
    history: int = 10,
    hogwild: bool = False,
    grid: str | None = None,
    inner: str = "cd",
    inner_iterations: int | None = None,
    inner_tol: float = 0.0,
    fit_intercept: bool,
    delay: int,
    max_iter: int | None,
    patience: int | None = None,
    tol: float,
    n_threads: int,
    seed: int,
    kkt_filter: bool = True,
    filters: str,
    pull_filters: str,
    label: tuple[str | None, str | None, str | None] | None,
    init: Model | None = None,
    resume: bool = False,
    state: State | None = None,
    rows_total: int | None = None,
    valid: Dataset | None = None,
    # With methods on_pass, on_online and on_progress.
    observer: Any = None,
) -> tuple[Model, list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], State | None]: ...

class Keys:
    """Sorted, unique 64-bit keys: checked and hashed once, shared by all calls that use them."""

    def __new__(cls, array: NDArray[np.uint64]) -> Self: ...
    @property
    def array(self) -> NDArray[np.uint64]: ...
    def __getitem__(self, range: slice) -> Keys: ...
    def __len__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

class Task:
    """A push, pull or insert under way."""

    def wait(self, timeout: float | None = None) -> Any: ...
    def done(self) -> bool: ...
    @property
    def notes(self) -> list[bytes]: ...

class Portion:
    """A piece of the work of a pass."""

    @property
    def pass_number(self) -> int: ...
    @property
    def index(self) -> int: ...
    def __hash__(self) -> int: ...

class Portions:
    """The portions of a pass that a worker is given."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Portion: ...

class Table:
    """Values by key on the servers, run by a server function."""

    @property
    def name(self) -> str: ...
    @property
    def updater(self) -> str: ...
    @property
    def push_dtype(self) -> np.dtype[Any]: ...
    @property
    def pull_dtype(self) -> np.dtype[Any]: ...
    @property
    def push_width(self) -> int: ...
    @property
    def pull_width(self) -> int: ...
    def push(
        self,
        keys: Keys | NDArray[np.uint64],
        values: _Numbers,
        *,
        args: bytes = b"",
        after: Sequence[Task] = (),
        immediate: bool = False,
        portion: Portion | None = None,
    ) -> Task: ...
    def pull(
        self, keys: Keys | NDArray[np.uint64], *, after: Sequence[Task] = (), out: _Numbers | None = None
    ) -> Task: ...
    def push_pull(
        self,
        keys: Keys | NDArray[np.uint64],
        values: _Numbers,
        *,
        args: bytes = b"",
        after: Sequence[Task] = (),
        immediate: bool = False,
        portion: Portion | None = None,
        out: _Numbers | None = None,
    ) -> Task: ...
    def insert(self, keys: Keys | NDArray[np.uint64], *, after: Sequence[Task] = ()) -> Task: ...
    def call(self, args: bytes = b"") -> list[bytes]: ...

class Worker:
    """One worker of a job."""

    @property
    def rank(self) -> int: ...
    @property
    def workers(self) -> int: ...
    @property
    def servers(self) -> int: ...
    def table(
        self, name: str, updater: str, params: bytes = b"", *, push_filters: str = "", pull_filters: str = ""
    ) -> Table: ...
    def reduce(self, words: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def reduce_max(self, words: NDArray[np.int64]) -> NDArray[np.int64]: ...
    def barrier(self) -> None: ...
    def save(self, place: str | PathLike[str], *, job: str = "job") -> int: ...
    def restore(self, place: str | PathLike[str], *, number: int | None = None) -> int: ...
    def portions(self, pass_number: int, count: int) -> Portions: ...
    def set_policy(self, policy: Literal["sequential", "eventual"] | tuple[Literal["bounded"], int]) -> None: ...
    def stats(self) -> dict[str, Any]: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

def local_workers(workers: int, servers: int, deadline_ms: int) -> list[Worker]: ...
def connect(
    scheduler: str,
    *,
    rank: int | None = None,
    name: str | None = None,
    deadline_ms: int = 600_000,
    join_ms: int = 60_000,
) -> Worker: ...
