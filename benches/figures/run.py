#!/usr/bin/env python3
"""Draws the figures of docs/figures/ anew, each with the table it is drawn from.

    benches/figures/run.py [FIGURE...]

Figures: delay, filters, emso, adadelay; all when none is named. Installs what it needs into benches/.venv and builds handcar in
release. A machine with nothing else to do gives the truest times.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import common

FIGURES = ["delay", "filters", "emso", "adadelay"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", nargs="*", choices=[*FIGURES, []], metavar="FIGURE")
    args = parser.parse_args()
    common.inside_venv()
    common.build()
    print(f"{common.machine()}: `benches/figures/run.py {' '.join(sys.argv[1:])}`")
    for figure in args.figure or FIGURES:
        module = importlib.import_module(f"figures.{figure}")
        print(f"\n**{figure}.** {module.__doc__.strip()}")
        with tempfile.TemporaryDirectory() as folder:
            module.draw(Path(folder))


if __name__ == "__main__":
    main()
