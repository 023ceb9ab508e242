"""ConfigMap: configuration files and start scripts."""

from functools import cache
from importlib.resources import files
from typing import Any

from carnelian_operator.engines.sentinel_conf import sentinel_conf
from carnelian_operator.engines.server_conf import server_conf
from carnelian_operator.rediscluster.instance import Instance


def config_map(instance: Instance) -> dict[str, Any]:
    """The ConfigMap. Running pods read it again only when they start."""
    data = {"server.conf": server_conf(instance.settings), "start.sh": _script("start.sh")}
    if instance.replicated:
        hosts = (instance.sentinel_host(pod) for pod in instance.sentinel_pods)
        data |= {
            "sentinels": "".join(f"{host}\n" for host in hosts),
            "sentinel.conf": sentinel_conf(),
            "start-sentinel.sh": _script("start-sentinel.sh"),
        }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": instance.metadata(instance.config_name),
        "data": data,
    }


@cache
def _script(name: str) -> str:
    return (files("carnelian_operator.rediscluster") / "scripts" / name).read_text()
