"""What can go wrong with a parameter server. Wrong arguments are plain ``ValueError`` and ``TypeError``.

Each is also the built-in exception that programs catch already.
"""


class Error(Exception):
    """A failure of the parameter server."""

    __module__ = "handcar.ps"


class RefusedError(Error, ValueError):
    """A server or the scheduler understood the call and declined it; the message has its words."""

    __module__ = "handcar.ps"


class DeadlineError(Error, TimeoutError):
    """Nobody failed, but the answer did not come in time; the message names who was waited for."""

    __module__ = "handcar.ps"


class LostError(Error, ConnectionError):
    """A member of the job is gone or cannot be reached; the message names it. The job ends."""

    __module__ = "handcar.ps"


class CheckpointError(Error, OSError):
    """A checkpoint could not be saved or restored, and nothing has changed; the message names the worker and the file."""

    __module__ = "handcar.ps"


class BusyError(Error, RuntimeError):
    """Two Python threads called one worker at a time."""

    __module__ = "handcar.ps"


class FinishedError(Error, ValueError):
    """A worker was used after it had finished or was abandoned."""

    __module__ = "handcar.ps"
