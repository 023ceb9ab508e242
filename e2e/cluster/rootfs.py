"""Root file systems made of Debian packages: the real servers, for images and for processes on the host.

Redis comes from trixie, Valkey from sid (from trixie, an older one, when sid cannot be had). The version is read from
the server itself, never assumed.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from e2e.cluster import packages
from e2e.cluster.paths import cache_dir
from e2e.cluster.progress import say, step
from e2e.cluster.shell import HarnessError, lock, run

Engine = Literal["valkey", "redis"]
ENGINES: tuple[Engine, ...] = ("valkey", "redis")
RECIPE = 2  # part of the key of what is built from here; raise it when the recipe changes

_SUITES: dict[Engine, tuple[str, ...]] = {"valkey": ("sid", "trixie"), "redis": ("trixie",)}
_LEAN = ["doc", "man", "locale", "info", "lintian", "bash-completion"]


@dataclass(frozen=True)
class Rootfs:
    """A built root file system.

    Attributes:
        name: Key in the cache, such as `valkey`.
        suite: Debian suite that it is made of.
        version: Full version that the program in it reports, such as `9.1.0`.
        path: Unpacked directory.
        tar: The same as one tar file, the layer of an image.
        recipe: Which recipe made it.
    """

    name: str
    suite: str
    version: str
    path: Path
    tar: Path
    recipe: int = RECIPE

    @property
    def minor(self) -> str:
        """Major and minor version, such as `9.1`."""
        return ".".join(self.version.split(".")[:2])


def server_command(engine: Engine) -> list[str]:
    """Command prefix that runs the engine's real server on this host; add arguments as usual.

    The program runs with the C library of its own root file system, so the host's distribution does not matter.
    Sentinel is the same program: `[*server_command(e), "sentinel.conf", "--sentinel"]`.
    """
    return _host_command(ensure_engine(engine), f"{engine}-server")


def cli_command(engine: Engine) -> list[str]:
    """Command prefix of the engine's command line client (`valkey-cli`, `redis-cli`)."""
    return _host_command(ensure_engine(engine), f"{engine}-cli")


def ensure_engine(engine: Engine) -> Rootfs:
    """Build the engine's root file system once, and return it."""
    ready = _recorded(engine)
    if ready:
        return ready
    packages.ensure(packages.ROOTFS)
    with lock(cache_dir() / "rootfs" / f"{engine}.lock", f"the root file system of {engine}"):
        return _recorded(engine) or _build_engine(engine)


def debootstrap(suite: str, include: list[str], tar: Path, hooks: list[str]) -> None:
    """Make a tar of a small Debian with the given packages.

    Args:
        suite: Debian suite, such as `trixie`.
        include: Packages beside the essential ones.
        tar: File to write; it appears only when complete.
        hooks: Shell commands run at the end, with the new root as `$1`.
    """
    tar.parent.mkdir(parents=True, exist_ok=True)
    partial = tar.with_name(f"partial-{tar.name}")
    options = ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"']
    options += ['--aptopt=Acquire::Retries "3"']
    options += [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _LEAN]
    options += [f"--customize-hook={hook}" for hook in hooks]
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=essential",
            "--format=tar",
            f"--include={','.join(include)}",
            *options,
            suite,
            str(partial),
        ],
        timeout=1200,
    )
    partial.rename(tar)


def _build_engine(engine: Engine) -> Rootfs:
    problems: list[str] = []
    for suite in _SUITES[engine]:
        try:
            with step(f"root file system of {engine} from Debian {suite}"):
                return _build_from(engine, suite)
        except HarnessError as error:
            say(f"Debian {suite} did not give {engine}: {str(error).splitlines()[-1]}")
            problems.append(f"{suite}: {error}")
    raise HarnessError(f"no Debian suite gave {engine}:\n" + "\n".join(problems))


def _build_from(engine: Engine, suite: str) -> Rootfs:
    base = cache_dir() / "rootfs"
    tar = base / f"{engine}-{suite}.tar"
    # The account of the official images, so that a volume moves between these and those.
    account = (
        f'sed -i -E "s/^{engine}:([^:]*):[0-9]+:[0-9]+:/{engine}:\\1:999:999:/" "$1/etc/passwd"; '
        f'sed -i -E "s/^{engine}:([^:]*):[0-9]+:/{engine}:\\1:999:/" "$1/etc/group"; '
        'install -d -o 999 -g 999 "$1/data"'
    )
    debootstrap(suite, [f"{engine}-server", f"{engine}-tools", f"{engine}-sentinel"], tar, [account])
    unpacked = base / f"partial-{engine}"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    run(["tar", "-C", unpacked, "-xf", tar, "--exclude=./dev/*", "--exclude=./etc/apt/*"])
    version = parse_version(run([*_loader(unpacked), str(unpacked / "usr/bin" / f"{engine}-server"), "--version"]))
    final = base / f"{engine}-{version.split('.')[0]}"
    shutil.rmtree(final, ignore_errors=True)
    unpacked.rename(final)
    made = Rootfs(engine, suite, version, final, tar)
    record = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(made).items()}
    (base / f"{engine}.json").write_text(json.dumps(record, indent=1))
    say(f"{engine} {version} is in {final}")
    return made


def parse_version(text: str) -> str:
    """The version in what `…-server --version` prints.

    Raises:
        HarnessError: There is none.
    """
    found = re.search(r"\bv=(\d+\.\d+\.\d+)", text)
    if not found:
        raise HarnessError(f"no version in {text!r}; expected '… server v=X.Y.Z …'")
    return found[1]


def _recorded(engine: Engine) -> Rootfs | None:
    record = cache_dir() / "rootfs" / f"{engine}.json"
    if not record.exists():
        return None
    fields = json.loads(record.read_text())
    found = Rootfs(**{**fields, "path": Path(fields["path"]), "tar": Path(fields["tar"])})
    return found if found.recipe == RECIPE and found.path.is_dir() and found.tar.exists() else None


def _loader(root: Path) -> list[str]:
    library = root / "usr/lib/x86_64-linux-gnu"
    loader = root / "lib64/ld-linux-x86-64.so.2"
    if not library.is_dir():  # arm64
        library, loader = root / "usr/lib/aarch64-linux-gnu", root / "lib/ld-linux-aarch64.so.1"
    return [str(loader), "--library-path", str(library)]


def _host_command(rootfs: Rootfs, program: str) -> list[str]:
    return [*_loader(rootfs.path), str(rootfs.path / "usr/bin" / program)]
