"""Which of a cluster's slots a key belongs to."""

from binascii import crc_hqx
from collections.abc import Iterator
from typing import Any, Final

from carnelian._link.api import Arg
from carnelian._link.target import Address

SLOTS: Final = 16384


def slot_of(key: Arg) -> int:
    """The key's slot: CRC16 (XMODEM) of what is between its first braces, else of all of it."""
    raw = key if isinstance(key, bytes) else str(key).encode()
    start = raw.find(b"{")
    if start >= 0:
        end = raw.find(b"}", start + 1)
        if end > start + 1:
            raw = raw[start + 1 : end]
    return crc_hqx(raw, 0) % SLOTS


def ranges(reply: list[Any], asked: Address) -> Iterator[tuple[range, Address]]:
    """The slots and their primaries in a reply to `CLUSTER SLOTS` that `asked` gave."""
    for first, last, primary, *_ in reply:
        host = primary[0].decode() if primary[0] else ""
        yield range(first, last + 1), Address(asked.host if host in ("", "?") else host, primary[1])
