"""The live table: one line a pod of the shop, and what is going on below it."""

import time
from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from e2e.demo.load import Load


class Screen:
    """Redraws in place on a terminal; elsewhere (in CI's log) prints a line every few seconds."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._console = Console()
        self._began = time.monotonic()
        self._notes: deque[str] = deque(maxlen=12)
        self._plain_at = 0.0
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._render)

    def __enter__(self) -> "Screen":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def note(self, text: str) -> None:
        """Say what happens or what was measured."""
        line = f"{time.monotonic() - self._began:6.1f} s  {text}"
        self._notes.append(line)
        if not self._console.is_terminal:
            print(line, flush=True)

    def tick(self) -> None:
        """Where there is no terminal, print the pods' line now and then."""
        now = time.monotonic()
        if self._console.is_terminal or now - self._plain_at < 5:
            return
        self._plain_at = now
        cells = (
            f"{pod.name[-5:]}: {pod.requests} req, {pod.allowed} ok, {pod.limited} limited, {pod.failed} failed, "
            f"rule {pod.generation}, p99 {pod.quantile(0.99):.0f} ms"
            for pod in self._load.pods
        )
        print(f"{now - self._began:6.1f} s  " + " | ".join(cells), flush=True)

    def _render(self) -> Group:
        table = Table(title="the shop, as its clients see it")
        table.add_column("pod")
        for title in ("requests", "allowed", "limited", "failed", "rule generation", "p50 ms", "p99 ms", "orders"):
            table.add_column(title, justify="right")
        for pod in self._load.pods:
            figures = (pod.requests, pod.allowed, pod.limited, pod.failed, pod.generation)
            latency = (f"{pod.quantile(0.5):.1f}", f"{pod.quantile(0.99):.1f}")
            orders = len(self._load.lanes[pod.name].acknowledged)
            table.add_row(pod.name, *map(str, figures), *latency, str(orders))
        return Group(table, *(Text(line) for line in self._notes))
