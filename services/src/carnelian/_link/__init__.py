"""The link layer: commands of one event-loop tick travel together, on one connection per server."""

from carnelian._link.api import Arg, Durability, Link, Message
from carnelian._link.cluster import ClusterLink
from carnelian._link.script import Script, load_script
from carnelian._link.sentinel import SentinelLink
from carnelian._link.standalone import StandaloneLink
from carnelian._link.target import Address, Event, Target, Timing, Topology

__all__ = [
    "Address",
    "Arg",
    "Durability",
    "Event",
    "Link",
    "Message",
    "Script",
    "Target",
    "Timing",
    "Topology",
    "connect",
    "load_script",
]


def connect(target: Target) -> Link:
    """A link to `target`. Must be called in a running event loop; connections are opened when they are needed."""
    match target.topology:
        case Topology.STANDALONE:
            return StandaloneLink(target)
        case Topology.SENTINEL:
            return SentinelLink(target)
        case Topology.CLUSTER:
            return ClusterLink(target)
