"""Running contenders in turns."""

import asyncio
import json
import os
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_PATIENCE = 120
"""Seconds for a contender's first answer: its environment may have to be downloaded."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int
    seconds: float
    """Of one measurement of one contender in one round."""


QUICK = Plan(rounds=7, seconds=0.4)
FULL = Plan(rounds=15, seconds=1.5)


class Contender:
    """A process that does what it is asked, one action at a time."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    def here(cls, name: str, module: str, *arguments: str) -> "Contender":
        """A module of `e2e.bench.contenders` in our own environment."""
        return cls(name, [sys.executable, "-m", f"e2e.bench.contenders.{module}", *arguments])

    @classmethod
    def apart(cls, name: str, module: str, packages: Sequence[str], *arguments: str) -> "Contender":
        """The same with nothing but `packages` installed, at the same Python version."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        command = ["uv", "run", "--quiet", "--no-project", "--python", version]
        wanted = [part for package in packages for part in ("--with", package)]
        return cls(name, [*command, *wanted, "python", "-m", f"e2e.bench.contenders.{module}", *arguments])

    @property
    def pid(self) -> int:
        """Process id; of a contender apart, uv's."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> "Contender":
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, cwd=ROOT, stdin=pipe, stdout=pipe)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def ask(self, action: str, **arguments: Any) -> Any:
        """The outcome of an action."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"action": action, **arguments}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE)
        if not line:
            raise RuntimeError(f"contender {self.name} ended: {' '.join(self._command)}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"contender {self.name}, {action}: {answer['error']}")
        return answer["value"]


async def interleaved(
    contenders: Mapping[str, Contender], measure: Callable[[Contender], Awaitable[float]], *, rounds: int
) -> dict[str, float]:
    """The median of each contender; every round asks all of them, each time another one first."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            values[name].append(await measure(contenders[name]))
    return {name: statistics.median(of) for name, of in values.items()}


async def started(stack: AsyncExitStack, contenders: Sequence[Contender]) -> dict[str, Contender]:
    """Start contenders, by name; they end with the stack."""
    return {one.name: await stack.enter_async_context(one) for one in contenders}


def pin(pid: int, cpus: Iterable[int]) -> None:
    """Keep all threads of a process on these processors."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cpus)
