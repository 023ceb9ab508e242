"""Where commands go, and which may be repeated."""

import pytest

from carnelian._link.commands import first_key, may_repeat, name_of
from carnelian._link.slots import ranges, slot_of
from carnelian._link.target import Address

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("123456789", 12739),  # 0x31C3, the reference value of the specification
        ("foo", 12182),
        (b"foo", 12182),
        ("{foo}.bar", 12182),
        ("x{foo}{bar}", 12182),
        ("{}foo", slot_of(b"{}foo")),
        ("", 0),
        (7, slot_of("7")),
    ],
)
def test_slots_follow_the_specification(key: str | bytes | int, slot: int) -> None:
    assert slot_of(key) == slot


def test_empty_braces_are_no_tag() -> None:
    assert slot_of("{}a") != slot_of("{}b")
    assert slot_of("{a") != slot_of("{b")


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "k"), "k"),
        ((b"get", b"k"), b"k"),
        (("EVALSHA", "sha", 2, "a", "b", "c"), "a"),
        (("EVAL", "return 1", 0, "x"), None),
        (("FCALL", "f", b"0"), None),
        (("XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "STREAMS", "s", ">"), "s"),
        (("xread", "block", 0, "streams", "s", "$"), "s"),
        (("BLMPOP", 1, 2, "a", "b", "LEFT"), "a"),
        (("SINTERCARD", 2, "a", "b"), "a"),
        (("OBJECT", "ENCODING", "k"), "k"),
        (("XGROUP", "CREATE", "s", "g", "$"), "s"),
        (("BITOP", "AND", "d", "a"), "d"),
        (("PING",), None),
        (("SCRIPT", "LOAD", "x"), None),
        (("PUBLISH", "channel", "x"), None),
    ],
)
def test_first_key(command: tuple[str | bytes | int, ...], key: str | bytes | None) -> None:
    assert first_key(name_of(command), command) == key


def test_a_command_that_is_not_known_is_said_to_be() -> None:
    with pytest.raises(KeyError):
        first_key("TS.ADD", ("TS.ADD", "k", 1))


def test_only_reads_may_be_repeated() -> None:
    assert may_repeat("GET")
    assert not any(may_repeat(name) for name in ("SET", "INCR", "EVALSHA", "EVAL", "LPOP", "PUBLISH", "CONFIG"))


def test_a_node_that_does_not_know_its_own_name_is_the_one_that_was_asked() -> None:
    asked = Address("10.0.0.1", 7000)
    reply = [[0, 1, [b"", 7000, b"id"], [b"10.0.0.9", 7000, b"id"]], [2, 3, [b"node-2", 7001, b"id", []]]]
    assert list(ranges(reply, asked)) == [(range(2), asked), (range(2, 4), Address("node-2", 7001))]
