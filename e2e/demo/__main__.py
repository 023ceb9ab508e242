"""``./dev demo``: see `e2e.demo`."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence

from e2e.cluster.progress import say
from e2e.cluster.provider import ClusterHandle, ensure_cluster
from e2e.cluster.shell import HarnessError
from e2e.demo.acts import Stage, change_rule, kill_primary, roll
from e2e.demo.install import EXAMPLES, Started, helm_install, helm_uninstall, start_shop
from e2e.demo.load import Load, PodView
from e2e.demo.table import Screen
from e2e.kubectl import Kubectl, KubectlError, NotInTimeError

DESCRIPTION = """Run the whole product on a real Kubernetes: install the chart, start an instance and a shop of
three pods, send load, and while it runs (a) change a rule, (b) kill the primary, (c) roll the servers. Ends with a
summary."""

TRY_NEXT = """try next (everything is still running):
  eval "$(./dev cluster env)"                           # KUBECONFIG, and kubectl and helm on PATH
  kubectl -n {namespace} get rediscluster,ratelimitrule
  kubectl -n {namespace} describe rediscluster shop
  kubectl -n {namespace} edit ratelimitrule api          # change a limit ...
  kubectl -n {namespace} wait --for=condition=Enforced ratelimitrule/api
  kubectl -n {namespace} annotate rediscluster shop carnelian.dev/restartedAt="$(date)" --overwrite
  kubectl -n carnelian-system logs deployment/carnelian
  ./dev down                                            # when you are done"""


async def play(cluster: ClusterHandle, kubectl: Kubectl) -> list[str]:
    """Send load to every pod of the shop, and go through the acts."""
    pods = [pod["metadata"]["name"] for pod in kubectl.list("pods", "app=shop")]
    async with contextlib.AsyncExitStack() as stack:
        views = []
        for name in pods:
            port = await stack.enter_async_context(kubectl.port_forward(f"pod/{name}", 8000))
            views.append(PodView(name=name, url=f"http://127.0.0.1:{port}"))
        load = await stack.enter_async_context(Load(views))
        screen = stack.enter_context(Screen(load))
        stage = Stage(kubectl, load, screen, local=cluster.kind == "local")
        screen.note(f"{len(views)} pods of the shop under load")
        await stage.steady(5)
        summary = await change_rule(stage, EXAMPLES / "ratelimitrule.yaml")
        summary += await kill_primary(stage)
        summary += await roll(stage)
        requests, failed = sum(pod.requests for pod in views), sum(pod.failed for pod in views)
        limited = sum(pod.limited for pod in views)
        return [*summary, f"{requests} requests: {limited} limited by the rule, {failed} failed"]


def summarise(started: Started, lines: Sequence[str]) -> str:
    """The text at the end."""
    first = f"kubectl apply to first acknowledged write: {started.first_write:.1f} s; to Ready: {started.ready:.1f} s"
    return "\n".join(["", "summary", *(f"  {line}" for line in (first, *lines)), ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=DESCRIPTION)
    parser.add_argument("--keep", action="store_true", help="leave the cluster, the operator and the shop running")
    parser.add_argument("--namespace", default="demo", help="namespace of the instance and the shop (default: demo)")
    args = parser.parse_args(argv)
    try:
        cluster = ensure_cluster()
        cluster.load_images()
        kubectl = Kubectl(cluster.kubeconfig, args.namespace, str(cluster.kubectl))
        helm_install(cluster)
        started = start_shop(kubectl)
        lines = asyncio.run(play(cluster, kubectl))
    except (HarnessError, KubectlError, NotInTimeError) as error:
        say(f"the demo stopped: {error}")
        say("what was started is still there for a look; ./dev down removes it")
        return 1
    print(summarise(started, lines))
    if args.keep:
        print(TRY_NEXT.format(namespace=args.namespace))
        return 0
    say("removing the demo (--keep leaves it running)")
    kubectl.run("delete", "namespace", args.namespace, "--wait=true", timeout=180)
    helm_uninstall(cluster)
    cluster.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
