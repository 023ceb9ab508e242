"""Where the API server is, and who we are to it.

One `kubernetes.aio` configuration serves both the client that writes and the session that kopf watches with, so that
there is one place for certificates and for tokens that are rotated under us.
"""

import os
from pathlib import Path

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoClusterError(Exception):
    """Nothing says where the API server is."""


async def load(kubeconfig: Path | None = None) -> Configuration:
    """Find the API server: `kubeconfig`, else ``KUBECONFIG``, else the pod's service account, else ``~/.kube/config``.

    The token of a service account is read again every minute, as the kubelet rotates it.

    Raises:
        NoClusterError: when there is neither.
    """
    configuration = Configuration()
    # Proxies of the environment are for the world outside; the API server is inside.
    configuration.client_session_kwargs = {"trust_env": False}
    inside = "KUBERNETES_SERVICE_HOST" in os.environ and (_ACCOUNT / "token").is_file()
    named = kubeconfig or os.environ.get("KUBECONFIG")
    if inside and not named:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        return configuration
    path = Path(named or "~/.kube/config").expanduser()  # noqa: ASYNC240 - once, at start
    if not path.is_file():
        raise NoClusterError(
            f"no API server: this is no pod with a service account, and there is no kubeconfig at {path}; "
            "set KUBECONFIG to a file that `kubectl` works with"
        )
    await load_kube_config(config_file=str(path), client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


def pod_namespace() -> str | None:
    """The namespace of the pod that we run in, or None outside of a cluster."""
    file = _ACCOUNT / "namespace"
    return file.read_text().strip() if file.is_file() else None
