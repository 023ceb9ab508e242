"""Where the harness keeps things: a cache that outlives clusters, and the state of the cluster that runs now."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """`$CARNELIAN_CACHE`, else `$XDG_CACHE_HOME/carnelian`, else `~/.cache/carnelian`."""
    own = os.environ.get("CARNELIAN_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "carnelian"


def state_dir() -> Path:
    """State of the running cluster: certificates, etcd's data, nodes, volumes, logs. `down` removes it.

    It is outside of the cache because there is one cluster a machine, whatever cache a caller has chosen.
    """
    return Path("/var/lib/carnelian-cluster")


def kubeconfig() -> Path:
    """The administrator's kubeconfig of the local cluster."""
    return state_dir() / "admin.kubeconfig"
