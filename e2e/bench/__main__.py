"""Command line of the benchmarks: ``python -m e2e.bench NAME [--quick] [--json]``."""

import argparse
import asyncio
import importlib
import sys
from typing import Protocol, cast

from e2e.bench.harness import FULL, QUICK, Plan
from e2e.bench.report import Report

BENCHES = ("link", "limiter")
"""Modules of `e2e.bench`, each with ``async def run(plan: Plan) -> Report``."""


def main() -> int:
    """Run one benchmark; the exit code says whether its bars hold."""
    parser = argparse.ArgumentParser(prog="python -m e2e.bench", description="Measure Carnelian beside its peers.")
    parser.add_argument("name", nargs="?", choices=BENCHES, help="which one")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: at most 50 seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    options = parser.parse_args()
    if options.list:
        for name in BENCHES:
            print(f"{name:12}{_module(name).__doc__.splitlines()[0]}")
        return 0
    if options.name is None:
        parser.error(f"say which benchmark to run: {', '.join(BENCHES)}")
    report = asyncio.run(_module(options.name).run(QUICK if options.quick else FULL))
    print(report.as_text(), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(report.as_json())
    return 0 if report.holds else 1


class Bench(Protocol):
    """What a module of `BENCHES` has."""

    __doc__: str

    async def run(self, plan: Plan) -> Report:
        """Measure."""
        ...


def _module(name: str) -> Bench:
    return cast("Bench", importlib.import_module(f"e2e.bench.{name}"))


if __name__ == "__main__":
    sys.exit(main())
