"""One connection: batches, order, deadlines, back-pressure. The transport records instead of sending."""

import asyncio
from typing import Any

import pytest

from carnelian._link.pack import pack
from carnelian._link.replies import ExpiredError, LostError, ReplyError
from carnelian._link.target import Address, Timing
from carnelian._link.wire import Wire

pytestmark = pytest.mark.unit
SOON = 60.0


class Recorder(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


def make(**timing: float) -> tuple[Wire, Recorder]:
    wire, transport = Wire(Address("h", 1), Timing(**timing)), Recorder()
    wire.connection_made(transport)
    return wire, transport


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_commands_of_one_tick_leave_in_one_write() -> None:
    wire, transport = make()
    first = [wire.send(pack(("GET", str(i))), now() + SOON) for i in range(3)]
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [b"".join(pack(("GET", str(i))) for i in range(3))]
    wire.send(pack(("PING",)), now() + SOON)
    await asyncio.sleep(0)
    assert len(transport.writes) == 2
    wire.data_received(b"+a\r\n+b\r\n")
    wire.data_received(b"+c\r\n+PONG\r\n")
    assert await asyncio.gather(*first) == [b"a", b"b", b"c"]
    wire.abort("end")


async def test_replies_in_pieces_reach_the_right_callers() -> None:
    wire, _ = make()
    replies = [wire.send(pack(("GET", "k")), now() + SOON) for _ in range(3)]
    await asyncio.sleep(0)
    for byte in b"$3\r\nabc\r\n-ERR no\r\n%1\r\n+k\r\n:1\r\n":
        wire.data_received(bytes([byte]))
    assert await replies[0] == b"abc"
    with pytest.raises(ReplyError, match="ERR no"):
        await replies[1]
    assert await replies[2] == {b"k": 1}
    wire.abort("end")


async def test_a_cancelled_caller_only_leaves_its_place() -> None:
    wire, transport = make()
    one, two = (wire.send(pack(("GET", "k")), now() + SOON) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    wire.data_received(b"+for-one\r\n+for-two\r\n")
    assert await two == b"for-two"
    assert not transport.aborted
    wire.abort("end")


async def test_what_is_given_up_before_it_was_sent_is_not_sent() -> None:
    wire, transport = make()
    wire.send(pack(("DEL", "k")), now() + SOON).cancel()
    kept = wire.send(pack(("GET", "k")), now() + SOON)
    await asyncio.sleep(0)
    assert transport.writes == [pack(("GET", "k"))]
    wire.data_received(b"_\r\n")
    assert await kept is None
    wire.abort("end")


async def test_each_call_has_its_own_deadline_and_the_connection_stays() -> None:
    wire, transport = make()
    slow, quick = wire.send(pack(("A",)), now() + SOON), wire.send(pack(("B",)), now() + 0.01)
    quicker = wire.send(pack(("C",)), now() + 0.005)
    for reply in (quick, quicker):
        with pytest.raises(ExpiredError):
            await reply
    assert not slow.done()
    wire.data_received(b"+a\r\n+b\r\n+c\r\n")
    assert await slow == b"a"
    assert not transport.aborted
    wire.abort("end")


async def test_a_full_socket_keeps_commands_back_and_they_count_as_not_sent() -> None:
    wire, transport = make()
    sent = wire.send(pack(("SET", "k", 1)), now() + SOON)
    await asyncio.sleep(0)
    wire.pause_writing()
    held = wire.send(pack(("SET", "k", 2)), now() + SOON)
    await asyncio.sleep(0)
    assert len(transport.writes) == 1
    wire.connection_lost(None)
    for reply, was_sent in ((sent, True), (held, False)):
        with pytest.raises(LostError) as error:
            await reply
        assert error.value.sent is was_sent
    with pytest.raises(LostError):
        await wire.send(pack(("PING",)), now() + SOON)


async def test_a_full_socket_that_drains_sends_what_was_kept() -> None:
    wire, transport = make()
    wire.pause_writing()
    reply = wire.send(pack(("PING",)), now() + SOON)
    await asyncio.sleep(0)
    wire.resume_writing()
    assert transport.writes == [pack(("PING",))]
    wire.data_received(b"+PONG\r\n")
    assert await reply == b"PONG"
    wire.abort("end")


async def test_silence_ends_a_connection_that_owes_replies() -> None:
    wire, transport = make(silence=0.03, ping=5)
    reply = wire.send(pack(("GET", "k")), now() + SOON)
    with pytest.raises(LostError, match="silent for"):
        await reply
    assert transport.aborted


async def test_an_idle_connection_is_pinged_and_ended_when_it_stays_silent() -> None:
    lost: list[str] = []
    wire, transport = make(silence=0.03, ping=0.02)
    wire.on_lost = lambda _, reason: lost.append(reason)
    async with asyncio.timeout(5):
        while not transport.writes:
            await asyncio.sleep(0.001)
        assert transport.writes == [pack(("PING",))]
        wire.data_received(b"+PONG\r\n")
        while not lost:
            await asyncio.sleep(0.001)
    assert transport.writes == [pack(("PING",))] * 2
    assert "silent for" in lost[0]


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    wire, transport = make()
    wire.data_received(b"-ERR max number of clients reached\r\n")
    assert transport.aborted
    assert wire.lost


async def test_garbage_ends_the_connection() -> None:
    wire, transport = make()
    reply = wire.send(pack(("GET", "k")), now() + SOON)
    await asyncio.sleep(0)
    wire.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(LostError, match="not understood"):
        await reply
    assert transport.aborted


async def test_push_messages_are_no_replies() -> None:
    pushed: list[list[Any]] = []
    wire, _ = make()
    wire.on_push = pushed.append
    reply = wire.send(pack(("GET", "k")), now() + SOON)
    await asyncio.sleep(0)
    wire.data_received(b">2\r\n+message\r\n+hi\r\n+value\r\n")
    assert await reply == b"value"
    assert pushed == [[b"message", b"hi"]]
    wire.abort("end")


def test_errors_do_not_repeat_arguments() -> None:
    error = ReplyError("ERR unknown command 'FOO', with args beginning with: 's3cret' 'other'")
    assert "s3cret" not in str(error)
    assert error.code == "ERR"
