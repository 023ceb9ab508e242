"""Images without a registry: root file systems and the real Dockerfile, as archives that containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from e2e.cluster import packages, toolchain
from e2e.cluster.layout import PAUSE_IMAGE
from e2e.cluster.paths import REPOSITORY, cache_dir
from e2e.cluster.progress import say, step
from e2e.cluster.rootfs import ENGINES, RECIPE, Engine, debootstrap, ensure_engine
from e2e.cluster.shell import lock, run

_Maker = Callable[[Path], None]
Target = Literal["operator", "shop"]
TARGETS: tuple[Target, ...] = ("operator", "shop")
PYTHON_BASE = "docker.io/library/python:3.13-slim"

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_REPOSITORIES: dict[Engine, str] = {"valkey": "docker.io/valkey/valkey", "redis": "docker.io/library/redis"}
# The version that the operator takes when a resource names none; a newer one of the same major answers to it as well.
_EXPECTED: dict[Engine, str] = {"valkey": "9.1", "redis": "8.0"}
_SOURCES: dict[Target, tuple[str, ...]] = {
    "operator": ("Dockerfile", "pyproject.toml", "operator", "services", "examples/demo/shop/pyproject.toml"),
    "shop": ("Dockerfile", "pyproject.toml", "operator", "services", "examples/demo/shop"),
}


@dataclass(frozen=True)
class Archive:
    """An image in a file.

    Attributes:
        names: Full names under which it is imported.
        path: Docker archive.
        key: Changes when the content does.
    """

    names: tuple[str, ...]
    path: Path
    key: str


def all_archives() -> list[Archive]:
    """Everything that the cluster's nodes hold, built where it is missing or stale."""
    return [pause_image(), *(server_image(engine) for engine in ENGINES), *(build_image(target) for target in TARGETS)]


def server_image(engine: Engine) -> Archive:
    """The engine's server under its official name, tagged with the version that it really is."""
    rootfs = ensure_engine(engine)
    tags = [rootfs.minor]
    expected = _EXPECTED[engine]
    if rootfs.minor != expected and rootfs.minor.split(".")[0] == expected.split(".")[0]:
        say(f"Debian's {engine} is {rootfs.version}; its image answers to the tag {expected} as well")
        tags.append(expected)
    names = tuple(f"{_REPOSITORIES[engine]}:{tag}" for tag in tags)
    config = {"Env": [_PATH], "WorkingDir": "/data", "Cmd": [f"{engine}-server"], "Volumes": {"/data": {}}}
    key = f"{engine}-{rootfs.version}-{rootfs.suite}-r{RECIPE}"
    return _cached(names, key, lambda path: wrap(rootfs.tar, names, config, path))


def pause_image() -> Archive:
    """The image of the process that holds a pod's namespaces."""
    toolchain.build({"pause"})
    layer = toolchain.bin_dir() / "pause.tar"
    with tarfile.open(layer, "w") as tar:
        tar.add(toolchain.tool("pause"), "pause")
    config = {"Entrypoint": ["/pause"], "User": "65535:65535"}
    key = f"pause-{hashlib.sha256(toolchain.tool('pause').read_bytes()).hexdigest()[:10]}"
    return _cached((PAUSE_IMAGE,), key, lambda path: wrap(layer, (PAUSE_IMAGE,), config, path))


def build_operator_image() -> Archive:
    """The operator from the real Dockerfile."""
    return build_image("operator")


def build_image(target: Target) -> Archive:
    """Build one target of the repository's Dockerfile; only when its sources have changed since the last time."""
    name = f"docker.io/carnelian/{target}:dev"
    key = f"{target}-{source_key(REPOSITORY, _SOURCES[target])}"
    return _cached((name,), key, lambda path: _buildah(target, name, path))


def operator_sources() -> str:
    """What the operator's image is made of, as one word."""
    return source_key(REPOSITORY, _SOURCES["operator"])


def source_key(root: Path, sources: Iterable[str]) -> str:
    """Hash over names and contents of files; folders count with everything in them but caches and build output."""
    digest = hashlib.sha256()
    for source in sources:
        path = root / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            skipped = {"__pycache__", ".venv", "build", "dist"} & set(file.relative_to(root).parts)
            if file.is_file() and not skipped:
                digest.update(f"{file.relative_to(root)}\0{file.stat().st_mode & 0o111:o}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def wrap(layer: Path, names: Iterable[str], config: Mapping[str, object], target: Path) -> None:
    """Wrap a tar of a root file system as a docker archive of one layer."""
    digest = _sha256(layer)
    image = {
        "architecture": _architecture(),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "carnelian e2e.cluster"}],
    }
    content = json.dumps(image).encode()
    config_name = f"{hashlib.sha256(content).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": list(names), "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as tar:
        for member, data in ((config_name, content), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        tar.add(layer, "layer.tar")


def _cached(names: tuple[str, ...], key: str, make: _Maker) -> Archive:
    folder = cache_dir() / "images"
    path = folder / f"{key}.tar"
    if not path.exists():
        with lock(folder / f"{names[0].rsplit('/', 1)[1].split(':')[0]}.lock", f"the image {names[0]}"):
            if not path.exists():
                partial = folder / f"partial-{key}.tar"
                partial.unlink(missing_ok=True)
                with step(f"image {', '.join(names)}"):
                    make(partial)
                for stale in folder.glob(f"{key.split('-', maxsplit=1)[0]}-*.tar"):
                    stale.unlink()
                partial.rename(path)
    return Archive(names, path, key)


def _buildah(target: Target, name: str, path: Path) -> None:
    packages.ensure(packages.IMAGES)
    _ensure_python_base()
    mounts = [
        f"--volume={each}:{each}:ro" for each in ("/etc/ssl/certs", "/etc/pip.conf", "/etc/uv") if Path(each).exists()
    ]
    run(
        [
            *_buildah_command("bud"),
            "--layers",
            "--network=host",
            "--pull-never",
            "--isolation=chroot",
            f"--target={target}",
            *mounts,
            f"--tag={name}",
            "--file=Dockerfile",
            ".",
        ],
        cwd=REPOSITORY,
        timeout=1200,
    )
    run([*_buildah_command("push"), name, f"docker-archive:{path}:{name}"], timeout=600)
    _forget_old_builds()


def _forget_old_builds() -> None:
    """Remove what earlier builds left nameless, but for the latest stages: the next build starts from their layers."""
    nameless = run([*_buildah_command("images"), "--filter", "dangling=true", "--quiet"]).split()
    stages = 2 * len(TARGETS)
    if nameless[stages:]:
        run([*_buildah_command("rmi"), *nameless[stages:]], check=False)


def _ensure_python_base() -> None:
    """The Dockerfile's base under its official name, from Debian trixie's Python 3.13."""
    with lock(cache_dir() / "images" / "python.lock", f"the image {PYTHON_BASE}"):
        tag = f"localhost/carnelian-python-base:r{RECIPE}"
        if tag in run([*_buildah_command("images"), "--format", "{{.Name}}:{{.Tag}}"]).split():
            return
        with step(f"image {PYTHON_BASE} from Debian trixie"):
            layer = cache_dir() / "images" / "python-base.layer"
            links = 'ln -s /usr/bin/python3 "$1/usr/local/bin/python"; rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED'
            include = ["python3", "python3-venv", "python3-pip", "ca-certificates"]
            debootstrap("trixie", include, layer, [links])
            archive = cache_dir() / "images" / "python-base.archive"
            # Tools with root certificates of their own shall trust what the machine trusts.
            environment = [_PATH, "LANG=C.UTF-8", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"]
            wrap(layer, [PYTHON_BASE], {"Env": environment, "Cmd": ["python"]}, archive)
            run([*_buildah_command("pull"), f"docker-archive:{archive}"], timeout=300)
            run([*_buildah_command("tag"), PYTHON_BASE, tag])
            layer.unlink()
            archive.unlink()


def _buildah_command(command: str) -> list[str]:
    """One of buildah's commands, with storage and policy of the harness's own."""
    base = cache_dir() / "buildah"
    base.mkdir(parents=True, exist_ok=True)
    policy = base / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    trust = [f"--signature-policy={policy}"] if command in {"bud", "pull", "push"} else []
    return ["buildah", f"--root={base / 'storage'}", f"--runroot={base / 'run'}", command, *trust]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _architecture() -> str:
    machine = run(["uname", "-m"]).strip()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
