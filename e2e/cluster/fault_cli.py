"""The `fault` sub-commands: each is one function of `faults`, by hand."""

from __future__ import annotations

import argparse
import signal as signals
from collections.abc import Callable

from e2e.cluster import faults
from e2e.cluster.progress import say

_ABOUT = """Do one fault, or take it back. Nodes may be given by number.

  fault kill-process shop-0 -n demo                 kill -9 of the container's first process
  fault kill-process shop-0 -n demo --process valkey-server --signal TERM
  fault freeze shop-0 -n demo                       stop its processes where they stand; `thaw` lets them go on
  fault cut-link 2                                  pull node 2's cable; `heal-link 2` plugs it back
  fault fill-volume data-shop-0 -n demo             leave no free block; `free-volume` gives it back
"""


def add_fault_commands(parent: argparse.ArgumentParser) -> None:
    """Add the sub-commands."""
    parent.description = _ABOUT
    parent.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parent.add_subparsers(dest="fault", required=True, metavar="FAULT")

    def add(name: str, text: str, run: Callable[[argparse.Namespace], object]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=lambda given: _told(name, run, given))
        return command

    def on_pod(name: str, text: str, run: Callable[[argparse.Namespace], object]) -> argparse.ArgumentParser:
        command = add(name, text, run)
        command.add_argument("pod")
        command.add_argument("-n", "--namespace", default="default")
        return command

    kill = on_pod(
        "kill-process",
        "send a signal to a container's first process, or to those of one name",
        lambda a: faults.kill_process(a.namespace, a.pod, a.container, a.signal, a.process),
    )
    kill.add_argument("--signal", type=_signal, default=signals.SIGKILL, help="such as KILL or TERM; KILL when absent")
    kill.add_argument("--process", help="name of the processes to hit, such as valkey-server")
    freeze = on_pod("freeze", "stop a container's processes", lambda a: faults.freeze(a.namespace, a.pod, a.container))
    thaw = on_pod("thaw", "let a frozen container go on", lambda a: faults.thaw(a.namespace, a.pod, a.container))
    for command in (kill, freeze, thaw):
        command.add_argument("-c", "--container", help="the first when absent")
    delete = on_pod("delete-pod", "delete a pod", lambda a: faults.delete_pod(a.namespace, a.pod, a.grace))
    delete.add_argument("--grace", type=int, help="seconds; 0 is by force; the pod's own setting when absent")
    for name, text, on_node in (
        ("cut-link", "pull a node's network cable", faults.cut_link),
        ("heal-link", "plug it back, with its routes", faults.heal_link),
        ("stop-kubelet", "stop a node's kubelet; its containers run on", faults.stop_kubelet),
        ("start-kubelet", "start it again and wait until the node is Ready", faults.start_kubelet),
        ("drain-node", "cordon a node and evict its pods", faults.drain_node),
        ("uncordon-node", "let pods onto it again", faults.uncordon_node),
    ):
        add(name, text, lambda a, act=on_node: act(a.node)).add_argument("node")  # type: ignore[misc]
    for name, text, on_claim in (
        ("fill-volume", "leave no free block on a claim's volume", faults.fill_volume),
        ("free-volume", "give back what fill-volume took", faults.free_volume),
    ):
        claim = add(name, text, lambda a, act=on_claim: act(a.namespace, a.claim))  # type: ignore[misc]
        claim.add_argument("claim", help="name of a PersistentVolumeClaim")
        claim.add_argument("-n", "--namespace", default="default")


def _told(name: str, run: Callable[[argparse.Namespace], object], given: argparse.Namespace) -> None:
    result = run(given)
    say(f"{name}: done" if result is None else f"{name}: done ({result})")


def _signal(text: str) -> signals.Signals:
    name = text.upper().removeprefix("SIG")
    try:
        return signals.Signals[f"SIG{name}"]
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"no signal {text!r}; such as KILL, TERM, STOP") from error
