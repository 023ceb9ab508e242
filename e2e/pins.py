"""Renew the pinned versions in pyproject.toml: resolve afresh, then write what was resolved.

Run ``uv run python -m e2e.pins`` after a dependency was added or to take newer versions, then run the tests.
"""

import re
import subprocess
import sys
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
_BLOCK = re.compile(r"constraint-dependencies = \[\n.*?\]\n", re.DOTALL)


def render(pins: list[str]) -> str:
    """The TOML of the pins, one a line."""
    return "constraint-dependencies = [\n" + "".join(f'    "{pin}",\n' for pin in sorted(pins)) + "]\n"


def resolved() -> list[str]:
    """Every third-party distribution of the workspace at the version that the resolver chose."""
    command = "uv export --no-hashes --no-emit-workspace --no-header --no-annotate --all-groups"
    lines = subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(";")[0].strip() for line in lines if "==" in line]


def main() -> int:
    """Drop the pins, resolve to the newest, pin again."""
    PYPROJECT.write_text(_BLOCK.sub(render([]), PYPROJECT.read_text()))
    subprocess.run(["uv", "lock", "--upgrade"], check=True)
    pins = resolved()
    PYPROJECT.write_text(_BLOCK.sub(render(pins), PYPROJECT.read_text()))
    print(f"{len(pins)} versions pinned in pyproject.toml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
