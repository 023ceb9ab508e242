"""A thin, typed wrapper of kubectl for the demo and the end-to-end tests: what a user would type."""

import asyncio
import base64
import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]


class KubectlError(RuntimeError):
    """kubectl ended with an error; the text is what it printed."""


class NotInTimeError(AssertionError):
    """A condition did not come true; the text names it and what was seen last."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl, bound to one cluster and one namespace."""

    kubeconfig: Path
    namespace: str
    program: str = "kubectl"

    def run(self, *args: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
        """Run kubectl with the given arguments; returns what it printed.

        Raises:
            KubectlError: it failed, and `check` is true.
        """
        done = subprocess.run(
            [self.program, "--namespace", self.namespace, *args],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def get(self, kind: str, name: str) -> Manifest | None:
        """One object, or None when there is none of that name."""
        text = self.run("get", kind, name, "--ignore-not-found", "--output=json")
        return json.loads(text) if text.strip() else None

    def secret(self, name: str) -> dict[str, str]:
        """The decoded entries of a Secret; empty when it is not there."""
        found = self.get("secret", name) or {}
        return {key: base64.b64decode(value).decode() for key, value in found.get("data", {}).items()}

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        """All objects of a kind in the namespace, by label selector."""
        found = json.loads(self.run("get", kind, f"--selector={selector}", "--output=json"))
        items: list[Manifest] = found["items"]
        return items

    def apply(self, *manifests: Manifest | Path) -> str:
        """``kubectl apply`` of manifests, given as files or as objects."""
        printed = [self.run("apply", "-f", str(item)) for item in manifests if isinstance(item, Path)]
        objects = [item for item in manifests if not isinstance(item, Path)]
        if objects:
            whole = {"apiVersion": "v1", "kind": "List", "items": objects}
            printed.append(self.run("apply", "-f", "-", stdin=json.dumps(whole)))
        return "".join(printed)

    def delete(self, kind: str, name: str, *args: str) -> None:
        """Delete one object if it is there."""
        self.run("delete", kind, name, "--ignore-not-found", *args)

    def ensure_namespace(self) -> None:
        """Create the namespace if it is not there."""
        if self.get("namespace", self.namespace) is None:
            self.run("create", "namespace", self.namespace)

    def wait(self, what: str, ready: Callable[[], Any], *, seconds: float, every: float = 0.1) -> Any:
        """Ask `ready` until it answers something true, and return that.

        Raises:
            NotInTimeError: it did not within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            answer = ready()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise NotInTimeError(f"not within {seconds:.0f} s: {what}; last answer: {answer!r}")
            time.sleep(every)

    def condition(self, kind: str, name: str, type_: str) -> Manifest:
        """The condition of that type, or an empty one with status Unknown."""
        found = self.get(kind, name) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next((item for item in conditions if item["type"] == type_), {"type": type_, "status": "Unknown"})

    def wait_condition(self, kind: str, name: str, type_: str, *, status: str = "True", seconds: float) -> Manifest:
        """Wait until a condition has a status for the object's current generation."""

        def reached() -> Manifest | None:
            found = self.get(kind, name)
            if found is None:
                return None
            generation = found["metadata"]["generation"]
            for item in found.get("status", {}).get("conditions", []):
                if item["type"] == type_ and item["status"] == status and item["observedGeneration"] == generation:
                    return dict(item)
            return None

        try:
            answer: Manifest = self.wait(f"{kind}/{name} {type_}={status}", reached, seconds=seconds)
        except NotInTimeError as error:
            found = self.get(kind, name) or {}
            raise NotInTimeError(f"{error}; status: {json.dumps(found.get('status'), indent=1)}") from None
        return answer

    @asynccontextmanager
    async def port_forward(self, target: str, port: int) -> AsyncIterator[int]:
        """Forward a free local port to a port of a pod or Service while the context lasts; yields the local port."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            "--namespace",
            self.namespace,
            "port-forward",
            "--address=127.0.0.1",
            target,
            f":{port}",
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if not found:
                raise KubectlError(f"kubectl port-forward {target} {port}: {line.strip()}")
            drain = asyncio.create_task(process.stdout.read())
            yield int(found[1])
            drain.cancel()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
