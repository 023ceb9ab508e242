"""Progress lines on standard error, so that standard output stays clean for what a command prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_started = time.monotonic()


def say(text: str) -> None:
    """Print one line with the seconds since the program began."""
    print(f"[{time.monotonic() - _started:6.1f}s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce what begins, and say how long it took."""
    say(f"{text} …")
    begin = time.monotonic()
    yield
    say(f"{text}: {time.monotonic() - begin:.1f}s")
