"""The project's two commands and their helpers; `./dev` sets the machine up and calls this module.

``./dev demo``  brings a cluster up, installs the chart, runs the shop under load with faults, and cleans up.
``./dev test``  runs every check and all four floors of tests.
``./dev down``  takes away what either of them left on the machine.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

PYTHON = sys.executable


@dataclass(frozen=True)
class Step:
    """One command of the test run."""

    name: str
    command: tuple[str, ...]
    help: str
    needs: str = ""
    """What has to be there first; see `_PREPARE`."""


def _pytest(path: str, *options: str) -> tuple[str, ...]:
    return (PYTHON, "-m", "pytest", "-q", "--durations=8", *options, path)


_TWO_AT_A_TIME = ("--numprocesses=2", "--dist=loadfile")
"""Where tests mostly wait for servers, and have servers of their own."""


STEPS = (
    Step("lint", (PYTHON, "-m", "ruff", "check", "."), "style and common mistakes"),
    Step("format", (PYTHON, "-m", "ruff", "format", "--check", "."), "one layout for all code"),
    Step("types", (PYTHON, "-m", "mypy"), "strict typing"),
    Step("imports", ("lint-imports",), "who may import whom"),
    Step("generated", (PYTHON, "-m", "carnelian_operator.crdgen", "--check"), "CRDs, reference and chart schema fresh"),
    Step("unit", _pytest("tests/unit"), "floor 1: planners, protocols, formats; no I/O", "helm"),
    Step(
        "integration",
        _pytest("tests/integration", *_TWO_AT_A_TIME),
        "floor 2: real Redis and Valkey processes",
        "servers",
    ),
    Step("operator", _pytest("tests/operator", *_TWO_AT_A_TIME), "floor 3: the operator on a real API server", "tools"),
    Step("e2e", _pytest("e2e/scenarios"), "floor 4: everything on the cluster, with faults", "cluster"),
)
_PREPARE = {
    "helm": (PYTHON, "-m", "e2e.cluster", "build", "--tools", "helm"),  # the chart's tests render it
    "servers": (PYTHON, "-m", "e2e.cluster", "build", "--servers"),
    "tools": (PYTHON, "-m", "e2e.cluster", "build", "--tools"),
    "cluster": (PYTHON, "-m", "e2e.cluster", "up"),
}


def _run(name: str, command: Sequence[str]) -> tuple[bool, float]:
    print(f"\n=== {name}: {' '.join(command)}", flush=True)
    started = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    took = time.monotonic() - started
    print(f"=== {name}: {'ok' if code == 0 else f'FAILED (exit {code})'} in {took:.0f} s", flush=True)
    return code == 0, took


def test(names: Sequence[str], *, keep: bool) -> int:
    """Run the named steps (all without names), cheap ones first; a failed step does not hide the next ones' results."""
    from e2e.cluster.provider import is_running  # noqa: PLC0415 - not needed for `--help`

    steps = [step for step in STEPS if not names or step.name in names]
    was_running = is_running()
    prepared: set[str] = set()
    results: list[tuple[str, bool, float]] = []
    for step in steps:
        if step.needs and step.needs not in prepared:
            prepared.add(step.needs)
            ready, took = _run(f"prepare {step.needs}", _PREPARE[step.needs])
            results.append((f"prepare {step.needs}", ready, took))
            if not ready:
                break
        results.append((step.name, *_run(step.name, step.command)))
    if "cluster" in prepared and not was_running and not keep:
        results.append(("down", *_run("down", (PYTHON, "-m", "e2e.cluster", "down"))))
    print("\n" + "\n".join(f"{'ok' if good else 'FAILED':7} {took:6.0f} s  {name}" for name, good, took in results))
    failed = [name for name, good, _ in results if not good]
    print(f"steps: {len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``./dev``."""
    parser = argparse.ArgumentParser(prog="./dev", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    tests = commands.add_parser(
        "test",
        help="run every check and test",
        epilog="steps:\n" + "\n".join(f"  {step.name:12} {step.help}" for step in STEPS),
        formatter_class=argparse.RawTextHelpFormatter,
    )
    tests.add_argument("step", nargs="*", choices=[[], *(step.name for step in STEPS)], help="only these steps")
    tests.add_argument("--keep", action="store_true", help="leave the cluster running afterwards")
    for name, text in (
        ("demo", "show the product at work on a real cluster; --help lists its options"),
        ("cluster", "the local cluster: up, down, status, faults"),
        ("bench", "benchmarks against named peers"),
    ):
        commands.add_parser(name, help=text, add_help=False)
    commands.add_parser("down", help="remove the cluster and everything it left on this machine")
    args, rest = parser.parse_known_args(argv)
    if args.command == "test":
        if rest:
            parser.error(f"unknown arguments: {' '.join(rest)}")
        return test(args.step, keep=args.keep)
    module = ("e2e.cluster", "down") if args.command == "down" else (f"e2e.{args.command}",)
    return subprocess.run((PYTHON, "-m", *module, *rest), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
