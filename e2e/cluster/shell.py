"""Running programs: argument lists, captured output, and errors that show what the program said."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.progress import say


class HarnessError(RuntimeError):
    """Something that the harness needs is missing or failed; the message says what and how to get it."""


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float | None = None,
    stdin: str | None = None,
) -> str:
    """Run a program and return its standard output.

    Args:
        command: Program and arguments.
        cwd: Working directory.
        env: Variables on top of the current environment.
        check: Raise when the program fails.
        timeout: Seconds after which it is killed.
        stdin: Text that the program reads.

    Raises:
        HarnessError: The program is missing, failed (with the end of its output), or took too long.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
        )
    except FileNotFoundError as error:
        raise HarnessError(f"program {words[0]!r} is not installed (wanted for: {' '.join(words)})") from error
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"{' '.join(words)}: not done after {timeout} s") from error
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise HarnessError(f"{' '.join(words)}: exit status {done.returncode}\n{tail}")
    return done.stdout


def succeeds(command: Sequence[str | Path], *, timeout: float = 30) -> bool:
    """Whether the program ran and ended with status 0."""
    try:
        run(command, timeout=timeout)
    except HarnessError:
        return False
    return True


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive file lock; waits for another run and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run holds the lock of {what} ({path}); waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
