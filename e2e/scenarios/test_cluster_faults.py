"""Each fault of `e2e.cluster.faults` does what it says on the local cluster, and its counterpart takes it back."""

import signal
import socket
import uuid
from collections.abc import Iterator

import pytest

from e2e.cluster import faults, network, storage
from e2e.cluster.layout import BRIDGE, NODES, node
from e2e.cluster.provider import ClusterHandle
from e2e.cluster.shell import HarnessError, succeeds
from e2e.kubectl import Kubectl, KubectlError, Manifest

REPLICAS = len(NODES)


def _victims() -> Manifest:
    labels = {"app": "victim"}
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "victim"},
        "spec": {
            "replicas": REPLICAS,
            "serviceName": "victim",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 5,
                    "securityContext": {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999},
                    "topologySpreadConstraints": [{**spread, "labelSelector": {"matchLabels": labels}}],
                    "containers": [
                        {
                            "name": "server",
                            "image": "docker.io/valkey/valkey:9.1",
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["valkey-server", "--dir", "/data", "--protected-mode", "no", "--save", ""],
                            "resources": {"limits": {"memory": "128Mi"}},
                            "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
                            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        }
                    ],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}},
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def victims(cluster: ClusterHandle) -> Iterator[Kubectl]:
    """One Valkey a node, each with a volume; kubectl in their namespace."""
    if cluster.kind != "local":
        pytest.skip(f"faults reach into the local cluster's machine; this one is {cluster.kind}")
    kubectl = Kubectl(cluster.kubeconfig, f"faults-{uuid.uuid4().hex[:6]}", str(cluster.kubectl))
    kubectl.ensure_namespace()
    service = {"clusterIP": "None", "selector": {"app": "victim"}, "ports": [{"port": 6379}]}
    kubectl.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "victim"}, "spec": service}, _victims())
    _all_ready(kubectl)
    yield kubectl
    kubectl.run("delete", "namespace", kubectl.namespace, "--wait=true", timeout=90)


def _all_ready(kubectl: Kubectl, seconds: float = 60) -> None:
    def ready() -> bool:
        found = kubectl.get("statefulset", "victim")
        return found is not None and found.get("status", {}).get("readyReplicas") == REPLICAS

    kubectl.wait("all victims to be ready", ready, seconds=seconds)


def _pod(kubectl: Kubectl, name: str) -> Manifest:
    found = kubectl.get("pod", name)
    assert found is not None
    return found


def _answers(kubectl: Kubectl, pod: str) -> bool:
    address = _pod(kubectl, pod).get("status", {}).get("podIP")
    try:
        with socket.create_connection((address, 6379), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64) == b"+PONG\r\n"
    except OSError:
        return False


def _pod_to_pod(kubectl: Kubectl, source: str, target: str) -> bool:
    host = f"{target}.victim.{kubectl.namespace}.svc"
    try:
        return "PONG" in kubectl.run("exec", source, "--", "timeout", "2", "valkey-cli", "-h", host, "PING", timeout=20)
    except KubectlError:
        return False


def _node_of(kubectl: Kubectl, pod: str) -> str:
    name: str = _pod(kubectl, pod)["spec"]["nodeName"]
    return name


@pytest.mark.parametrize(
    ("number", "process"), [(signal.SIGKILL, None), (signal.SIGTERM, "valkey-server")], ids=["kill", "term-by-name"]
)
def test_a_killed_process_is_started_again(victims: Kubectl, number: signal.Signals, process: str | None) -> None:
    def restarts() -> int:
        count: int = _pod(victims, "victim-0")["status"]["containerStatuses"][0]["restartCount"]
        return count

    before = restarts()
    hit = faults.kill_process(victims.namespace, "victim-0", signal=number, process=process)
    assert len(hit) == 1
    victims.wait("a restart", lambda: restarts() == before + 1, seconds=45)
    victims.wait("an answer", lambda: _answers(victims, "victim-0"), seconds=10)
    _all_ready(victims)


def test_a_process_that_is_not_there_is_an_error_that_names_those_that_are(victims: Kubectl) -> None:
    with pytest.raises(HarnessError, match="valkey-server"):
        faults.kill_process(victims.namespace, "victim-0", process="redis-server")


def test_a_frozen_container_is_silent_until_thawed(victims: Kubectl) -> None:
    faults.freeze(victims.namespace, "victim-1")
    try:
        assert not _answers(victims, "victim-1")
        assert _answers(victims, "victim-2")
    finally:
        faults.thaw(victims.namespace, "victim-1")
    victims.wait("an answer", lambda: _answers(victims, "victim-1"), seconds=5)
    _all_ready(victims)


def test_a_cut_node_is_away_for_everybody_and_comes_back(victims: Kubectl) -> None:
    cut = _node_of(victims, "victim-1")
    faults.cut_link(cut)
    try:
        assert not _answers(victims, "victim-1")
        assert not _pod_to_pod(victims, "victim-0", "victim-1")
        assert _pod_to_pod(victims, "victim-0", "victim-2")  # the others, and their DNS, do not notice
        faults.wait_node_ready(node(cut), ready=False, seconds=60)
    finally:
        faults.heal_link(cut)
    victims.wait("an answer", lambda: _answers(victims, "victim-1"), seconds=10)
    victims.wait("pods to reach it", lambda: _pod_to_pod(victims, "victim-0", "victim-1"), seconds=10)
    victims.wait("it to reach pods", lambda: _pod_to_pod(victims, "victim-1", "victim-2"), seconds=10)
    faults.wait_node_ready(node(cut), seconds=30)
    _all_ready(victims)


def test_without_its_kubelet_a_node_is_not_ready_but_its_pods_run(victims: Kubectl) -> None:
    host = _node_of(victims, "victim-2")
    faults.stop_kubelet(host)
    try:
        faults.wait_node_ready(node(host), ready=False, seconds=60)
        assert _answers(victims, "victim-2")
    finally:
        faults.start_kubelet(host)
    _all_ready(victims)
    assert _pod(victims, "victim-2")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_full_volume_refuses_writes_until_freed_or_expanded(victims: Kubectl) -> None:
    def write(mebibytes: int) -> bool:
        script = f"dd if=/dev/zero of=/data/probe bs=1M count={mebibytes} 2>&1; rm -f /data/probe"
        said = victims.run("exec", "victim-0", "--", "sh", "-c", script, timeout=20)
        full = "No space left" in said
        assert full or f"{mebibytes}+0 records out" in said
        return not full

    assert write(32)
    assert not write(80)  # the size that was asked for is a limit
    assert faults.fill_volume(victims.namespace, "data-victim-0") > 32 * 2**20
    assert not write(1)
    faults.free_volume(victims.namespace, "data-victim-0")
    assert write(32)

    grown = '{"spec":{"resources":{"requests":{"storage":"128Mi"}}}}'
    victims.run("patch", "pvc", "data-victim-0", "--patch", grown)

    def expanded() -> bool:
        claim = victims.get("pvc", "data-victim-0") or {}
        return bool(claim["status"]["capacity"]["storage"] == "128Mi")

    victims.wait("the claim's capacity", expanded, seconds=10)
    assert write(80)
    assert not write(160)


def test_a_deleted_pod_comes_back_as_another(victims: Kubectl) -> None:
    before = _pod(victims, "victim-0")["metadata"]["uid"]
    faults.delete_pod(victims.namespace, "victim-0", grace=0)

    def replaced() -> bool:
        found = victims.get("pod", "victim-0")
        return found is not None and found["metadata"]["uid"] != before

    victims.wait("another pod", replaced, seconds=20)
    _all_ready(victims)


def test_a_drained_node_is_empty_until_uncordoned(victims: Kubectl) -> None:
    host = _node_of(victims, "victim-1")
    faults.drain_node(host)
    try:
        left = [each for each in victims.list("pods") if each["spec"].get("nodeName") == host]
        assert left == []
        assert _answers(victims, "victim-0")
    finally:
        faults.uncordon_node(host)
    _all_ready(victims)
    assert _node_of(victims, "victim-1") == host


def test_a_volume_goes_with_its_claim(victims: Kubectl) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    victims.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "brief"}, "spec": spec})

    def bound() -> str:
        claim = victims.get("pvc", "brief") or {}
        return str(claim["spec"].get("volumeName", "")) if claim["status"].get("phase") == "Bound" else ""

    volume = victims.wait("the claim to be bound", bound, seconds=10)
    assert storage.data(volume).is_dir()
    victims.delete("pvc", "brief")
    victims.wait("the volume to be gone", lambda: victims.get("pv", volume) is None, seconds=15)
    assert not storage.folder(volume).exists()


def test_there_is_no_way_out(victims: Kubectl) -> None:
    assert succeeds(["iptables", "-w", "-C", "FORWARD", "-i", BRIDGE, "!", "-o", BRIDGE, "-j", "DROP"])
    lookup = victims.run("exec", "victim-0", "--", "sh", "-c", "getent hosts example.org || echo none")
    assert lookup.strip() == "none"
    assert all(network.answers(each) for each in NODES)
