"""Publishes policies as the contract says, without an operator."""

from collections.abc import Mapping
from typing import Any

import msgspec

from carnelian.policies import wire
from tests.integration.servers import Server


async def publish(
    server: Server, bodies: Mapping[str, dict[str, Any] | bytes], *, epoch: int, generation: int = 1
) -> None:
    """Put the given policies (body by ``Kind/name``; bytes as they are) in place of all others, and announce it."""
    fields: list[str | bytes] = [wire.EPOCH_FIELD, str(epoch)]
    for field, body in bodies.items():
        fields += [field, body if isinstance(body, bytes) else encoded(field, body, epoch, generation)]
    script = (
        "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], unpack(ARGV)) redis.call('PUBLISH', KEYS[2], ARGV[2])"
    )
    await server.call("EVAL", script, 2, wire.DOCUMENTS, wire.CHANGED, *fields)


def encoded(field: str, body: dict[str, Any], epoch: int, generation: int) -> bytes:
    """A document as it is stored."""
    kind, _, name = field.partition("/")
    return msgspec.json.encode(
        wire.Document(
            schema=wire.SCHEMA,
            kind=kind,
            name=name,
            generation=generation,
            epoch=epoch,
            hash=wire.content_hash(body),
            body=body,
        )
    )


async def acknowledged(server: Server) -> dict[str, wire.Acknowledgement]:
    """Acknowledgements by client id."""
    flat = await server.call("HGETALL", wire.CLIENTS)
    decoded = (msgspec.json.decode(text, type=wire.Acknowledgement) for text in flat[1::2])
    return dict(zip(flat[::2], decoded, strict=True))


def rule(limit: int = 5, **fields: Any) -> dict[str, Any]:
    """A body with one rule."""
    return {"rules": [{"name": "all", "limit": limit} | fields]}


def url(server: Server) -> str:
    """For `Carnelian`."""
    return f"redis://{server.host}:{server.port}"
