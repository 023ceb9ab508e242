"""No secret in any line."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from carnelian_operator.runtime import logs


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "name",
    ["password", "requirepass", "masterauth", "sentinel_password", "token", "Authorization", "uri", "privateKey"],
)
def test_what_is_called_a_secret_is_hidden_at_any_depth(name: str) -> None:
    event = logs.redact(
        None, "", {"event": "x", name: "s3cret", "data": {"inner": [{name: "s3cret"}], name: ["s3cret"]}}
    )
    assert "s3cret" not in str(event)


def test_what_is_no_secret_is_shown() -> None:
    event = {"event": "applied", "name": "shop-credentials", "keys": 3, "author": "x", "password": "", "path": "/a"}
    assert logs.redact(None, "", dict(event)) == event


def test_passwords_in_addresses_are_hidden_and_the_host_is_not() -> None:
    event = logs.redact(None, "", {"event": "at redis://app:s3cret@shop:6379/0"})
    assert event["event"] == "at redis://[redacted]@shop:6379/0"


def test_our_lines_and_those_of_libraries_have_one_form(capsys: pytest.CaptureFixture[str], restored: None) -> None:
    logs.configure("INFO", "json", identity="me")
    structlog.contextvars.bind_contextvars(instance="n/shop", reconcile="r1")
    try:
        structlog.get_logger("ours").info("applied", password="s3cret", kind="Secret")
        logging.getLogger("kopf.objects").warning("stream to redis://u:s3cret@h closed")
        logging.getLogger("kopf.objects").info("not of interest")
        try:
            raise ValueError("redis://u:s3cret@h")
        except ValueError:
            structlog.get_logger("ours").exception("failed")
    finally:
        structlog.contextvars.clear_contextvars()
    printed = capsys.readouterr().err
    ours, theirs, failed = map(json.loads, printed.splitlines())
    assert (ours["event"], ours["instance"], ours["reconcile"], ours["identity"]) == ("applied", "n/shop", "r1", "me")
    assert (theirs["logger"], theirs["level"], theirs["instance"]) == ("kopf.objects", "warning", "n/shop")
    assert "ValueError" in failed["exception"]
    assert "s3cret" not in printed
