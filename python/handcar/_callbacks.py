"""What hears of a fit while it runs."""


class Listeners:
    """Callbacks as Rust calls them; the parameter ``callback`` is one callable or several.

    Each is called with the dictionary of a pass. One that has a method ``online`` also hears, within the passes of a minibatch
    solver, of progressive measures, and one that has a method ``progress`` of the share of the pass that is done. Any true answer
    ends the fit. Methods ``begin`` and ``end``, where there are, are called before the fit and after it, however it ends.
    """

    def __init__(self, callbacks):
        self._all = callbacks

    @classmethod
    def of(cls, callback, *more):
        """Those of an estimator; refuses what cannot be called."""
        given = [] if callback is None else list(callback) if isinstance(callback, (list, tuple)) else [callback]
        for one in given:
            if not callable(one):
                raise ValueError(f"callback: expected a callable or a list of them, got {one!r}")
        return cls([*given, *more])

    def on_pass(self, p):
        """A pass has ended."""
        return self._any([c(p) for c in self._all])

    def on_online(self, line):
        """Progressive measures were taken within a pass."""
        return self._tell("online", line)

    def on_progress(self, done):
        """Some of the pass is done."""
        return self._tell("progress", done)

    def __enter__(self):
        self._tell("begin")
        return self

    def __exit__(self, *error):
        self._tell("end")

    def _tell(self, method, *what):
        return self._any([getattr(c, method)(*what) for c in self._all if hasattr(c, method)])

    # A list and no generator: all hear, also if the first has had enough.
    @staticmethod
    def _any(answers):
        return any(answers)
