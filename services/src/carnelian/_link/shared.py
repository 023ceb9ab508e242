"""Waiting for work that several callers wait for."""

import asyncio
from typing import TypeVar

from carnelian._link.replies import UnreachableError

T = TypeVar("T")


async def outcome(task: asyncio.Task[T], expires: float) -> T:
    """The task's result; a caller that is cancelled or out of time leaves the task running for the others.

    Raises:
        TimeoutError: it was not finished by `expires`.
        UnreachableError: it was given up, since the link is being closed or follows another server.
    """
    await asyncio.wait({task}, timeout=max(0.0, expires - asyncio.get_running_loop().time()))
    if not task.done():
        raise TimeoutError
    if task.cancelled():
        raise UnreachableError("no longer used")
    return task.result()
