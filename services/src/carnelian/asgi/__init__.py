"""Middleware for ASGI applications: Starlette, FastAPI, or none of them."""

from carnelian.asgi._rate_limit import RateLimitMiddleware

__all__ = ["RateLimitMiddleware"]
