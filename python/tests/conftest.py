"""What several tests share."""

import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Ctrl-C interrupts, also where a shell's `&` has told its children to ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def adult():
    """The data that ships: 48,842 people, the label in the column `income`."""
    return ROOT / "data" / "adult.csv.gz"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Tests leave the user's cache alone, and share one of their own."""
    monkeypatch.setenv("HANDCAR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def binary():
    """The command line, if it has been built from the sources as they are."""
    built = [p for p in (ROOT / "target" / profile / "handcar" for profile in ("debug", "release")) if p.is_file()]
    if not built:
        pytest.skip("SKIPPED: no handcar in target (cargo build -p handcar-cli makes one)")
    binary = max(built, key=lambda p: p.stat().st_mtime)
    sources = [*(ROOT / "crates").rglob("*.rs"), ROOT / "Cargo.lock"]
    if binary.stat().st_mtime < max(s.stat().st_mtime for s in sources):
        pytest.skip(f"SKIPPED: {binary.relative_to(ROOT)} is older than the sources (cargo build -p handcar-cli)")
    return binary


@pytest.fixture(scope="session")
def command(binary):
    """Runs the command line."""

    def run(*words):
        return subprocess.run([binary, *map(str, words)], check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture
def problem():
    """A small dense problem with two classes: (X, y) with y in {0, 1}."""
    random = np.random.default_rng(5)
    X = random.normal(size=(120, 7)) * [1, 3, 0.2, 1, 1, 1, 1]
    y = (X @ [1, -0.5, 0, 2, 0, 0, 0.3] + random.logistic(size=120) > 0.4).astype(int)
    return X, y
