"""What `up` made on the machine, written down before it is made, so that `down` removes exactly that.

One JSON object a line, synced to disk. A line whose thing was never made (the machine stopped in between) is harmless:
every removal accepts that there is nothing to remove.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["netns", "link", "cgroup", "mount", "firewall", "directory"]


@dataclass(frozen=True)
class Entry:
    """One thing that was made.

    Attributes:
        kind: What it is, which decides how it is removed.
        name: Its name: a network namespace, link, cgroup, mount point, firewall rule or directory.
    """

    kind: Kind
    name: str


class Ledger:
    """The table of what was made, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, kind: Kind, name: str) -> None:
        """Write one entry down, durably, before the thing is made."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"kind": kind, "name": name}) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[Entry]:
        """What was written, each thing once, newest first: the order of removal. A torn last line is left out."""
        if not self._path.exists():
            return []
        found: dict[Entry, None] = {}
        for line in self._path.read_text().splitlines():
            entry = _parse(line)
            if entry:
                found.setdefault(entry)
        return list(reversed(found))


def _parse(line: str) -> Entry | None:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError:
        return None  # the write was cut short, so the thing was never made
    if not isinstance(fields, dict) or fields.get("kind") not in get_args(Kind):
        return None
    return Entry(fields["kind"], str(fields["name"]))
