"""What ``verbose`` shows while a fit runs."""

import sys


def display(verbose, options):
    """The callbacks that show it."""
    return [lines] if verbose else []


def lines(p):
    """One line a pass, on stderr."""
    gap = "" if p["gap"] is None else f"  gap {p['gap']:.1e}"
    line = f"pass {p['pass']:>4}  objective {p['objective']:.6f}  nonzeros {p['nnz']}{gap}  {p['seconds']:.1f} s"
    print(line, file=sys.stderr, flush=True)
