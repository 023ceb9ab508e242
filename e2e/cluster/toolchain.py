"""Builds the cluster's programs from Go modules, once a machine, into the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from e2e.cluster.paths import cache_dir
from e2e.cluster.progress import say
from e2e.cluster.shell import HarnessError, lock, run
from e2e.cluster.versions import KIND, TOOLS, GoTool, key

_PAUSE = Path(__file__).with_name("pause") / "main.go"
_HEARTBEAT = 20.0  # seconds between signs of life of a long build
_LINK = "-s -w"


def bin_dir() -> Path:
    """Folder of the built programs of this version set."""
    return cache_dir() / "bin" / key(TOOLS, _PAUSE.read_text())


def tool(name: str) -> Path:
    """Path of a built program, such as `kubectl` or `helm`."""
    return bin_dir() / name


def missing() -> list[str]:
    """Names of the programs that are not built yet."""
    return [name for name in [*(each.name for each in TOOLS), "pause"] if not tool(name).exists()]


def build(only: set[str] | None = None) -> Path:
    """Build what is missing and return the folder.

    Args:
        only: Names of the programs that are wanted; all when absent.

    Raises:
        HarnessError: Go is missing, or a build failed (with the end of Go's output).
    """
    if not _wanted(only):
        return bin_dir()
    if shutil.which("go") is None:
        raise HarnessError(
            "Go is not installed, and the cluster's programs are built with it. Install Go 1.24 or newer "
            "(https://go.dev/doc/install) so that `go version` works, and run this again."
        )
    with lock(cache_dir() / "bin" / "build.lock", "the build of the cluster's programs"):
        todo = _wanted(only)
        bin_dir().mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(todo, start=1):
            _build_one(name, f"build {number} of {len(todo)}: {name}")
    return bin_dir()


def _wanted(only: set[str] | None) -> list[str]:
    if only is None:
        return missing()
    return [name for name in sorted(only) if not tool(name).exists()]


def _build_one(name: str, title: str) -> None:
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="carnelian-build-") as scratch:
        folder, out = Path(scratch), bin_dir() / f"partial-{name}"
        if name == "pause":
            say(title)
            _go(["build", "-trimpath", "-ldflags", _LINK, "-o", str(out), str(_PAUSE)], folder, title)
        else:
            spec = next(each for each in (*TOOLS, KIND) if each.name == name)
            say(f"{title} v{spec.version} from {spec.module}")
            _build_module(spec, folder, out, title)
        out.rename(tool(name))
    say(f"{title}: done in {time.monotonic() - begin:.0f}s")


def _build_module(spec: GoTool, folder: Path, out: Path, title: str) -> None:
    # A module of our own, not `go install module@version`: that refuses modules with replacements.
    (folder / "go.mod").write_text("module local/build\n\ngo 1.24\n")
    run(["go", "mod", "edit", f"-require={spec.module}@v{spec.version}", *spec.replacements], cwd=folder)
    flags = " ".join([_LINK, *(f"-X {variable}" for variable in spec.variables)])
    _go(["build", "-mod=mod", "-trimpath", "-ldflags", flags, "-o", str(out), spec.target], folder, title)


def _go(arguments: list[str], folder: Path, title: str) -> None:
    log = folder / "build.log"
    begin = time.monotonic()
    with log.open("w") as output:
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
        process = subprocess.Popen(["go", *arguments], cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            while process.poll() is None:
                try:
                    process.wait(_HEARTBEAT)
                except subprocess.TimeoutExpired:
                    say(f"{title}: {time.monotonic() - begin:.0f}s so far")
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        tail = "\n".join(log.read_text().strip().splitlines()[-20:])
        raise HarnessError(f"go {' '.join(arguments)}: exit status {process.returncode}\n{tail}")
