"""One server, or a name that leads to the primary of the moment."""

from collections.abc import Sequence

from carnelian._link.api import Arg
from carnelian._link.front import Front
from carnelian._link.node import Node
from carnelian._link.replies import ReplyError
from carnelian._link.target import Target


class StandaloneLink(Front):
    """A `Link` to one address."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._only = self._node(target.addresses[0])

    def _route(self, args: Sequence[Arg]) -> Node | None:
        return self._only

    async def _find(self, args: Sequence[Arg], expires: float) -> Node:
        return self._only

    def _suspect(self, node: Node | None, *, lost: bool) -> None:
        """There is nowhere else to look: the lane dials again by itself."""

    def _refused(self, node: Node, error: ReplyError) -> Node | None:
        if error.code == "READONLY":
            # It was demoted under us; behind a Service name the next connection leads to the new primary.
            node.drop("the server is a replica now")
        return None

    async def _close(self) -> None:
        self._only.close()
