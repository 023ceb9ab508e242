"""An API server and its etcd as processes on loopback, for tests that need no nodes: up in about four seconds."""

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import create_default_context

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from e2e.cluster import toolchain

_TOKEN = "test-administrator"


@contextmanager
def control_plane(folder: Path) -> Iterator[Path]:
    """Run etcd and kube-apiserver with their state in `folder`; yields the administrator's kubeconfig."""
    toolchain.build({"etcd", "kube-apiserver"})
    client, peer, port = _free_ports(3)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    accounts = folder / "accounts.key"
    accounts.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    (folder / "tokens.csv").write_text(f'{_TOKEN},admin,admin,"system:masters"\n')
    etcd = f"http://127.0.0.1:{client}"
    running = [
        _start(
            folder,
            "etcd",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ),
        _start(
            folder,
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--service-account-key-file={accounts}",
            f"--service-account-signing-key-file={accounts}",
            "--service-account-issuer=https://kubernetes.default.svc",
            # Nobody here makes the service accounts that this plugin would give to pods.
            "--disable-admission-plugins=ServiceAccount",
        ),
    ]
    try:
        _wait_until_ready(folder, port, running)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_kubeconfig(f"https://127.0.0.1:{port}", folder / "apiserver.crt"))
        yield kubeconfig
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()


def _start(folder: Path, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / f"{program}.log").open("wb") as log:
        return subprocess.Popen([str(toolchain.tool(program)), *arguments], stdout=log, stderr=log, cwd=folder)


def _wait_until_ready(folder: Path, port: int, running: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in running):
            break
        certificate = folder / "apiserver.crt"
        if certificate.is_file() and _ready(port, certificate):
            return
        time.sleep(0.1)
    tail = "\n".join((folder / "kube-apiserver.log").read_text().splitlines()[-10:])
    raise RuntimeError(f"kube-apiserver is not ready; the end of its log:\n{tail}")


def _ready(port: int, certificate: Path) -> bool:
    request = urllib.request.Request(f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {_TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=2, context=create_default_context(cafile=certificate)) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _kubeconfig(server: str, certificate: Path) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(certificate)}}],
            "users": [{"name": "admin", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
