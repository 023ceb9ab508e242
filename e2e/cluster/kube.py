"""A small Kubernetes client for the harness itself: JSON over HTTPS, list, write and watch. The product has its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]


class KubeError(RuntimeError):
    """The API server refused; carries its message.

    Attributes:
        status: HTTP status, such as 404.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Kube:
    """Client for one kubeconfig that authenticates by token."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._address = urllib.parse.urlsplit(cluster["server"])
        self._token = config["users"][0]["user"]["token"]
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])

    def request(
        self, method: str, path: str, body: Object | None = None, content: str = "application/json", seconds: float = 10
    ) -> Object:
        """Send one request and return the answer's object.

        Raises:
            KubeError: The API server refused.
            OSError: It cannot be reached, or not within `seconds`.
        """
        connection = self._connect(seconds)
        try:
            text = self._send(connection, method, path, body, content).read().decode()
        finally:
            connection.close()
        try:
            answer: Object = json.loads(text)
        except json.JSONDecodeError:  # such as /readyz, which answers in words
            return {"text": text}
        return answer

    def list(self, path: str) -> list[Object]:
        """Items of a collection."""
        items: list[Object] = self.request("GET", path).get("items", [])
        return items

    def watch(self, path: str, seconds: int) -> Iterator[Object]:
        """Events of a collection from now on, until the server ends the watch after `seconds`."""
        joiner = "&" if "?" in path else "?"
        connection = self._connect(seconds + 10)
        try:
            response = self._send(connection, "GET", f"{path}{joiner}watch=1&timeoutSeconds={seconds}")
            while line := response.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def _connect(self, seconds: float) -> http.client.HTTPSConnection:
        host, port = self._address.hostname or "", self._address.port
        return http.client.HTTPSConnection(host, port, context=self._tls, timeout=seconds)

    def _send(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: Object | None = None,
        content: str = "application/json",
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        if response.status >= 400:
            text = response.read().decode(errors="replace")
            with contextlib.suppress(json.JSONDecodeError):
                text = json.loads(text).get("message", text)
            raise KubeError(response.status, f"{method} {path}: {text}")
        return response
