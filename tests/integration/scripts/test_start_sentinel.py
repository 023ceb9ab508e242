"""What a Sentinel starts with: `start-sentinel.sh`, becoming a real one."""

import hashlib
import stat

import pytest

from carnelian_operator.engines.acl import SENTINEL
from carnelian_operator.engines.sentinel_conf import SENTINEL_FOLDER, SENTINEL_PORT, sentinel_auth_conf, sentinel_conf
from tests.integration.dataplane.users import PASSWORDS
from tests.integration.scripts.boot import MASTER_NAME, Hosts
from tests.integration.servers import until

pytestmark = pytest.mark.integration
UID = "11112222-3333-4444-5555-666677778888"


async def test_a_sentinel_has_one_identity_and_remembers_what_it_was_told(hosts: Hosts) -> None:
    rules = [line for line in sentinel_conf().splitlines() if not line.startswith("aclfile")]
    conf = "\n".join([*rules, f"bind {hosts.host(1)}", ""]).replace(f"dir {SENTINEL_FOLDER}", f"dir {hosts.data}")
    (hosts.config / "sentinel.conf").write_text(conf)
    (hosts.credentials / "sentinel-auth.conf").write_text(sentinel_auth_conf(PASSWORDS[SENTINEL]))
    hosts.real_server()
    identity = hashlib.sha1(f"{UID}/{hosts.host(1)}".encode(), usedforsecurity=False).hexdigest()
    client = hosts.client_of(1, SENTINEL_PORT)

    async def answers() -> bool:
        return bool(await client.call("SENTINEL", "MYID") == identity)

    async with hosts.script("start-sentinel.sh", 1, CARNELIAN_UID=UID):
        await until(answers, what="a Sentinel with its own identity")
        assert await client.call("SENTINEL", "MASTERS") == []
        await client.call("SENTINEL", "MONITOR", MASTER_NAME, hosts.host(11), 6379, 2)
    state = hosts.data / "sentinel.conf"
    assert stat.S_IMODE(state.stat().st_mode) & 0o077 == 0
    # The identity does not follow from the environment any more once it is written down.
    async with hosts.script("start-sentinel.sh", 1, CARNELIAN_UID="another"):
        await until(answers, what="the same Sentinel")
        named = await client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME)
        assert named == [hosts.host(11), "6379"]
    assert not any(password in hosts.arguments.read_text() for password in PASSWORDS.values())
