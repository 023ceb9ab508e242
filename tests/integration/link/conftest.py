"""Links that are closed at the end of a test."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from carnelian._link import Link, Target, connect

Connect = Callable[[Target], Link]


@pytest.fixture(name="connect")
async def _connect() -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        def make(target: Target) -> Link:
            link = connect(target)
            stack.push_async_callback(link.aclose)
            return link

        yield make
