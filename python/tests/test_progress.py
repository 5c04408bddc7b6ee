"""What is shown while a fit runs."""

import copy
import io
import pickle
import subprocess
import sys

import handcar
import pytest
from sklearn.base import clone


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_is_drawn_on_a_terminal(problem):
    file = Terminal()
    handcar.SGDClassifier(callback=handcar.progress(file), max_iter=3, batch_size=1).fit(*problem)
    shown = file.getvalue()
    assert shown.startswith("\rpass   1 [") and shown.endswith("\n") and shown.count("\n") == 1
    assert "pass   3 [########################] objective" in shown


def test_lines_are_written_elsewhere(problem, capsys):
    file = io.StringIO()
    model = handcar.LogisticRegression(callback=[handcar.progress(file)]).fit(*problem)
    lines = file.getvalue().splitlines()
    assert len(lines) == model.n_iter_ and lines[-1].startswith(f"pass {model.n_iter_:>4}  objective")
    handcar.LogisticRegression(callback=handcar.progress(), verbose=1).fit(*problem)
    assert len(capsys.readouterr().err.splitlines()) == 2 * len(lines)


def test_estimators_with_it_are_cloned_and_pickled(problem):
    file = Terminal()
    model = clone(handcar.SGDClassifier(callback=handcar.progress(file)).fit(*problem))
    assert model.callback.file is file
    assert copy.deepcopy(handcar.progress(file)).file is file
    assert pickle.loads(pickle.dumps(model)).fit(*problem).callback.file is None


def test_a_callback_of_it_may_be_used_by_hand():
    handcar.progress()({"pass": 1})


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
import handcar, numpy as np
shell = InteractiveShell.instance()
shell.kernel = object()  # What tells a notebook's shell from a terminal's.
X = np.random.default_rng(0).normal(size=(3000, 4))
y = (X[:, 0] > 0).astype(int)
with capture_output() as captured:
    model = handcar.SGDClassifier(callback=handcar.progress(), batch_size=8, max_iter=20).fit(X, y, eval_set=(X, y))
texts = [o.data["text/html"] for o in captured.outputs]
assert texts[0].startswith("<progress value='0.000'"), texts[0]
assert any("1,000 rows, mean loss" in t for t in texts)
last = texts[-1]
assert "done" in last and last.count("<tr>") == 13 and "<td>20</td>" in last and "<th>validation loss</th>" in last
assert f"{model.history_[-1]['valid']['logloss']:.5f}" in last
print("shown", len(texts))
"""


def test_a_table_is_drawn_in_a_notebook():
    pytest.importorskip("IPython")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", NOTEBOOK], capture_output=True, text=True)
    assert done.stdout.startswith("shown"), done.stderr
