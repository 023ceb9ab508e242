from pathlib import Path

import pytest

from e2e.cluster.ledger import Entry, Ledger

pytestmark = pytest.mark.unit


def test_entries_come_newest_first_and_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "state" / "ledger.jsonl")
    ledger.add("link", "carn0")
    ledger.add("netns", "carn-node1")
    ledger.add("link", "carn0")
    assert ledger.entries() == [Entry("netns", "carn-node1"), Entry("link", "carn0")]


def test_there_is_nothing_before_the_first_entry(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "ledger.jsonl").entries() == []


@pytest.mark.parametrize("torn", ['{"kind": "netns", "na', '{"kind": "moon", "name": "x"}', "[]", ""])
def test_a_torn_or_foreign_line_is_left_out(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).add("cgroup", "carn-node1")
    with path.open("a") as file:
        file.write(torn)
    assert Ledger(path).entries() == [Entry("cgroup", "carn-node1")]
