"""The cluster's long-running processes on the host.

Each carries a marker in its environment, which its children (containerd's shims) inherit: so `down` finds all of them,
and nothing else, without trusting process ids that may have been given to somebody else since.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from e2e.cluster.paths import state_dir
from e2e.cluster.shell import HarnessError

MARKER = "CARNELIAN_LOCAL_CLUSTER"


def spawn(name: str, command: list[str]) -> int:
    """Start a process of the cluster in a session of its own and return its id. Its output goes to `log_file(name)`.

    Raises:
        HarnessError: The program is not installed.
    """
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise HarnessError(f"program {command[0]!r} is not installed (wanted for {name})")
    log = log_file(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, MARKER: name}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # Not subprocess.Popen: these outlive the program that starts them, and Popen objects complain about that.
    return os.posix_spawn(program, command, environment, file_actions=actions, setsid=True)


def log_file(name: str) -> Path:
    """Where a process's output goes."""
    return state_dir() / "log" / f"{name}.log"


def log_tail(name: str, lines: int = 12) -> str:
    """The end of a process's output, for error messages."""
    path = log_file(name)
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no output)"


def pids(name: str | None = None) -> list[int]:
    """Ids of the living processes with that marker; of all of the cluster's when no name is given."""
    wanted = f"{MARKER}=".encode() if name is None else f"{MARKER}={name}\0".encode()
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                variables = (folder / "environ").read_bytes() + b"\0"
            except OSError:
                continue  # it is gone, or nobody of ours
            if variables.startswith(wanted) or b"\0" + wanted in variables:
                found.append(int(folder.name))
    return found


def main_pid(name: str) -> int | None:
    """Id of the process itself, without its children; None when it is not running."""
    return min(pids(name), default=None)


def stop(name: str, seconds: float = 10) -> None:
    """End a process and wait until it is gone: politely, then by force."""
    send(pids(name), signal.SIGTERM)
    if not wait_gone(lambda: pids(name), seconds):
        kill_all(lambda: pids(name), name)


def kill_all(alive: Callable[[], Iterable[int]], what: str, seconds: float = 20) -> None:
    """Kill until nothing is alive.

    Raises:
        HarnessError: Something is still alive after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while left := list(alive()):
        if time.monotonic() > deadline:
            raise HarnessError(f"{what}: processes {left} do not die")
        send(left, signal.SIGKILL)
        time.sleep(0.05)


def wait_gone(alive: Callable[[], Iterable[int]], seconds: float) -> bool:
    """Whether everything was gone within that time."""
    deadline = time.monotonic() + seconds
    while list(alive()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def send(targets: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each; one that is gone already is fine."""
    for pid in targets:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
