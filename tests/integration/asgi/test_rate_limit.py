"""The middleware in front of a Starlette application, on a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from carnelian import Carnelian
from carnelian.asgi import RateLimitMiddleware
from carnelian.policies import RateLimitPolicy
from tests.integration.policy.publishing import url
from tests.integration.servers import Server

pytestmark = pytest.mark.integration


def policy(**fields: Any) -> RateLimitPolicy:
    rule = {"name": "per-user", "limit": 2, "period": "1m", "key": ["user"], "algorithm": "FixedWindow"}
    return RateLimitPolicy.model_validate({"rules": [rule]} | fields)


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello", headers={"x-own": "1"})


async def stream(_: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        for part in "abc":
            yield part

    return StreamingResponse(parts())


def caller(scope: Any) -> dict[str, Any]:
    headers = dict(scope["headers"])
    return {"user": headers.get(b"x-user", b"").decode("latin-1"), "cost": int(headers.get(b"x-cost", b"1"))}


def application(svc: Carnelian) -> Starlette:
    routes = [Route("/", hello), Route("/stream", stream), Route("/health", hello)]
    app = Starlette(routes=routes)
    app.add_middleware(
        RateLimitMiddleware,
        limiter=svc.limits("api"),
        attributes=caller,
        applies=lambda scope: scope["path"] != "/health",
    )
    return app


@asynccontextmanager
async def client(svc: Carnelian) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(svc))
    async with svc, httpx.AsyncClient(transport=transport, base_url="http://shop") as made:
        yield made


async def test_allowed_requests_pass_with_what_is_left(server: Server) -> None:
    async with client(Carnelian(url=url(server), limits={"api": policy()})) as http:
        response = await http.get("/", headers={"x-user": "ada"})
        assert (response.status_code, response.text, response.headers["x-own"]) == (200, "hello", "1")
        assert response.headers["RateLimit-Policy"] == '"per-user";q=2;w=60'
        assert response.headers["RateLimit"].startswith('"per-user";r=1;t=')
        assert "Retry-After" not in response.headers
        streamed = await http.get("/stream", headers={"x-user": "ada"})
        assert (streamed.text, streamed.headers["RateLimit"][:15]) == ("abc", '"per-user";r=0;')


async def test_a_refusal_is_a_problem_document(server: Server) -> None:
    async with client(Carnelian(url=url(server), limits={"api": policy()})) as http:
        assert (await http.get("/", headers={"x-user": "ada", "x-cost": "2"})).status_code == 200
        response = await http.get("/", headers={"x-user": "ada"})
        assert response.status_code == 429
        assert response.headers["content-type"] == "application/problem+json"
        assert 0 < int(response.headers["Retry-After"]) <= 60
        assert response.headers["RateLimit"] == f'"per-user";r=0;t={response.headers["Retry-After"]}'
        problem = response.json()
        assert 0 < problem.pop("retry_after") <= 60
        assert problem == {
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429,
            "detail": "Rule 'per-user' of limit 'api' allows no more at the moment.",
            "violated-policies": ["per-user"],
        }
        assert (await http.get("/", headers={"x-user": "bob"})).status_code == 200


async def test_what_is_not_limited_passes_untouched(server: Server) -> None:
    async with client(Carnelian(url=url(server), limits={"api": policy()})) as http:
        for _ in range(5):
            response = await http.get("/health")
            assert (response.status_code, "RateLimit" in response.headers) == (200, False)


@pytest.mark.parametrize(("answer", "status"), [("Allow", 200), ("Deny", 503)])
async def test_without_a_data_plane_the_policy_answers(server: Server, answer: str, status: int) -> None:
    server.kill()
    async with client(Carnelian(url=url(server), limits={"api": policy(onUnavailable=answer)})) as http:
        response = await http.get("/", headers={"x-user": "ada"})
        assert (response.status_code, "RateLimit" in response.headers) == (status, False)
        if status == 503:
            assert response.headers["Retry-After"] == "1"
            assert response.json()["title"] == "Temporarily reduced capacity"


@pytest.mark.parametrize("protocol", ["websocket", "lifespan"])
async def test_other_protocols_pass(protocol: str) -> None:
    passed: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        passed.append(scope["type"])

    svc = Carnelian(url="redis://127.0.0.1:1", limits={"api": policy(onUnavailable="Deny")})
    middleware = RateLimitMiddleware(app, limiter=svc.limits("api"), attributes=caller)
    await middleware({"type": protocol}, None, None)  # type: ignore[arg-type]  # nobody may touch them
    assert passed == [protocol]
