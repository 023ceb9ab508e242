"""The nodes' network: a bridge, one network namespace and one cable a node, static routes, and no way out."""

from __future__ import annotations

import socket

from e2e.cluster.layout import BRIDGE, HOST, NODES, SERVICES, Node
from e2e.cluster.ledger import Ledger
from e2e.cluster.shell import run, succeeds

# The host does not forward for the cluster. The first rule (evaluated last) says so even where forwarding is on; the
# second lets nodes talk where the host's firewall also filters its bridges.
_FIREWALL = (f"-i {BRIDGE} ! -o {BRIDGE} -j DROP", f"-i {BRIDGE} -o {BRIDGE} -j ACCEPT")


def create(ledger: Ledger) -> None:
    """Make everything; the nodes reach each other, the host, and nothing else."""
    ledger.add("link", BRIDGE)
    _ip("link add", BRIDGE, "type bridge")
    _ip(f"addr add {HOST}/24 dev", BRIDGE)
    _ip("link set", BRIDGE, "up")
    for node in NODES:
        ledger.add("netns", node.name)
        _ip("netns add", node.name)
        ledger.add("link", node.link)
        _ip("link add", node.link, f"type veth peer name eth0 netns {node.name}")
        _ip("link set", node.link, f"master {BRIDGE} up")
        _ip(f"-n {node.name} addr add {node.address}/24 dev eth0")
        _ip(f"-n {node.name} link set lo up")
        _ip(f"-n {node.name} link set eth0 up")
        run([*node.enter, "sysctl", "-qw", "net.ipv4.ip_forward=1"])
        _ip(f"route replace {node.pods} via {node.address}")
    for node in NODES:
        put_routes(node)
    _ip(f"route replace {SERVICES} via {NODES[0].address}")  # so that a program on the host reaches Services
    for rule in _FIREWALL:
        ledger.add("firewall", rule)
        run(["iptables", "-w", "-I", "FORWARD", *rule.split()])


def restore_routes(node: Node) -> None:
    """Put back every route over a node's cable, on the host and on the node; a link that was down may lose them."""
    _ip(f"-n {node.name} link set eth0 up")
    _ip(f"route replace {node.pods} via {node.address}")
    put_routes(node)


def answers(node: Node) -> bool:
    """Whether the host reaches the node's kubelet port; a refusal is an answer too."""
    try:
        socket.create_connection((node.address, 10250), timeout=1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def put_routes(node: Node) -> None:
    """Routes of a node to the pods of the others."""
    _ip(f"-n {node.name} route replace default via {HOST}")
    for other in NODES:
        if other != node:
            _ip(f"-n {node.name} route replace {other.pods} via {other.address}")


def set_link(node: Node, *, up: bool) -> None:
    """Pull or plug the node's cable at the host's end, so that packets vanish instead of being refused."""
    _ip("link set", node.link, "up" if up else "down")


def delete_netns(name: str) -> None:
    """Remove a network namespace; fine when there is none."""
    if name in run(["ip", "netns", "list"]).split():
        _ip("netns delete", name)


def delete_link(name: str) -> None:
    """Remove a link; fine when there is none."""
    if succeeds(["ip", "link", "show", name]):
        _ip("link delete", name)


def delete_firewall(rule: str) -> None:
    """Remove a rule of the FORWARD chain; fine when there is none."""
    while succeeds(["iptables", "-w", "-C", "FORWARD", *rule.split()]):
        run(["iptables", "-w", "-D", "FORWARD", *rule.split()])


def _ip(*words: str) -> None:
    run(["ip", *" ".join(words).split()])
