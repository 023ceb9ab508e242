import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnelian_operator.api.rediscluster import VERSIONS, Engine, Profile
from carnelian_operator.engines.acl import USERS, sentinel_users, server_users
from carnelian_operator.engines.directives import DIRECTIVES, check
from carnelian_operator.engines.quoting import quote
from carnelian_operator.engines.releases import RELEASES, Release, find_release
from carnelian_operator.engines.sentinel_conf import quorum, sentinel_auth_conf, sentinel_conf
from carnelian_operator.engines.server_conf import (
    ELECTABLE,
    ServerSettings,
    live_settings,
    restart_settings,
    server_conf,
)

pytestmark = pytest.mark.unit
ALL = [release for releases in RELEASES.values() for release in releases]
PASSWORDS = {user: user.upper() for user in USERS}


def settings(release: Release, profile: Profile = Profile.DURABLE, replicas: int = 2) -> ServerSettings:
    return ServerSettings(release, profile, replicas, memory_limit=1000)


def test_we_run_exactly_the_versions_that_the_api_accepts() -> None:
    assert {engine: tuple(r.version for r in found) for engine, found in RELEASES.items()} == dict(VERSIONS)


def test_an_unknown_version_is_refused_with_those_that_are_served() -> None:
    with pytest.raises(ValueError, match=r"'6.2' is not a served version of Redis; use one of 7.2, 7.4, 8.0"):
        find_release(Engine.REDIS, "6.2")


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("release", ALL, ids=lambda r: f"{r.engine}-{r.version}")
def test_no_release_is_given_a_directive_that_it_does_not_know(release: Release, profile: Profile) -> None:
    rendered = [line.split()[0] for line in server_conf(settings(release, profile)).splitlines() if line[0] != "#"]
    assert len(rendered) == len(set(rendered)) > 15
    for name in rendered:
        check(release, name)


def test_every_listed_directive_is_rendered_somewhere() -> None:
    used = {
        name for release in ALL for name in {**live_settings(settings(release)), **restart_settings(settings(release))}
    }
    assert used | ELECTABLE.keys() == set(DIRECTIVES)


def test_a_directive_of_another_engine_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'dual-channel-replication-enabled' is not known to Redis 8.0"):
        check(find_release(Engine.REDIS, "8.0"), "dual-channel-replication-enabled")


@pytest.mark.parametrize(
    ("profile", "replicas", "expected"),
    [
        (Profile.DURABLE, 2, {"min-replicas-to-write": "1", "maxmemory": "600", "maxmemory-policy": "noeviction"}),
        (Profile.DURABLE, 1, {"min-replicas-to-write": "0"}),
        (Profile.CACHE, 2, {"min-replicas-to-write": "0", "maxmemory": "750", "maxmemory-policy": "allkeys-lru"}),
    ],
)
def test_the_profile_decides_about_durability(profile: Profile, replicas: int, expected: dict[str, str]) -> None:
    found = live_settings(settings(find_release(Engine.VALKEY, "9.1"), profile, replicas))
    assert expected.items() <= found.items()
    assert (restart_settings(settings(ALL[0], profile))["appendonly"] == "yes") is (profile is Profile.DURABLE)


def test_the_configuration_of_a_durable_valkey_is_this() -> None:
    assert server_conf(settings(find_release(Engine.VALKEY, "9.1"))) == (
        "# What takes effect only by a restart.\n"
        "port 6379\nprotected-mode no\ndaemonize no\n"
        'logfile ""\ndir /data\naclfile /etc/carnelian/credentials/users.acl\n'
        'appendonly yes\nsave ""\ntcp-keepalive 60\n'
        "repl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 2\n"
        "shutdown-on-sigterm default\nshutdown-timeout 10\nappendfsync everysec\n"
        "hide-user-data-from-log yes\ndual-channel-replication-enabled no\n"
        "# What running servers are also told at once.\n"
        "maxmemory 600\nmaxmemory-policy noeviction\nmin-replicas-to-write 1\nmin-replicas-max-lag 10\n"
    )


def test_sentinels_use_names_before_they_are_told_any() -> None:
    text = sentinel_conf()
    assert "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n" in text
    assert "monitor" not in text


@pytest.mark.parametrize(("sentinels", "needed"), [(3, 2), (5, 3), (9, 5)])
def test_a_quorum_is_a_majority(sentinels: int, needed: int) -> None:
    assert quorum(sentinels) == needed


@pytest.mark.parametrize("text", [server_users(ALL[-1], PASSWORDS), sentinel_users(PASSWORDS)])
def test_users_are_listed_with_hashes_and_nobody_gets_in_without_a_name(text: str) -> None:
    lines = text.splitlines()
    assert lines[0] == "user default off resetchannels -@all"
    assert [line.split()[1] for line in lines[1:]] == list(USERS)
    assert not any(password in text for password in PASSWORDS.values())


def test_applications_get_no_administrative_command() -> None:
    app = server_users(ALL[-1], PASSWORDS).splitlines()[-1]
    assert app.startswith("user app on #")
    assert app.endswith("~* &* +@all -@admin -@dangerous +info +role")


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1))
def test_a_quoted_value_is_one_word_and_the_same_again(value: str) -> None:
    assert shlex.split(quote(value)) == [value]


@pytest.mark.parametrize("hostile", ["a\nrequirepass x", "a\r", "a\0b", "\x1b[0m"])
def test_a_value_that_could_start_another_directive_is_refused(hostile: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        sentinel_auth_conf(hostile)
