"""`Carnelian`: one object that owns every connection and task of the library in a process."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from carnelian._link import Arg, Durability, Link, Topology, connect
from carnelian._policy import files
from carnelian._policy.snapshot import Held, Kinds, Snapshot
from carnelian._policy.watcher import PolicyWatcher
from carnelian._settings import Settings, identity_from_environ, target_from_binding, target_from_url
from carnelian.limits import Limiter
from carnelian.limits._decider import Decider
from carnelian.limits._kind import KIND as LIMITS
from carnelian.limits._kind import RateLimitKind
from carnelian.limits._rules import compile_policy
from carnelian.policies import RateLimitPolicy

KINDS: Kinds = MappingProxyType({LIMITS: RateLimitKind()})


class Carnelian:
    """The services on one instance; make one per process and event loop, and enter it.

    ``async with Carnelian.from_env() as svc: verdict = await svc.limits("api").check(user="ada")``

    Entering does not wait for the data plane: while that is away, a process starts all the same, and keeps working by
    its policies' degraded modes.

    Args:
        url: where the data plane is, see `from_env` for the forms.
        policies: a file or folder of resources, enforced until the data plane delivers policies.
        limits: rate limits by name, in code: for tests and tools, in place of `policies`.

    Raises:
        ConfigurationError: an argument is not usable; the message names it and the remedy.
    """

    def __init__(
        self,
        *,
        url: str,
        policies: str | Path | None = None,
        limits: Mapping[str, RateLimitPolicy] | None = None,
    ) -> None:
        settings = Settings(
            target_from_url(url), Path(policies) if policies else None, identity_from_environ(os.environ)
        )
        self._prepare(settings, limits or {})

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """By environment variables.

        `CARNELIAN_BINDING` (the folder where a pod mounts its binding Secret), else `CARNELIAN_URL`, else the one
        binding of type redis below `SERVICE_BINDING_ROOT`; and `CARNELIAN_POLICIES` for policies in files. A URL is one
        of ``redis://[user:password@]host[:port][/db]``, ``redis+sentinel://[user:password@]host:port,…/master-name``
        and ``redis+cluster://[user:password@]host:port,…``.

        Raises:
            ConfigurationError: names the variable, its value and the remedy.
        """
        return cls._made(Settings.from_environ(environ))

    @classmethod
    def from_binding(cls, path: str | Path, *, policies: str | Path | None = None) -> Self:
        """By a folder in the Service Binding layout.

        Raises:
            ConfigurationError: names the file, its value and the remedy.
        """
        settings = Settings(target_from_binding(Path(path)), identity=identity_from_environ(os.environ))
        return cls._made(replace(settings, policies=Path(policies) if policies else None))

    def limits(self, name: str) -> Limiter:
        """The limiter that the `RateLimitRule` of this name defines; always the same object for a name."""
        limiter = self._limiters.get(name)
        if limiter is None:
            limiter = self._limiters[name] = Limiter(name, self._engine)
        return limiter

    async def execute(
        self, *command: Arg, deadline: float | None = None, durability: Durability | str = Durability.ASYNC
    ) -> Any:
        """Send any command over the same connections: the way out where no service fits.

        Args:
            command: the command and its arguments, such as ``"SET", "greeting", "hello"``.
            deadline: seconds until `DeadlineError`.
            durability: ``"replicated"`` acknowledges a write only when a replica has it too.

        Raises:
            UnavailableError: the data plane did not answer in time.
            DurabilityError: the write was made, but no replica confirmed it in time.
            ServerError: the server refused the command.
        """
        return await self._engine.link.execute(*command, deadline=deadline, durability=Durability(durability))

    async def aclose(self) -> None:
        """Finish what was accepted, take the acknowledgement back, and close every connection."""
        await self._engine.aclose()

    async def __aenter__(self) -> Self:
        self._engine.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @classmethod
    def _made(cls, settings: Settings) -> Self:
        made = cls.__new__(cls)
        made._prepare(settings, {})
        return made

    def _prepare(self, settings: Settings, limits: Mapping[str, RateLimitPolicy]) -> None:
        start = files.load(settings.policies, KINDS) if settings.policies else Snapshot()
        held = {f"{LIMITS}/{name}": Held(None, compile_policy(name, policy)) for name, policy in limits.items()}
        self._engine = Engine(settings, replace(start, held=MappingProxyType({**start.held, **held})))
        self._limiters: dict[str, Limiter] = {}


class Engine:
    """What runs behind a `Carnelian` while it is entered."""

    def __init__(self, settings: Settings, start: Snapshot) -> None:
        self._settings = settings
        self._start = start
        self._running: tuple[Link, Decider, PolicyWatcher] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def link(self) -> Link:
        """The connection to the data plane."""
        return self._entered()[0]

    @property
    def decider(self) -> Decider:
        """Where checks are decided."""
        return self._entered()[1]

    def held(self, field: str) -> Any | None:
        """The policy that is enforced now, by its document's field."""
        snapshot = self._running[2].snapshot if self._running else self._start
        held = snapshot.held.get(field)
        return None if held is None else held.policy

    async def awaited(self, field: str) -> Any:
        """The policy; shortly after the start, waits for it.

        Raises:
            PolicyError: it is not known.
        """
        return await self._entered()[2].awaited(field)

    def start(self) -> None:
        """Open the link and follow the policies; needs a running event loop.

        Raises:
            RuntimeError: it runs already.
        """
        if self._running is not None:
            raise RuntimeError("this Carnelian is entered already; make one per event loop")
        settings = self._settings
        self._loop = asyncio.get_running_loop()
        link = connect(settings.target)
        by_slot = settings.target.topology is Topology.CLUSTER
        decider = Decider(link, deadline=settings.check_seconds, per_slot=by_slot)
        # Made in one process and entered in its forks, each must acknowledge for itself.
        identity = replace(settings.identity, unique=secrets.token_hex(4))
        watcher = PolicyWatcher(link, KINDS, identity, self._start, decider.settle, patience=settings.policy_seconds)
        self._running = link, decider, watcher

    async def aclose(self) -> None:
        """Finish what was accepted and close; closing twice does nothing.

        A caller who gives up waiting has everything ended all the same.
        """
        if self._running is None:
            return
        (link, decider, watcher), self._running = self._entered(), None
        try:
            await decider.settle()
            await watcher.aclose()
        finally:
            watcher.stop()
            await link.aclose()

    def _entered(self) -> tuple[Link, Decider, PolicyWatcher]:
        if self._running is None:
            raise RuntimeError("not connected: use `async with Carnelian.from_env() as svc:`, and this inside it")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("this Carnelian was entered in another event loop; make and enter one in each")
        return self._running
