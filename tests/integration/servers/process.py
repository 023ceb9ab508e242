"""One server process."""

import asyncio
import inspect
import random
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from carnelian._link import Target
from tests.integration.servers.engine import Engine, command

HOST = "127.0.0.1"
_BASE = {"save": '""', "appendonly": "no", "enable-debug-command": "local", "repl-diskless-sync-delay": "0"}

_claims: list[socket.socket] = []


async def until(
    condition: Callable[[], Awaitable[object] | object], *, seconds: float = 20, what: str = "the condition"
) -> Any:
    """Wait until `condition` gives something true, and return it. Server errors on the way count as not yet."""
    end = asyncio.get_running_loop().time() + seconds
    error: Exception | None = None
    while asyncio.get_running_loop().time() < end:
        try:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
        except (redis.RedisError, OSError) as now:
            error = now
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}" + (f" (last error: {error})" if error else ""))


def free_port() -> int:
    """A port of loopback that nobody listens on, below those that the kernel gives to outgoing connections.

    It is this process' until it ends: an open UDP socket of the same number keeps other test runs off.
    """
    for _ in range(1000):
        port = random.randrange(12000, 32000)
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind((HOST, port))
            with socket.socket() as sock:
                sock.bind((HOST, port))
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return port
    raise AssertionError("no free port between 12000 and 32000 in 1000 tries")


class Server:
    """A Redis or Valkey process, or a Sentinel, that can be killed and come back."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        config: Mapping[str, str] | None = None,
        lines: Sequence[str] = (),
        *,
        sentinel: bool = False,
    ) -> None:
        """`config` are directives by name; `lines` are whole directives that may repeat, such as ``user …``."""
        self.engine: Engine = engine
        self.host = HOST
        self.port = free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir(parents=True)
        self.sentinel = sentinel
        self._config = ({} if sentinel else _BASE) | dict(config or {})
        self._lines = lines
        self._process: subprocess.Popen[bytes] | None = None
        self._client: redis.asyncio.Redis | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there (perhaps frozen)."""
        return self._process is not None and self._process.poll() is None

    @property
    def target(self) -> Target:
        """For `carnelian._link.connect`."""
        return Target.standalone(self.host, self.port)

    async def start(self) -> None:
        """Run the process and wait until it answers."""
        conf = self.folder / "server.conf"
        if not (self.sentinel and conf.exists()):  # a Sentinel keeps what it learned there
            base = {"port": str(self.port), "bind": HOST, "dir": str(self.folder), "logfile": '"server.log"'}
            directives = base | {"protected-mode": "no"} | self._config
            conf.write_text("\n".join([*(f"{key} {value}" for key, value in directives.items()), *self._lines, ""]))
        arguments = [str(conf), *(["--sentinel"] if self.sentinel else [])]
        self._process = subprocess.Popen([*command(self.engine), *arguments], stdout=subprocess.DEVNULL)
        try:
            await until(self._answers, what=f"{self.engine} on port {self.port} answers")
        except AssertionError as error:
            log = self.folder / "server.log"
            raise AssertionError(f"{error}\n{log.read_text() if log.exists() else 'it wrote no log'}") from None

    def kill(self) -> None:
        """End the process without notice."""
        if self._process is not None and self.running:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop the process: its connections stay, and it answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        """End the process and the test's own connection to it."""
        self.kill()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def call(self, *args: str | bytes | float) -> Any:
        """Send a command on the test's own connection; replies have the shape of RESP2."""
        if self._client is None:
            password = self._config.get("requirepass")
            self._client = redis.asyncio.Redis(
                host=self.host, port=self.port, password=password, protocol=2, max_connections=1, client_name="test",
                socket_timeout=3, socket_connect_timeout=3, retry=Retry(NoBackoff(), 0), decode_responses=True,
            )  # fmt: skip
            self._client.response_callbacks.clear()
        return await self._client.execute_command(*args)  # type: ignore[no-untyped-call]

    async def info(self, section: str = "everything") -> dict[str, str]:
        """The fields of `INFO`."""
        text: str = await self.call("INFO", section)
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    async def clients(self, name: str) -> list[str]:
        """The lines of `CLIENT LIST` for connections of that client name."""
        lines: str = await self.call("CLIENT", "LIST")
        return [line for line in lines.splitlines() if f" name={name} " in line]

    async def _answers(self) -> bool:
        if not self.running:
            raise AssertionError("the process ended at once")
        return bool(await self.call("PING") == "PONG")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@asynccontextmanager
async def standalone(
    engine: Engine, config: Mapping[str, str] | None = None, lines: Sequence[str] = ()
) -> AsyncIterator[Server]:
    """One server, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="carnelian-") as folder:
        server = Server(engine, Path(folder), config, lines)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
