"""Keeps each instance's documents equal to the resources that exist, by whoever looks: an instance or a rule."""

import asyncio
from collections import defaultdict

import structlog

from carnelian_operator.dataplane.client import Address, UnreachableError
from carnelian_operator.engines.acl import OPERATOR
from carnelian_operator.engines.server_conf import DATA_PORT
from carnelian_operator.policies.desired import desired_documents
from carnelian_operator.policies.held import Held, is_current
from carnelian_operator.policies.kinds import RATE_LIMIT_RULE
from carnelian_operator.policies.store import publish, read
from carnelian_operator.rediscluster.kinds import POD, SECRET
from carnelian_operator.rediscluster.manifests.secrets import read_passwords
from carnelian_operator.runtime.api import Cache

_log = structlog.get_logger(__name__)


class PolicySync:
    """Publishes what is missing and reads back the rest.

    Level-triggered: the whole set is compared every time, so rules that were deleted while nobody watched, and
    announcements that a failover lost, are made good by the next look.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def bring(self, namespace: str, cluster: str, primary: str) -> Held:
        """Bring an instance's documents up to date.

        Args:
            namespace: The instance's namespace.
            cluster: Its name.
            primary: The pod that takes writes.

        Raises:
            RefusedError: the pod is no primary any more.
            UnreachableError: no answer in time, or no address to ask.
        """
        # One at a time, and the rules read inside: an older set must never be published over a newer one.
        async with self._locks[namespace, cluster]:
            address = self._address(namespace, cluster, primary)
            desired = desired_documents(self._cache.list(RATE_LIMIT_RULE, namespace), cluster)
            held = await read(address)
            if is_current(held, desired):
                return held
            changes = await publish(address, desired)
            _log.info("published policies", namespace=namespace, cluster=cluster, changes=changes)
            return await read(address)

    def forget(self, namespace: str, cluster: str) -> None:
        """The instance is gone."""
        self._locks.pop((namespace, cluster), None)

    def _address(self, namespace: str, cluster: str, pod: str) -> Address:
        found = self._cache.get(POD, namespace, pod)
        secret = self._cache.get(SECRET, namespace, f"{cluster}-credentials")
        ip = (found.get("status") or {}).get("podIP") if found else None
        if secret is None or not ip:
            raise UnreachableError(f"{pod} has no address or no credentials yet")
        return Address(ip, DATA_PORT, OPERATOR, read_passwords(secret)[OPERATOR])
