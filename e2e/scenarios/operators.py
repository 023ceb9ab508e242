"""Operators as processes on this host, for tests that kill them or count what they write."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.kubectl import Kubectl


class HostOperator:
    """One process of the operator for one namespace, with a Lease of its own."""

    def __init__(self, kubeconfig: Path, namespace: str, lease: str, *, port: int) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix=f"operator-{namespace}-", suffix=".log", delete=False)  # noqa: SIM115
        self.log = Path(self._log.name)
        self.port = port
        command = [sys.executable, "-m", "carnelian_operator", "run", "--namespace", namespace]
        command += ["--lease-namespace", namespace, "--lease-name", lease, "--health-port", str(port)]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        self.process.kill()
        self.process.wait(10)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def rss_mib(self) -> float:
        """Resident memory of the process, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"process {self.process.pid} is gone; its log is {self.log}")

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Stop it in good order, or by force when it does not."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()


@contextmanager
def host_operator(kubeconfig: Path, namespace: str, *, port: int, lease: str = "host") -> Iterator[HostOperator]:
    """An operator on this host, ready, until the block ends."""
    operator = HostOperator(kubeconfig, namespace, lease, port=port)
    try:
        deadline = time.monotonic() + 60
        while not operator.ready:
            if not operator.alive or time.monotonic() > deadline:
                raise AssertionError(f"the operator did not get ready:\n{operator.log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield operator
    finally:
        operator.close()


@contextmanager
def cluster_operator_stopped(kubectl: Kubectl) -> Iterator[None]:
    """The operator that helm installed (if any) does not run while the block does."""
    installed = kubectl.get("deployment", "carnelian")
    if installed is None:
        yield
        return
    replicas = installed["spec"]["replicas"]
    selector = ",".join(f"{key}={value}" for key, value in installed["spec"]["selector"]["matchLabels"].items())
    kubectl.run("scale", "deployment/carnelian", "--replicas=0")
    kubectl.wait("no operator pod is left", lambda: not kubectl.list("pods", selector), seconds=60)
    try:
        yield
    finally:
        kubectl.run("scale", "deployment/carnelian", f"--replicas={replicas}")
        kubectl.run("rollout", "status", "deployment/carnelian", "--timeout=120s", timeout=130)
