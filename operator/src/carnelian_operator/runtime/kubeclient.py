"""The one client for everything that the operator writes, and for the reads that must be fresh.

Requests go through `kubernetes.aio`'s generic `ApiClient`; results stay plain dicts: building typed models would cost
more memory than all the rest of the process. Every call has a timeout, is counted, and is put behind the fence:
a process whose lease may have passed to another writes nothing more.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import structlog
from kubernetes.aio.client import ApiClient, Configuration

from carnelian_operator.runtime import metrics, settling
from carnelian_operator.runtime.api import Kind, KubeError, Object
from carnelian_operator.runtime.events import EventPolicy

FIELD_MANAGER = "carnelian"
EVENT = Kind("events.k8s.io", "v1", "Event", "events")
_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
_PAGE = 500
_BUSY_RETRIES = 3
_log = structlog.get_logger(__name__)


def path_of(kind: Kind, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of a collection or an object; no namespace means cluster-wide or cluster-scoped."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    parts = [root, *(("namespaces", namespace) if namespace else ()), kind.plural, name, subresource]
    return "/".join(part for part in parts if part)


class KubeClient:
    """`runtime.api.Kube` over the real API server.

    Args:
        configuration: from `connection.load`.
        instance: this process's name in the Events it posts.
        timeout: seconds that one call may take, waiting for a busy server included.
        fence: called before each write of a controller; raises `KubeError` when we may not write.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        instance: str = FIELD_MANAGER,
        timeout: float = 15.0,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self.api = ApiClient(configuration)
        self.api.user_agent = "carnelian-operator"
        self._timeout = timeout
        self._fence = fence
        self._events = EventPolicy(instance=instance, clock=time.monotonic)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.api.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See `Kube.get`."""
        try:
            return await self.request("GET", kind, path_of(kind, namespace, name))
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, kind: Kind, namespace: str, label_selector: str = "") -> list[Object]:
        """See `Kube.list`; in pages, so that a large namespace is no spike of memory on the server."""
        selector = [("labelSelector", label_selector)] if label_selector else []
        items: list[Object] = []
        token = ""
        while True:
            query = [("limit", str(_PAGE)), *selector, *([("continue", token)] if token else [])]
            page = await self.request("GET", kind, path_of(kind, namespace), query=query, verb="list")
            # A list leaves out what its items have in common.
            items += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page.get("items") or ()]
            token = page["metadata"].get("continue") or ""
            if not token:
                return items

    async def apply(self, kind: Kind, manifest: Object) -> Object:
        """See `Kube.apply`."""
        self._fence()
        meta = manifest["metadata"]
        path = path_of(kind, meta.get("namespace", ""), meta["name"])
        query = [("fieldManager", FIELD_MANAGER), ("force", "true")]
        applied = await self.request("PATCH", kind, path, query=query, body=manifest, content_type=_APPLY, verb="apply")
        settling.note(kind, meta.get("namespace", ""), meta["name"], applied)
        return applied

    async def create(self, kind: Kind, manifest: Object) -> Object | None:
        """See `Kube.create`."""
        self._fence()
        path = path_of(kind, manifest["metadata"].get("namespace", ""))
        query = [("fieldManager", FIELD_MANAGER)]
        try:
            created = await self.request("POST", kind, path, query=query, body=manifest, verb="create")
        except KubeError as error:
            if error.reason == "AlreadyExists":
                return None
            raise
        meta = created["metadata"]
        settling.note(kind, meta.get("namespace", ""), meta["name"], created)
        return created

    async def patch_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], uid: str) -> None:
        """See `Kube.patch_status`.

        By JSON patch, because its `test` is atomic with the change: a server-side apply of the status sub-resource
        ignores the uid, and would put the status of an object on its successor of the same name.
        """
        self._fence()
        patch: Sequence[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": dict(status)},
        ]
        path = path_of(kind, namespace, name, "status")
        query = [("fieldManager", FIELD_MANAGER)]
        try:
            patched = await self.request(
                "PATCH", kind, path, query=query, body=patch, content_type=_JSON_PATCH, verb="patch-status"
            )
        except KubeError as error:
            # That is all the server says when a test fails; a status that breaks the schema is told apart by its text.
            if error.status == 422 and "error in our request" in error.message:
                raise KubeError(409, "Conflict", f"{path}: the object's uid is not {uid}") from error
            raise
        settling.note(kind, namespace, name, patched)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """See `Kube.delete`; a successor of the same name is left alone: the one that was meant is gone."""
        self._fence()
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        try:
            answer = await self.request("DELETE", kind, path_of(kind, namespace, name), body=options)
            settling.note(kind, namespace, name, answer, deleted_uid=uid)
        except KubeError as error:
            if error.status != 404 and not (error.status == 409 and "uid" in error.message.lower()):
                raise

    async def event(self, regarding: Object, *, reason: str, note: str, action: str, warning: bool = False) -> None:
        """See `Kube.event`; the same event again is one object whose series counts up, at a limited rate."""
        draft = self._events.draft(regarding, reason=reason, note=note, action=action, warning=warning)
        if draft is None:
            return
        namespace, name = draft.manifest["metadata"]["namespace"], draft.manifest["metadata"]["name"]
        try:
            self._fence()
            try:
                path = path_of(EVENT, namespace)
                await self.request("POST", EVENT, path, body=draft.manifest, verb="create")
            except KubeError as error:
                if error.reason != "AlreadyExists":
                    raise
                path = path_of(EVENT, namespace, name)
                await self.request("PATCH", EVENT, path, body={"series": draft.series}, content_type=_MERGE)
        except KubeError as error:
            _log.warning("an event was not posted", reason=reason, name=name, error=str(error))

    async def discover(self, kind: Kind) -> bool:
        """Whether the API server serves this kind now."""
        root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        try:
            listing = await self.request("GET", kind, root, verb="discover")
        except KubeError as error:
            if error.status == 404:
                return False
            raise
        return any(resource["name"] == kind.plural for resource in listing.get("resources") or ())

    async def request(
        self,
        method: str,
        kind: Kind,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Object | Sequence[Object] | None = None,
        content_type: str = "application/json",
        verb: str = "",
    ) -> dict[str, Any]:
        """Make one call, outside of the fence, waiting for a server that says it is busy.

        Args:
            method: of HTTP.
            kind: for the metrics.
            path: from `path_of`.
            query: parameters.
            body: sent as JSON, whatever the content type (YAML is a superset).
            content_type: of the body.
            verb: for the metrics, when it says more than the method.

        Raises:
            KubeError: for every answer from 400 up, and for none at all.
        """
        verb = verb or method.lower()
        code, began = 0, time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                for attempt in range(1, _BUSY_RETRIES + 1):
                    code, data, wait = await self._exchange(method, path, query, body, content_type)
                    if code != 429 or attempt == _BUSY_RETRIES:
                        break
                    metrics.API_CALLS.labels(verb, kind.kind, "429").inc()
                    await asyncio.sleep(wait)
        except TimeoutError as error:
            raise KubeError(0, "Timeout", f"{method} {path} took longer than {self._timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise KubeError(0, "Unreachable", f"{method} {path}: {error!r}") from error
        finally:
            metrics.API_CALLS.labels(verb, kind.kind, str(code or "none")).inc()
            metrics.API_SECONDS.labels(verb).observe(time.perf_counter() - began)
        if code >= 400:
            raise _error(code, data)
        return dict(json.loads(data))

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Object | Sequence[Object] | None,
        content_type: str,
    ) -> tuple[int, bytes, float]:
        prepared = await self.api.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params={"Content-Type": content_type, "Accept": "application/json"},
            body=dict(body) if isinstance(body, Mapping) else body,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=5)
        response = await self.api.call_api(*prepared, _request_timeout=timeout)
        data = await response.read()  # type: ignore[no-untyped-call]
        try:
            wait = max(float(response.headers.get("Retry-After", "1")), 0.1)
        except ValueError:  # a date: allowed by HTTP, not used by Kubernetes
            wait = 1.0
        return response.status, data, wait


def _error(code: int, data: bytes) -> KubeError:
    try:
        status = json.loads(data)
        return KubeError(code, status.get("reason") or "Unknown", status.get("message") or "")
    except (ValueError, AttributeError):
        return KubeError(code, "Unknown", data[:200].decode(errors="replace"))
