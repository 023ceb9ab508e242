"""The first steps in the documentation work as they are written."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.integration.policy.publishing import url
from tests.integration.servers import Server

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[3] / "docs/library/getting-started.md"


def block(language: str) -> str:
    """The page's first block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_first_steps(server: Server, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(block("yaml"))
    (tmp_path / "check.py").write_text(block("python"))
    environ = os.environ | {"CARNELIAN_URL": url(server), "CARNELIAN_POLICIES": "rules.yaml"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "check.py", cwd=tmp_path, env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert re.sub(r"1(799|800)\.\d{3} s", "1800.000 s", output.decode()) == block("text")
