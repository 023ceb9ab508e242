"""What a target refuses, and what it never shows."""

from dataclasses import replace

import pytest

from carnelian._link import Address, Target, Topology
from carnelian.errors import ConfigurationError

pytestmark = pytest.mark.unit


def test_constructors_say_the_topology() -> None:
    assert Target.standalone("h").addresses == (Address("h", 6379),)
    assert Target.sentinel([("a", 26379), ("b", 26379)], "m").topology is Topology.SENTINEL
    assert Target.cluster([("a", 6379)]).topology is Topology.CLUSTER


def test_passwords_do_not_show() -> None:
    target = Target.sentinel([("h", 1)], "m", username="app", password="s3cret", sentinel_password="s3ntinel")
    assert "s3" not in repr(target)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Target.cluster([]), "at least one host:port"),
        (lambda: Target.sentinel([("h", 1)], ""), "name under which the Sentinels"),
        (lambda: replace(Target.cluster([("h", 1)]), db=3), "db 3"),
        (lambda: replace(Target.standalone("h"), client_name="two words"), "without spaces"),
        (lambda: Target.standalone("h", username="app"), "'app' has no password"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_addresses_of_ipv6_are_bracketed() -> None:
    assert str(Address("::1", 6379)) == "[::1]:6379"
