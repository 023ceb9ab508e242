"""Asks a limiter before a request reaches the application."""

import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from carnelian.limits import Limiter, Verdict

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
TEMPORARY = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


class RateLimitMiddleware:
    """Answers for the application where the limiter refuses, and adds the `RateLimit` fields to all other responses.

    A refusal is a problem document (RFC 9457): status 429, or 503 if the only reason is that the data plane cannot be
    asked and the policy says Deny.

    Args:
        app: the application behind it.
        limiter: from `Carnelian.limits`.
        attributes: from a request's scope, what to pass to `Limiter.check`: the attributes that the limiter's rules
            name, and `cost` for requests that do not cost 1.
        applies: from a request's scope, whether it is limited at all; without it, every HTTP request is.
    """

    def __init__(
        self,
        app: Application,
        *,
        limiter: Limiter,
        attributes: Callable[[Scope], Mapping[str, Any]],
        applies: Callable[[Scope], bool] | None = None,
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._attributes = attributes
        self._applies = applies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide one request; other protocols (WebSocket, lifespan) pass."""
        if scope["type"] != "http" or (self._applies is not None and not self._applies(scope)):
            await self._app(scope, receive, send)
            return
        verdict = await self._limiter.check(**self._attributes(scope))
        headers = [(name.lower().encode(), value.encode()) for name, value in verdict.headers().items()]
        if not verdict.allowed:
            await _refuse(verdict, headers, send)
            return
        if not headers:
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def problem(verdict: Verdict) -> tuple[int, dict[str, Any]]:
    """The status and the problem document of a refusal."""
    if verdict.degraded:
        return 503, {
            "type": TEMPORARY,
            "title": "Temporarily reduced capacity",
            "status": 503,
            "detail": f"Limit {verdict.limiter!r} cannot be checked at the moment.",
        }
    body: dict[str, Any] = {
        "type": QUOTA_EXCEEDED,
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": f"Rule {verdict.rule!r} of limit {verdict.limiter!r} allows no more at the moment.",
        "violated-policies": [verdict.rule],
    }
    if math.isfinite(verdict.retry_after):
        body["retry_after"] = round(verdict.retry_after, 3)
    return 429, body


async def _refuse(verdict: Verdict, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    status, document = problem(verdict)
    body = msgspec.json.encode(document)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
