"""Runs the real start scripts against real servers, on loopback addresses that stand for hosts.

The scripts know fixed ports and names of hosts, so every server gets an address of its own in 127.0.0.0/8.
"""

import asyncio
import os
import random
import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from carnelian_operator.engines.acl import REPLICATION, sentinel_users
from carnelian_operator.engines.sentinel_conf import SENTINEL_PORT, server_auth_conf
from carnelian_operator.engines.server_conf import DATA_PORT
from e2e.cluster.rootfs import cli_command
from tests.integration.dataplane.users import PASSWORDS, user_lines
from tests.integration.servers import Engine, Server, until
from tests.integration.servers.engine import command

MASTER_NAME = "web.shop.11112222"
SENTINELS = (1, 2, 3)
FENCED = "replicaof 127.0.0.1 1"


@dataclass
class Hosts:
    """An instance's hosts: Sentinels are numbers 1 to 3, data nodes are 11 and up."""

    engine: Engine
    folder: Path
    network: str = field(default_factory=lambda: f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}")
    running: list[Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config, self.credentials, self.run = (self._make(name) for name in ("config", "credentials", "run"))
        self.bin, self.data = self._make("bin"), self._make("data")
        self.arguments = self.folder / "arguments"
        (self.config / "sentinels").write_text("".join(f"{self.host(number)}\n" for number in SENTINELS))
        (self.config / "server.conf").write_text(f"port {DATA_PORT}\n")
        (self.credentials / "server-auth.conf").write_text(server_auth_conf(PASSWORDS[REPLICATION]))
        (self.credentials / "replication-password").write_text(PASSWORDS[REPLICATION])
        self._program("cli", f'exec {shlex.join(cli_command(self.engine))} "$@"')
        self._program("server", 'cat "$1"')

    def host(self, number: int) -> str:
        return f"{self.network}.{number}"

    async def sentinel(self, number: int, names: int, *, detection_ms: int = 60_000) -> Server:
        """A running Sentinel that names that data node."""
        users = [line for line in sentinel_users(PASSWORDS).splitlines() if not line.startswith("user default")]
        lines = [
            *users,
            f"sentinel announce-ip {self.host(number)}",
            f"sentinel monitor {MASTER_NAME} {self.host(names)} {DATA_PORT} 2",
            f"sentinel down-after-milliseconds {MASTER_NAME} {detection_ms}",
        ]
        server = Server(self.engine, self.folder, {"bind": self.host(number)}, lines, sentinel=True)
        return await self._start(server, number, SENTINEL_PORT)

    async def data_node(self, number: int, follows: int | None = None) -> Server:
        """A running data node."""
        config = {"bind": self.host(number), "replica-announce-ip": self.host(number)}
        if follows is not None:
            config["replicaof"] = f"{self.host(follows)} {DATA_PORT}"
        return await self._start(Server(self.engine, self.folder, config, user_lines(self.engine)), number, DATA_PORT)

    def real_server(self) -> None:
        """From now on the scripts become real servers."""
        self._program("server", f'exec {shlex.join(command(self.engine))} "$@"')

    @asynccontextmanager
    async def script(self, name: str, number: int, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The running script of a host; ended at the end."""
        path = files("carnelian_operator.rediscluster") / "scripts" / name
        process = await asyncio.create_subprocess_exec(
            "sh", str(path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "CARNELIAN_PROGRAM": self.engine,
                "CARNELIAN_MODE": "Replication",
                "CARNELIAN_HOST": self.host(number),
                "CARNELIAN_MASTER_NAME": MASTER_NAME,
                "CARNELIAN_CONFIG": str(self.config),
                "CARNELIAN_CREDENTIALS": str(self.credentials),
                "CARNELIAN_RUN": str(self.run),
                "CARNELIAN_DATA": str(self.data),
                **env,
            },
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def decision(self, number: int, **env: str) -> str:
        """What the start script of a data node lets its server start with."""
        async with self.script("start.sh", number, **env) as process, asyncio.timeout(60):
            configuration, said = await process.communicate()
        assert process.returncode == 0, said.decode()
        return configuration.decode()

    def client_of(self, number: int, port: int) -> Server:
        """For calls to a server that a script became."""
        server = Server(self.engine, self.folder)
        server.host, server.port = self.host(number), port
        self.running.append(server)
        return server

    async def aclose(self) -> None:
        for server in self.running:
            await server.stop()

    async def _start(self, server: Server, number: int, port: int) -> Server:
        server.host, server.port = self.host(number), port
        self.running.append(server)
        await server.start()
        return server

    def _make(self, name: str) -> Path:
        made = self.folder / name
        made.mkdir()
        return made

    def _program(self, name: str, does: str) -> None:
        path = self.bin / f"{self.engine}-{name}"
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$*\" >>{shlex.quote(str(self.arguments))}\n{does}\n")
        path.chmod(0o755)


@asynccontextmanager
async def garbage(host: str, answer: bytes) -> AsyncIterator[None]:
    """Something on a Sentinel's port that answers everything alike."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4096):
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(respond, host, SENTINEL_PORT)
    try:
        yield
    finally:
        server.close()


async def knows_all(sentinels: Sequence[Server], replicas: int) -> None:
    """Wait until each Sentinel knows the others and the replicas."""

    async def known() -> bool:
        for sentinel in sentinels:
            others = await sentinel.call("SENTINEL", "SENTINELS", MASTER_NAME)
            found = await sentinel.call("SENTINEL", "REPLICAS", MASTER_NAME)
            if len(others) < len(sentinels) - 1 or len(found) < replicas:
                return False
            for replica in found:
                facts = dict(zip(replica[::2], replica[1::2], strict=True))
                if facts["master-link-status"] != "ok":
                    return False
        return True

    await until(known, what="Sentinels that know everyone")
