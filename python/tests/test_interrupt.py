"""Ctrl-C ends what is under way, soon and cleanly."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SKIPPED: signals of POSIX systems")

FIT = """
import handcar, numpy as np, _thread, threading
random = np.random.default_rng(0)
X, y = random.normal(size=(2000, 40)), random.integers(0, 2, 2000)
begun = threading.Event()
def first(p):
    if p["pass"] == 1:
        print("training", flush=True)
        begun.set()
# Without Ctrl-C this would go on for years: 4 billion passes that can never reach a gap of zero.
model = handcar.LogisticRegression(l1=0.1, tol=0.0, max_iter=2**32 - 1, callback=first)
{start}
try:
    model.fit(X, y)
except KeyboardInterrupt:
    print("stopped", hasattr(model, "classes_"), flush=True)
model.set_params(max_iter=3, callback=None).fit(X, y)
print("fitted again", model.n_iter_, flush=True)
"""

READ = """
import handcar, sys
try:
    handcar.read(sys.argv[1], format="libsvm", cache=False)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def start(code, *words):
    command = [sys.executable, "-W", "ignore", "-c", code, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_signal_ends_a_fit_and_leaves_the_estimator_usable():
    child = start(FIT.format(start=""))
    assert child.stdout.readline() == "training\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert out == "stopped False\nfitted again 3\n", err
    assert child.returncode == 0


def test_other_threads_run_during_a_fit():
    # The thread can only interrupt if it gets the interpreter's lock while Rust trains.
    thread = "threading.Thread(target=lambda: (begun.wait(), _thread.interrupt_main()), daemon=True).start()"
    out, err = start(FIT.format(start=thread)).communicate(timeout=120)
    assert out == "training\nstopped False\nfitted again 3\n", err


def test_a_signal_ends_a_read_that_waits_for_data(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = start(READ, str(fifo))
    # Opening for writing returns once the child has opened for reading; nothing is ever written.
    with open(fifo, "w"):
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=120)
    assert out == "stopped\n", err
