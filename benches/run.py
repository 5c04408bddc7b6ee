#!/usr/bin/env python3
"""Answers the questions that handcar is judged by, each with a Markdown table that names its bar.

    benches/run.py [QUESTION...] [--runs N] [--raw FILE] [--clicks FILE...] [--against COMMIT]

Questions: objective, threads, parsing, memory, network, python-arrays, first-model, online, vw-text, chain, grid, filters, peers, against; all when
none is named.
Installs the peers (liblinear, scikit-learn, Vowpal Wabbit) into benches/.venv and builds handcar in release. Takes about
40 minutes in all with 11 runs; a machine with nothing else to do gives the truest figures.
"""

import argparse
import importlib
import sys
import tempfile

import common

QUESTIONS = [
    "first-model", "online", "vw-text", "chain", "grid", "network", "python-arrays", "memory", "threads", "parsing", "filters", "peers", "objective", "against",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="*", choices=[*QUESTIONS, []], metavar="QUESTION")
    parser.add_argument("--runs", type=int, default=11, help="runs of which medians are taken (default 11)")
    parser.add_argument("--raw", help="raw Criteo rows (TSV, gzip allowed), for `objective`")
    parser.add_argument("--clicks", nargs="*", help="hashed Criteo rows (libsvm, gzip allowed), for `filters`")
    parser.add_argument("--against", metavar="COMMIT", help="an earlier commit, for `against`")
    args = parser.parse_args()
    common.inside_venv()
    common.build()
    print(f"{common.machine()}: `benches/run.py {' '.join(sys.argv[1:])}`")
    for question in args.question or QUESTIONS:
        module = importlib.import_module(question.replace("-", "_"))
        print(f"\n**{question}.** {module.__doc__.strip()}")
        with tempfile.TemporaryDirectory() as folder:
            module.measure(folder=folder, runs=args.runs, raw=args.raw, clicks=args.clicks, against=args.against)


if __name__ == "__main__":
    main()
