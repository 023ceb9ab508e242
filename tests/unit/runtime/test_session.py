"""A watch is recognised by its requests' address, however the API server's own is written."""

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from yarl import URL

from carnelian_operator.runtime.api import Kind
from carnelian_operator.runtime.session import Watch, WatchSession, request_url

POD = Kind("", "v1", "Pod", "pods")


@pytest.mark.parametrize(
    "host", ["https://10.96.0.1:443", "https://10.96.0.1", "https://10.96.0.1:6443/", "http://[::1]:80"]
)
@pytest.mark.parametrize("namespace", ["", "shop"])
def test_the_address_is_the_one_that_requests_carry(host: str, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
    asked = URL(host.rstrip("/") + path).with_query(watch="true")
    assert request_url(host, Watch(POD, namespace, heard=0.0)) == str(asked.with_query(None))


async def test_a_session_that_kopf_never_took_is_closed_in_the_end() -> None:
    api = ApiClient(Configuration(host="http://127.0.0.1:1"))
    sessions = WatchSession(api, [], clock=lambda: 0.0, listed=lambda *_: None)
    taken, left = sessions.open(), sessions.open()
    await taken.close()
    await sessions.aclose()
    assert taken.closed
    assert left.closed
    await api.close()  # type: ignore[no-untyped-call]
