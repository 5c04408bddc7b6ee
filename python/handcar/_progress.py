"""What is shown while a fit runs."""

import html
import sys

# Passes that a table in a notebook shows: the last.
ROWS_MAX = 12
# Letters of a bar on a terminal.
BAR_WIDTH = 24


def display(verbose):
    """The callbacks that ``verbose`` asks for."""
    return [_lines] if verbose else []


def _lines(p):
    """One line a pass, on stderr."""
    print(_line(p), file=sys.stderr, flush=True)


def _line(p):
    gap = "" if p["gap"] is None else f"  gap {p['gap']:.1e}"
    return f"pass {p['pass']:>4}  objective {p['objective']:.6f}  nonzeros {p['nnz']}{gap}  {p['seconds']:.1f} s"


class progress:
    """A callback that shows how far a fit is: ``LogisticRegression(callback=handcar.progress())``.

    In a notebook that is a bar over a table of the last passes, on a terminal a bar, and elsewhere a line a pass.

    Parameters
    ----------
    file : file, optional
        Where to write outside of notebooks; stderr unless given.
    """

    def __init__(self, file=None):
        self.file = file
        self._face = None

    def begin(self):
        """The fit begins."""
        file = sys.stderr if self.file is None else self.file
        if (shell := _notebook()) is not None:
            self._face = _Table(shell)
        elif file.isatty():
            self._face = _Bar(file)
        else:
            self._face = _Lines(file)

    def __call__(self, p):
        """A pass has ended."""
        if self._face is not None:
            self._face.passed(p)

    def online(self, line):
        """Progressive measures were taken within a pass."""
        if self._face is not None:
            self._face.learned(line)

    def progress(self, done):
        """Some of the pass is done."""
        if self._face is not None:
            self._face.moved(done)

    def end(self):
        """The fit has ended."""
        if self._face is not None:
            self._face.ended()
            self._face = None

    def __deepcopy__(self, memo):
        # Clones of an estimator show their own fits, in the same place.
        return type(self)(self.file)

    def __getstate__(self):
        # Neither open files nor what is under way goes to another process.
        return {"file": None, "_face": None}


def _notebook():
    """The display function of the notebook that this runs in; None elsewhere. Who is in one has imported IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import HTML
    from IPython.display import display as show

    return lambda text: show(HTML(text), display_id=True), HTML


class _Lines:
    def __init__(self, file):
        self._file = file

    def passed(self, p):
        print(_line(p), file=self._file, flush=True)

    def learned(self, line):
        pass

    def moved(self, done):
        pass

    def ended(self):
        pass


class _Bar:
    """One line on a terminal, written over and over."""

    def __init__(self, file):
        self._file, self._pass, self._done, self._note = file, 1, 0.0, ""

    def passed(self, p):
        self._pass, self._done = p["pass"], 1.0
        self._note = f"objective {p['objective']:.6g}  nonzeros {p['nnz']}"
        self._note += "" if p["gap"] is None else f"  gap {p['gap']:.1e}"
        self._draw()
        self._pass, self._done = p["pass"] + 1, 0.0

    def learned(self, line):
        self._note = f"loss {line['loss']:.5f}"
        self._draw()

    def moved(self, done):
        self._done = done
        self._draw()

    def ended(self):
        self._file.write("\n")
        self._file.flush()

    def _draw(self):
        full = int(BAR_WIDTH * min(max(self._done, 0.0), 1.0))
        bar = "#" * full + "-" * (BAR_WIDTH - full)
        # Erase to the end of the line: the one before may have been longer.
        self._file.write(f"\rpass {self._pass:>3} [{bar}] {self._note}\x1b[K")
        self._file.flush()


class _Table:
    """A bar and a table in a notebook, drawn anew in place."""

    def __init__(self, shell):
        show, self._html = shell
        self._passes, self._done, self._note = [], 0.0, ""
        self._handle = show(self._text())

    def passed(self, p):
        self._passes.append(p)
        del self._passes[:-ROWS_MAX]
        self._done, self._note = 1.0, ""
        self._draw()
        self._done = 0.0

    def learned(self, line):
        self._note = f"{line['rows']:,} rows, mean loss {line['loss']:.5f}"
        self._draw()

    def moved(self, done):
        self._done = done
        self._draw()

    def ended(self):
        self._done, self._note = 1.0, "done"
        self._draw()

    def _draw(self):
        self._handle.update(self._html(self._text()))

    def _text(self):
        bar = f"<progress value='{min(max(self._done, 0.0), 1.0):.3f}' max='1'></progress> {html.escape(self._note)}"
        if not self._passes:
            return bar
        valid = next((n for n in ("logloss", "loss") if (self._passes[-1]["valid"] or {}).get(n) is not None), None)
        heads = ["solver", "pass", "objective", "nonzeros", "gap", *(["validation loss"] if valid else []), "seconds"]
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in _cells(p, valid))}</tr>" for p in self._passes)
        return f"{bar}<table><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr>{rows}</table>"


def _cells(p, valid):
    gap = "" if p["gap"] is None else f"{p['gap']:.1e}"
    measured = [f"{(p['valid'] or {}).get(valid, float('nan')):.5f}"] if valid else []
    return [p["solver"], f"{p['pass']}", f"{p['objective']:.6g}", f"{p['nnz']:,}", gap, *measured, f"{p['seconds']:.2f}"]
