"""From one snapshot to the next: what is taken over, kept, refused and dropped."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnelian._policy.snapshot import Snapshot
from carnelian.policies.wire import EPOCH_FIELD, Document, content_hash

pytestmark = pytest.mark.unit


class Numbers:
    """A kind whose policies are a number, and -1 once removed."""

    def read(self, document: Document) -> int:
        value = document.body["value"]
        if not isinstance(value, int):
            raise ValueError(f"value: {value!r} is no number")  # noqa: TRY004  # what the protocol asks for
        return value

    def removed(self, policy: int) -> int:
        return -1


KINDS = {"Number": Numbers()}


def document(name: str, value: Any, *, epoch: int = 1, **fields: Any) -> Document:
    body = {"value": value}
    known: dict[str, Any] = {"schema": 1, "kind": "Number", "generation": epoch, "hash": content_hash(body)} | fields
    return Document(name=name, epoch=epoch, body=body, **known)


def published(epoch: int, *documents: Document) -> dict[bytes, bytes]:
    fields = {one.field.encode(): msgspec.json.encode(one) for one in documents}
    return {EPOCH_FIELD.encode(): str(epoch).encode()} | fields


def values(snapshot: Snapshot) -> dict[str, int]:
    return {field: held.policy for field, held in snapshot.held.items()}


START = Snapshot().renewed(published(5, document("a", 1), document("b", 2)), KINDS)


def test_what_is_published_is_held() -> None:
    assert (START.epoch, values(START), START.rejected) == (5, {"Number/a": 1, "Number/b": 2}, {})
    assert START.names("Number") == ["a", "b"]


def test_a_change_replaces_only_what_changed() -> None:
    after = START.renewed(published(6, document("a", 7, epoch=6), document("b", 2)), KINDS)
    assert (after.epoch, values(after)) == (6, {"Number/a": 7, "Number/b": 2})
    assert after.held["Number/b"] is START.held["Number/b"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "truncated"),
        (b'{"schema": 1}', "missing required field"),
        (msgspec.json.encode(document("a", "x")), "value: 'x' is no number"),
        (msgspec.json.encode(document("a", 1, schema=2)), "has schema 2, carnelian 0.1.0 reads up to 1; upgrade"),
        (msgspec.json.encode(document("a", 1, kind="Other")), "kind Other is not known to carnelian 0.1.0; upgrade"),
    ],
)
def test_an_unreadable_document_keeps_the_last_good_one(text: bytes, reason: str) -> None:
    after = START.renewed(published(6, document("b", 3, epoch=6)) | {b"Number/a": text}, KINDS)
    assert (after.epoch, values(after)) == (6, {"Number/a": 1, "Number/b": 3})
    assert reason in after.rejected["Number/a"]
    good = after.renewed(published(7, document("a", 4, epoch=7), document("b", 3, epoch=6)), KINDS)
    assert (values(good), good.rejected) == ({"Number/a": 4, "Number/b": 3}, {})


def test_an_unreadable_document_without_a_predecessor_is_only_reported() -> None:
    after = Snapshot().renewed(published(1, document("a", "x")), KINDS)
    assert (values(after), list(after.rejected)) == ({}, ["Number/a"])


def test_a_deleted_resource_has_its_kinds_after_effect_until_it_comes_back() -> None:
    after = START.renewed(published(6, document("b", 2)), KINDS)
    assert values(after) == {"Number/a": -1, "Number/b": 2}
    assert values(after.renewed(published(7, document("b", 2)), KINDS)) == {"Number/a": -1, "Number/b": 2}
    assert values(after.renewed(published(8, document("a", 1)), KINDS)) == {"Number/a": 1, "Number/b": -1}


def test_a_data_plane_that_lost_everything_changes_nothing() -> None:
    assert START.renewed({}, KINDS) is START
    assert START.renewed({b"Number/a": b"whatever"}, KINDS) is START


def test_an_epoch_that_went_back_is_followed() -> None:
    after = START.renewed(published(3, document("a", 9, epoch=3)), KINDS)
    assert (after.epoch, values(after)["Number/a"]) == (3, 9)


def test_no_snapshot_is_ever_changed() -> None:
    with pytest.raises(TypeError):
        START.held["Number/c"] = START.held["Number/a"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        START.epoch = 9  # type: ignore[misc]


texts = st.one_of(
    st.binary(max_size=40),
    st.integers(-9, 9).map(lambda value: msgspec.json.encode(document("a", value))),
    st.just(msgspec.json.encode(document("a", "bad"))),
)
publications = st.lists(
    st.dictionaries(st.sampled_from([b"Number/a", b"Number/b", b"\xff", b"X/y"]), texts), max_size=6
)


@given(publications)
def test_whatever_is_published_a_policy_once_held_stays_held(history: list[dict[bytes, bytes]]) -> None:
    snapshot = Snapshot()
    for epoch, fields in enumerate(history, start=1):
        before, snapshot = snapshot, snapshot.renewed(published(epoch) | fields, KINDS)
        assert snapshot.epoch == epoch
        assert before.held.keys() <= snapshot.held.keys()
        assert all(isinstance(held.policy, int) for held in snapshot.held.values())
        assert {field.decode(errors="replace") for field in fields} <= snapshot.held.keys() | snapshot.rejected.keys()
