"""A proxy in front of the API server that counts what is written and does what networks and servers do on bad days.

Plain HTTP on one side, the kubeconfig's address and credentials on the other. It answers three questions of the tests:
which writes did the operator make (`writes`), what happens when it dies before or after the Nth of them (`crash_at`),
and what happens when the API server fails it (`inject`, `freeze`, `down`).

    with serve(kubeconfig) as proxy:
        start_operator(env={"KUBECONFIG": str(proxy.kubeconfig)})
        proxy.crash_at(3, "after", operator.kill)

All methods may be called from any thread.
"""

import asyncio
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
import yaml
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config
from yarl import URL

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DROPPED = frozenset({
    "host", "authorization", "connection", "content-length", "transfer-encoding", "accept-encoding", "keep-alive",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a matcher sees it."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes

    @property
    def mutating(self) -> bool:
        """Whether it asks for a change."""
        return self.method in MUTATING

    @property
    def watch(self) -> bool:
        """Whether it opens a stream of events."""
        return self.query.get("watch") in {"true", "1"}

    @property
    def plural(self) -> str:
        """The resource that the path is about, such as ``configmaps``."""
        parts = self.path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        if parts[:1] == ["namespaces"] and len(parts) > 2:
            parts = parts[2:]
        return parts[0] if parts else ""


@dataclass(frozen=True, slots=True)
class Write:
    """A mutating request that went through; numbers count from 1."""

    number: int
    method: str
    path: str
    status: int


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests that match.

    Attributes:
        matches: which.
        status: the answer, without asking the server; 0 means none at all: the connection is closed.
        event: with status 200, the one event of a watch, after which the stream ends.
        committed: with status 0, the server does carry the request out before.
        delay: seconds before anything else.
        headers: of the answer.
        times: how often.
    """

    matches: Callable[[Call], bool]
    status: int = 0
    event: dict[str, object] | None = None
    committed: bool = False
    delay: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True, slots=True)
class _Crash:
    number: int
    when: Literal["before", "after"]
    kill: Callable[[], object]


class FaultProxy:
    """See the module; make one with `serve`.

    Args:
        upstream: kubeconfig of the real API server.
        folder: for the kubeconfig that points at the proxy.
        host: address to listen on.
        counted: which mutating requests get a number.
    """

    def __init__(self, upstream: Path, folder: Path, host: str, counted: Callable[[Call], bool]) -> None:
        self.kubeconfig = folder / "proxy.kubeconfig"
        self.url = ""
        self.writes: list[Write] = []
        self.calls: list[Call] = []
        self._upstream = upstream
        self._host = host
        self._counted = counted
        self._number = 0
        self._crash: _Crash | None = None
        self._faults: list[Fault] = []
        self._streams: set[asyncio.Transport] = set()
        self._flow = asyncio.Event()
        self._frozen: Callable[[Call], bool] = lambda _: False
        self._up = True
        self._loop = asyncio.get_running_loop()

    def crash_at(self, number: int, when: Literal["before", "after"], kill: Callable[[], object]) -> None:
        """Call `kill` once, before write `number` reaches the server or after it is stored; nobody gets an answer."""
        self._crash = _Crash(number, when, kill)

    def reset(self) -> None:
        """Forget all writes and calls, count from 1 again, and take back the crash and all faults."""
        self.writes, self.calls, self._number, self._crash, self._faults = [], [], 0, None, []

    def inject(self, fault: Fault) -> None:
        """Let the requests fail that match, after the faults that were injected before."""
        self._faults.append(fault)

    def freeze(self, which: Callable[[Call], bool] = lambda call: call.watch) -> None:
        """Let no byte through any more for such requests, open or new, and close nothing: a link that went dead."""
        self._loop.call_soon_threadsafe(self._hold, which)

    def thaw(self) -> None:
        """End `freeze`. What was held back flows."""
        self._loop.call_soon_threadsafe(self._hold, lambda _: False)
        self._loop.call_soon_threadsafe(self._flow.set)

    def down(self) -> None:
        """Cut all connections and refuse new ones, as an API server does that is being restarted."""
        self._up = False
        self._loop.call_soon_threadsafe(self._cut)

    def up(self) -> None:
        """End `down`."""
        self._up = True

    async def run(self, started: Callable[[], None], stop: asyncio.Event) -> None:
        """Serve until `stop`."""
        configuration = Configuration()
        await load_kube_config(config_file=str(self._upstream), client_configuration=configuration)  # type: ignore[no-untyped-call]
        api = ApiClient(configuration)
        self._server = configuration.host.rstrip("/")
        self._headers = {}
        if token := await configuration.get_api_key_with_prefix("BearerToken"):
            self._headers["Authorization"] = token
        self._flow.set()
        sockets: list[socket.socket] = []

        def make_socket(address: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, _ = address
            made = socket.socket(family, kind, protocol)
            made.setblocking(False)
            sockets.append(made)
            return made

        connector = aiohttp.TCPConnector(limit=0, ssl=api.rest_client.ssl_context, socket_factory=make_socket)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        ) as self._session:
            app = web.Application(client_max_size=64 * 2**20)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)
            await runner.setup()
            try:
                await web.TCPSite(runner, self._host, 0).start()
                self.url = f"http://{self._host}:{runner.addresses[0][1]}"
                self._write_kubeconfig()
                started()
                await stop.wait()
            finally:
                self._flow.set()
                await runner.cleanup()
        # A TLS connection that was cut off in mid-answer says good-bye first; the loop must not end before it has.
        async with asyncio.timeout(30):
            while any(each.fileno() != -1 for each in sockets):
                await asyncio.sleep(0.01)
        await api.close()  # type: ignore[no-untyped-call]

    def _write_kubeconfig(self) -> None:
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
                    "users": [{"name": "proxy", "user": {}}],
                    "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
                    "current-context": "proxy",
                }
            )
        )

    def _hold(self, which: Callable[[Call], bool]) -> None:
        self._frozen = which
        self._flow.clear()

    def _cut(self) -> None:
        for transport in list(self._streams):
            transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        if not self._up:
            transport.abort()
            return web.Response()
        self._streams.add(transport)
        try:
            return await self._answer(request, transport)
        finally:
            self._streams.discard(transport)

    async def _answer(self, request: web.Request, transport: asyncio.Transport) -> web.StreamResponse:
        call = Call(request.method, request.path, dict(request.query), await request.read())
        self.calls.append(call)
        fault = next((fault for fault in self._faults if fault.times > 0 and fault.matches(call)), None)
        if fault is not None:
            fault.times -= 1
            await asyncio.sleep(fault.delay)
            if fault.status:
                return _status(fault)
            if not fault.committed:
                return _hang_up(transport)
        await self._passage(call)
        number = self._count(call)
        crash = self._crash if self._crash is not None and self._crash.number == number else None
        if crash is not None:
            self._crash = None
            if crash.when == "before":
                crash.kill()
                return _hang_up(transport)
        url = URL(self._server + request.raw_path, encoded=True)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _DROPPED}
        async with self._session.request(
            request.method, url, data=call.body or None, headers={**headers, **self._headers}
        ) as upstream:
            if call.watch and upstream.status == 200:
                return await self._stream(request, call, upstream)
            data = await upstream.read()
        if number is not None:
            self.writes.append(Write(number, call.method, call.path, upstream.status))
        if crash is not None:
            crash.kill()
        if crash is not None or fault is not None:
            return _hang_up(transport)
        await self._passage(call)
        kept = {key: upstream.headers[key] for key in ("Content-Type", "Retry-After") if key in upstream.headers}
        return web.Response(body=data, status=upstream.status, headers=kept)

    async def _stream(self, request: web.Request, call: Call, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": upstream.headers["Content-Type"]})
        await response.prepare(request)
        with suppress(aiohttp.ClientError, ConnectionError):
            async for chunk in upstream.content.iter_any():
                await self._passage(call)
                await response.write(chunk)
            await self._passage(call)
            await response.write_eof()
        return response

    async def _passage(self, call: Call) -> None:
        while self._frozen(call):
            await self._flow.wait()

    def _count(self, call: Call) -> int | None:
        if not call.mutating or not self._counted(call):
            return None
        self._number += 1
        return self._number


def _hang_up(transport: asyncio.Transport) -> web.Response:
    transport.abort()
    return web.Response()


def _status(fault: Fault) -> web.Response:
    reasons = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}
    body = fault.event or {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": fault.status,
        "reason": reasons.get(fault.status, "Unknown"),
        "message": "injected",
    }
    headers = {"Content-Type": "application/json", **fault.headers}
    return web.Response(body=json.dumps(body).encode(), status=fault.status, headers=headers)


def is_business(call: Call) -> bool:
    """Not an Event and not a Lease: those are written at any time and say nothing about what was reconciled."""
    return call.plural not in {"events", "leases"}


@contextmanager
def serve(
    upstream: Path, *, host: str = "127.0.0.1", counted: Callable[[Call], bool] = is_business
) -> Iterator[FaultProxy]:
    """A proxy in a thread of its own, as long as the block runs."""
    ready = threading.Event()
    box: list[FaultProxy] = []
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main(folder: Path) -> None:
        proxy, stop = FaultProxy(upstream, folder, host, counted), asyncio.Event()
        box.append(proxy)
        ends.append((asyncio.get_running_loop(), stop))
        await proxy.run(ready.set, stop)

    with tempfile.TemporaryDirectory(prefix="carnelian-proxy-") as name:
        thread = threading.Thread(target=lambda: asyncio.run(main(Path(name))), name="proxy", daemon=True)
        thread.start()
        if not ready.wait(10):
            raise RuntimeError(f"the proxy did not start in front of {upstream}")
        try:
            yield box[0]
        finally:
            loop, stop = ends[0]
            loop.call_soon_threadsafe(stop.set)
            thread.join(40)
