"""The aiohttp session that kopf watches with, and what it tells us about each watch.

Kopf's handlers are told about objects, not about the stream: they cannot know that the first list has ended, that a
list after a gap left an object out, or that nothing has been heard for a minute. All of it can be seen in the HTTP
exchange, so kopf is given a session of ours (its documented way of custom authentication) with a middleware that

- adds the current token to each request,
- reads each page of a list before kopf does, and hands over the complete list when its last page is in,
- notes whenever the API server has answered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient
from yarl import URL

from carnelian_operator.runtime.api import Kind
from carnelian_operator.runtime.kubeclient import path_of

Page = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Watch:
    """One stream: a kind, in one namespace or (empty) in all."""

    kind: Kind
    namespace: str
    heard: float
    """When the API server last gave a sign of life on it, on the loop's clock."""
    synced: bool = False
    """Whether it has been listed completely since the start."""
    pages: list[Mapping[str, Any]] = field(default_factory=list)


def request_url(host: str, watch: Watch) -> str:
    """The address of a watch's requests, as aiohttp writes it.

    A pod is told ``https://10.96.0.1:443``; a URL that is written out leaves its scheme's own port away.
    """
    return str(URL(host.rstrip("/") + path_of(watch.kind, watch.namespace)))


class WatchSession:
    """Makes the sessions (kopf closes one and asks for another when a token is refused).

    Args:
        api: the client whose credentials and TLS settings are used.
        watches: what kopf will watch.
        clock: seconds, monotonic.
        listed: called with a watch, all objects of the list, and the list's resource version.
    """

    def __init__(
        self,
        api: ApiClient,
        watches: Sequence[Watch],
        *,
        clock: Callable[[], float],
        listed: Callable[[Watch, Page, str], None],
    ) -> None:
        self._api = api
        self._clock = clock
        self._listed = listed
        self._opened: list[aiohttp.ClientSession] = []
        host = api.configuration.host
        self._by_url = {request_url(host, watch): watch for watch in watches}

    def open(self) -> aiohttp.ClientSession:
        """A new session. Kopf closes what it was given, unless it ends between asking and taking; see `aclose`."""
        connector = aiohttp.TCPConnector(limit=0, ssl=self._api.rest_client.ssl_context)
        made = aiohttp.ClientSession(connector=connector, middlewares=(self._observe,))
        self._opened = [each for each in self._opened if not each.closed] + [made]
        return made

    async def aclose(self) -> None:
        """Close every session that is still open; only when kopf is gone."""
        for each in self._opened:
            await each.close()
        self._opened.clear()

    async def _observe(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = await self._api.configuration.get_api_key_with_prefix("BearerToken")
        if token:
            request.headers["Authorization"] = token
        response = await handler(request)
        watch = self._by_url.get(str(request.url.with_query(None)))
        if watch is None or response.status >= 400:
            return response
        watch.heard = self._clock()
        if "watch" not in request.url.query:
            # Kopf parses it once more. That costs a moment at start; taking it from kopf's events instead would
            # tell neither the end of the list nor what is missing from it.
            page = await response.json(content_type=None)
            self._turn(watch, page, first="continue" not in request.url.query)
        return response

    def _turn(self, watch: Watch, page: Mapping[str, Any], *, first: bool) -> None:
        if first:
            watch.pages.clear()  # a list that broke off starts again
        watch.pages.extend(page.get("items") or ())
        if not page["metadata"].get("continue"):
            objects, watch.pages = watch.pages, []
            self._listed(watch, objects, page["metadata"].get("resourceVersion", ""))
