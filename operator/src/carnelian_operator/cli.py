"""The command `carnelian-operator`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version

from carnelian_operator import controllers
from carnelian_operator.runtime import connection, logs
from carnelian_operator.runtime.operator import Operator, Settings, default_identity

_ABOUT = """\
Runs Redis and Valkey on Kubernetes, and delivers service policies to the applications that use them.

It reconciles RedisCluster, RateLimitRule and the other kinds of carnelian.dev, whose CRDs must be applied first.
Any number of processes may run: one leads, the others stand by with warm caches and take over within
15 seconds when it dies, at once when it stops in good order.
"""

_RUN = """\
examples:
  carnelian-operator run                            all namespaces, as the service account of the pod
  KUBECONFIG=~/.kube/config carnelian-operator run --namespace shop --log-format console
                                                    one namespace, from your own machine

what to look at:
  curl :8080/readyz    why it is not ready, in words: a watch not heard, keys that pile up, a late event loop
  curl :8080/metrics   reconciles, queue, watches, calls to the API server, who leads
  kubectl get lease carnelian-operator -o jsonpath='{.spec.holderIdentity}'   who leads

On SIGTERM it takes no new work, lets running reconciles finish, gives the lease back and exits with 0.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        "carnelian-operator", description=_ABOUT, formatter_class=argparse.RawTextHelpFormatter
    )
    top.add_argument("--version", action="version", version=version("carnelian-operator"))
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="run the operator in this process",
        description=_ABOUT,
        epilog=_RUN,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    own = connection.pod_namespace()
    run.add_argument(
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="a namespace to watch; may be given several times (default: all,\nwhich needs a ClusterRole)",
    )
    run.add_argument(
        "--lease-namespace",
        metavar="NAME",
        help="where the Lease lives that says who leads (default: the pod's\n"
        "own namespace, else the first --namespace, else default)",
    )
    run.add_argument(
        "--lease-name",
        default="carnelian-operator",
        metavar="NAME",
        help="of processes with the same Lease one leads; give a second\n"
        "installation in the same namespace another (default: %(default)s)",
    )
    run.add_argument(
        "--health-port",
        type=int,
        default=8080,
        metavar="PORT",
        help="of /healthz, /readyz and /metrics (default: %(default)s)",
    )
    run.add_argument(
        "--workers", type=_positive, default=8, metavar="N", help="reconciles side by side (default: %(default)s)"
    )
    run.add_argument(
        "--resync-seconds",
        type=_positive,
        default=300,
        metavar="S",
        help="look at every object again after so long, even when nothing\n"
        "seems to have changed (default: %(default)s)",
    )
    run.add_argument(
        "--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="(default: %(default)s)"
    )
    run.add_argument(
        "--log-format",
        default="json",
        choices=["json", "console"],
        help="json for machines, console for people (default: %(default)s)",
    )
    run.set_defaults(own_namespace=own)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 after an orderly stop, 1 when it could not run on."""
    args = parser().parse_args(argv)
    identity = default_identity()
    logs.configure(args.log_level, args.log_format, identity=identity)
    settings = Settings(
        namespaces=tuple(dict.fromkeys(args.namespace)),
        lease_namespace=args.lease_namespace or args.own_namespace or next(iter(args.namespace), "default"),
        lease_name=args.lease_name,
        health_port=args.health_port,
        workers=args.workers,
        resync=float(args.resync_seconds),
    )
    try:
        asyncio.run(_run(settings, identity))
    except connection.NoClusterError as error:
        sys.stderr.write(f"carnelian-operator: {error}\n")
        return 1
    return 0


async def _run(settings: Settings, identity: str) -> None:
    await Operator(settings, controllers.build, identity).run()


def _positive(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number
