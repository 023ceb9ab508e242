"""Waiting for something to become true."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(what: str, holds: Callable[[], Awaitable[bool] | bool], seconds: float = 15.0) -> None:
    """Return once it holds; fail with its name when it does not within the time."""
    deadline = time.monotonic() + seconds
    while True:
        outcome = holds()
        if await outcome if isinstance(outcome, Awaitable) else outcome:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.05)
