"""Fixtures that run real servers; see `tests.integration.servers`."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.servers import ENGINES, Cluster, Engine, Replication, Server, replication, sharded, standalone


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    value: Engine = request.param
    return value


@pytest.fixture
async def server(engine: Engine) -> AsyncIterator[Server]:
    async with standalone(engine) as one:
        yield one


@pytest.fixture(name="replication")
async def _replication(engine: Engine) -> AsyncIterator[Replication]:
    async with replication(engine) as group:
        yield group


@pytest.fixture
async def cluster(engine: Engine) -> AsyncIterator[Cluster]:
    async with sharded(engine) as whole:
        yield whole
