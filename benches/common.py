"""What all benchmarks share: the peers' virtual environment, builds, medians, tables."""

import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "benches" / ".venv"
REQUIREMENTS = ROOT / "benches" / "requirements.txt"
RELEASE = ROOT / "target" / "release"


def inside_venv():
    """Runs this script again with the Python that has the peers; makes it first if needed."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix) == VENV:
        return
    stamp = VENV / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != REQUIREMENTS.read_text():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)], check=True)
        stamp.write_text(REQUIREMENTS.read_text())
    os.execv(str(python), [str(python), *sys.argv])


def build():
    """The program and the examples that measure, in release."""
    base = ["cargo", "build", "--release", "-q", "--locked"]
    subprocess.run([*base, "-p", "handcar-cli"], cwd=ROOT, check=True)
    for package in ("handcar-data", "handcar-ps", "handcar-train"):
        subprocess.run([*base, "-p", package, "--examples"], cwd=ROOT, check=True)


def run(command, **more):
    """Runs a command; its standard output."""
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **more).stdout


def example(name, *arguments):
    return run([RELEASE / "examples" / name, *arguments])


def handcar(*arguments, **more):
    return run([RELEASE / "handcar", *arguments], **more)


# A small parent of its own: the peak of a child counts what its parent had before the child began.
PEAK = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_memory(command):
    """Peak resident bytes of a process."""
    return int(run([sys.executable, "-I", "-S", "-c", PEAK, *command]))


def clicks(folder, rows, seed=1):
    """Drawn clicks: the path of a Criteo file."""
    path = Path(folder) / f"clicks{rows}.tsv"
    handcar("synth", "criteo", "--rows", rows, "--seed", seed, "-o", path)
    return path


median = statistics.median


def say(text):
    """Progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)


def table(header, rows):
    """A Markdown table."""
    print()
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(c) for c in row) + " |")
    print(flush=True)


def machine():
    model = next((l.split(":")[1].strip() for l in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in l), "")
    return f"{time.strftime('%Y-%m-%d')}, {platform.machine()} {model}, {os.cpu_count()} cores, Linux"
