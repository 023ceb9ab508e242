"""etcd, API server, controller manager, scheduler, DNS and the storage provisioner: processes on the host."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from e2e.cluster import pki, processes
from e2e.cluster.kube import Kube, KubeError
from e2e.cluster.layout import DOMAIN, ETCD, ETCD_PEER, HOST, SERVICES
from e2e.cluster.paths import REPOSITORY, state_dir
from e2e.cluster.shell import HarnessError, run
from e2e.cluster.toolchain import tool

COMPONENTS = ("etcd", "apiserver", "controller-manager", "scheduler", "dns", "storage")
_ADDONS = Path(__file__).with_name("addons.yaml")


def start_api() -> None:
    """Start etcd and the API server, and wait until it is ready."""
    data, keys = state_dir() / "etcd", pki.folder()
    processes.spawn(
        "etcd",
        [
            str(tool("etcd")),
            f"--data-dir={data}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={ETCD_PEER}",
            f"--initial-advertise-peer-urls={ETCD_PEER}",
            f"--initial-cluster=default={ETCD_PEER}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
    )
    # The address types: exec, logs and port-forward find a node by its address; its name is nowhere in DNS.
    processes.spawn(
        "apiserver",
        [
            str(tool("kube-apiserver")),
            f"--etcd-servers={ETCD}",
            "--secure-port=6443",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--tls-cert-file={keys / 'api.crt'}",
            f"--tls-private-key-file={keys / 'api.key'}",
            f"--token-auth-file={keys / 'tokens.csv'}",
            f"--client-ca-file={keys / 'ca.crt'}",
            f"--kubelet-client-certificate={keys / 'kubelet-client.crt'}",
            f"--kubelet-client-key={keys / 'kubelet-client.key'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            f"--service-account-key-file={keys / 'service-accounts.key'}",
            f"--service-account-signing-key-file={keys / 'service-accounts.key'}",
            f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
            "--kubelet-preferred-address-types=InternalIP,Hostname",
        ],
    )
    wait_for("the API server", api_ready, 60, "apiserver")
    # an API server that found another program's etcd at the address would be ready, and wrong
    wait_for("etcd", lambda: processes.main_pid("etcd") is not None, 1, "etcd")


def api_ready() -> bool:
    """Whether the API server answers that it is ready."""
    try:
        return Kube(pki.kubeconfig("admin")).request("GET", "/readyz", seconds=2).get("text") == "ok"
    except (OSError, KubeError):
        return False


def start_rest() -> None:
    """Apply the add-ons' objects and start everything that talks to the API server."""
    ca, keys = pki.folder() / "ca", pki.folder()
    processes.spawn(
        "controller-manager",
        [
            str(tool("kube-controller-manager")),
            f"--kubeconfig={pki.kubeconfig('controller-manager')}",
            f"--service-account-private-key-file={keys / 'service-accounts.key'}",
            f"--root-ca-file={ca}.crt",
            f"--cluster-signing-cert-file={ca}.crt",
            f"--cluster-signing-key-file={ca}.key",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
            "--node-monitor-grace-period=20s",
        ],  # a cut node is NotReady in 25 s instead of a minute
    )
    processes.spawn(
        "scheduler",
        [
            str(tool("kube-scheduler")),
            f"--kubeconfig={pki.kubeconfig('scheduler')}",
            "--leader-elect=false",
            "--secure-port=0",
        ],
    )
    kubectl = [str(tool("kubectl")), f"--kubeconfig={pki.kubeconfig('admin')}"]
    run([*kubectl, "apply", "--server-side", "-f", str(_ADDONS)], timeout=60)
    corefile = state_dir() / "Corefile"
    corefile.write_text(render_corefile(pki.kubeconfig("dns")))
    processes.spawn("dns", [str(tool("coredns")), "-conf", str(corefile)])
    start_storage()


def start_storage() -> None:
    """Start the provisioner of volumes."""
    python = [
        sys.executable,
        "-c",
        "import sys; sys.path.insert(0, sys.argv[1]); import e2e.cluster.storage as s; s.main()",
    ]
    processes.spawn("storage", [*python, str(REPOSITORY)])


def render_corefile(kubeconfig: Path) -> str:
    """CoreDNS on the bridge's address: the cluster's names, and a quick "no such name" for all others.

    It runs outside of the nodes, so that cutting one node never cuts the others' DNS.
    """
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
  bind {HOST}
  errors
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {kubeconfig} carnelian-local
    pods insecure
    ttl 2
  }}
  cache 2
}}
.:53 {{
  bind {HOST}
  ready {HOST}:8181
  template ANY ANY . {{
    rcode NXDOMAIN
  }}
}}
"""


def wait_for(what: str, ready: Callable[[], bool], seconds: float, process: str) -> None:
    """Wait until it is so.

    Raises:
        HarnessError: Not within `seconds`, or the process has ended; shows the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        ended = processes.main_pid(process) is None
        if ended or time.monotonic() > deadline:
            problem = "its process has ended" if ended else f"not ready after {seconds:.0f} s"
            tail = processes.log_tail(process)
            raise HarnessError(f"{what}: {problem}. End of {processes.log_file(process)}:\n{tail}")
        time.sleep(0.1)
