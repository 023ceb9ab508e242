"""A small shop: every request is limited by the `api` rule, orders are written durably.

There is no number of any policy in this file: they come from the `RateLimitRule` of that name.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from carnelian import Carnelian, UnavailableError
from carnelian.asgi import RateLimitMiddleware

svc = Carnelian.from_env()
limiter = svc.limits("api")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Connect before the first request, and finish what was accepted before the process ends."""
    async with svc:
        yield


def caller(scope: Scope) -> dict[str, str]:
    """What the rule may tell callers apart by. A real shop takes the user from its session."""
    headers = dict(scope["headers"])
    return {"user": headers.get(b"x-user", b"anonymous").decode("latin-1"), "route": scope["path"]}


async def product(request: Request) -> Response:
    """Count a view and answer with it."""
    sku = request.path_params["sku"]
    views = await svc.execute("INCR", f"shop:views:{sku}")
    return JSONResponse({"sku": sku, "views": views})


async def order(request: Request) -> Response:
    """Accept an order: acknowledged to the customer only once a replica has it too."""
    number = request.path_params["number"]
    try:
        await svc.execute("SET", f"shop:order:{number}", "placed", durability="replicated", deadline=1.0)
    except UnavailableError as error:
        return JSONResponse({"detail": str(error)}, status_code=503)
    return JSONResponse({"order": number}, status_code=201)


async def missing(request: Request) -> Response:
    """Which of the given orders are not there; the demo asks after every fault."""
    numbers = await request.json()
    values = await svc.execute("MGET", *(f"shop:order:{number}" for number in numbers))
    return JSONResponse([number for number, value in zip(numbers, values, strict=True) if value is None])


async def enforced(_: Request) -> Response:
    """Which generation of the rule this process decides by."""
    return JSONResponse({"pod": os.environ.get("POD_NAME", ""), "generation": limiter.generation, **limiter.counts()})


async def health(_: Request) -> Response:
    """Alive; not a statement about the data plane, whose loss must not restart the shop."""
    return JSONResponse({"ok": True})


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/products/{sku}", product),
        Route("/orders/{number}", order, methods=["POST"]),
        Route("/missing-orders", missing, methods=["POST"]),
        Route("/enforced", enforced),
        Route("/healthz", health),
    ],
    middleware=[
        Middleware(
            RateLimitMiddleware,
            limiter=limiter,
            attributes=caller,
            applies=lambda scope: scope["path"].startswith("/products/"),
        )
    ],
)
