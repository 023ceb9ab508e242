"""The command `python -m carnelian_operator.crdgen`."""

import argparse
import sys
from pathlib import Path

from carnelian_operator.crdgen.outputs import stale, write

_CHECKOUT = Path(__file__).resolve().parents[4]


def main() -> int:
    """Write the generated files, or with ``--check`` only compare; 1 when any of them is stale."""
    parser = argparse.ArgumentParser("python -m carnelian_operator.crdgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; name what is stale and exit with 1")
    parser.add_argument("--root", type=Path, default=_CHECKOUT, help="the checkout (default: this one)")
    args = parser.parse_args()
    if not (args.root / "crds").is_dir():
        sys.stderr.write(f"{args.root} is not a checkout of Carnelian: it has no folder crds; say where with --root\n")
        return 2
    if args.check:
        found = stale(args.root)
        for path in found:
            sys.stderr.write(f"stale: {path}\n")
        if found:
            sys.stderr.write("run `uv run python -m carnelian_operator.crdgen` and commit what it writes\n")
        return 1 if found else 0
    for path in write(args.root):
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
