"""What a benchmark found."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Bar:
    """One comparison: `ours` against `peer`, and whether the promise holds."""

    name: str
    ours: float
    peer: float
    peer_name: str
    ratio: float | None
    bar: float
    holds: bool

    @classmethod
    def ratio_of(
        cls, name: str, ours: float, peer: float, peer_name: str, *, bar: float, sense: Literal["at least", "at most"]
    ) -> "Bar":
        """A promise about ours divided by the peer's."""
        ratio = ours / peer
        holds = ratio >= bar if sense == "at least" else ratio <= bar
        return cls(f"{name} (ratio {sense})", _short(ours), _short(peer), peer_name, round(ratio, 3), bar, holds)

    @classmethod
    def limit_of(cls, name: str, ours: float, peer: float, peer_name: str, *, bar: float) -> "Bar":
        """A promise that ours is at most `bar`, whatever the peer does."""
        ratio = round(ours / peer, 3) if peer else None
        return cls(f"{name} (ours at most)", _short(ours), _short(peer), peer_name, ratio, bar, ours <= bar)


@dataclass
class Report:
    """Everything that a run says."""

    bench: str
    bars: list[Bar] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every promise holds."""
        return all(bar.holds for bar in self.bars)

    def as_json(self) -> str:
        """One line."""
        versions = {"python": platform.python_version()} | self.versions
        bars = [asdict(bar) for bar in self.bars]
        load = round(os.getloadavg()[0], 2)
        return json.dumps({"bench": self.bench, "bars": bars, "versions": versions, "load_average": load})

    def as_text(self) -> str:
        """A table."""
        lines = [f"{self.bench}  ({', '.join(f'{name} {version}' for name, version in self.versions.items())})"]
        for bar in self.bars:
            ratio = "-" if bar.ratio is None else f"{bar.ratio:g}"
            verdict = "holds" if bar.holds else "FAILS"
            lines.append(
                f"  {bar.name:55} ours {bar.ours:>10g}  {bar.peer_name} {bar.peer:>10g}"
                f"  ratio {ratio:>7}  bar {bar.bar:g}  {verdict}"
            )
        return "\n".join(lines)


def _short(value: float) -> float:
    return round(value, 2) if abs(value) < 1000 else round(value)
