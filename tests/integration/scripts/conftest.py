from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.scripts.boot import Hosts
from tests.integration.servers import Engine


@pytest.fixture
async def hosts(engine: Engine, tmp_path: Path) -> AsyncIterator[Hosts]:
    made = Hosts(engine, tmp_path)
    try:
        yield made
    finally:
        await made.aclose()
