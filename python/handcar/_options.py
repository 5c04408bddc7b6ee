"""Parameters of an estimator, checked once, at fit."""

import numbers
import operator
import os


def number(name, value):
    """A real number; Rust checks its range."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name}: expected a number, got {value!r}")
    return float(value)


def whole(name, value, least, most):
    """A whole number of a range."""
    try:
        n = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}: expected a whole number, got {value!r}") from None
    if not least <= n <= most:
        raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {n}")
    return n


def text(name, value):
    """A text."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected a text, got {value!r}")
    return value


def axes(name, value):
    """Values to combine, as ``l1=1,4 rate=0.1``; None: nothing to combine."""
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{name}: expected a dictionary of lists, got {value!r}")
    return " ".join(f"{k}=" + ",".join(repr(number(f"{name}: {k}", x)) for x in v) for k, v in value.items())


def threads(value):
    """Threads; None or -1: every core this process may use."""
    if value is None or value == -1:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return whole("n_threads", value, 1, 4096)


def seed(value):
    """A seed; None is 0, a generator is asked for one."""
    if value is None:
        return 0
    for draw in ("randint", "integers"):
        if hasattr(value, draw):
            return int(getattr(value, draw)(0, 2**31 - 1))
    return whole("random_state", value, 0, 2**64 - 1)
