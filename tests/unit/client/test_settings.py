"""Where the data plane is: every form, and what an unusable one is told."""

from pathlib import Path

import pytest

from carnelian import Carnelian, ConfigurationError
from carnelian._link import Address, Target, Topology
from carnelian._settings import Settings, target_from_binding, target_from_url
from carnelian.policies import RateLimitPolicy

pytestmark = pytest.mark.unit

SENTINEL = {
    "type": "redis",
    "provider": "carnelian",
    "mode": "sentinel",
    "host": "shop-primary",
    "port": "6379",
    "username": "app",
    "password": "pa ss:w@rd",
    "sentinels": "s0:26379,s1:26379,s2:26379",
    "master-name": "ns.shop.12345678",
    "sentinel-username": "app",
    "sentinel-password": "other",
    "cluster": "ns/shop",
}


def bind(folder: Path, values: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name).write_text(value)
    (folder / "..data").mkdir(exist_ok=True)  # what kubelet puts beside the keys
    return folder


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", Target.standalone("localhost")),
        ("redis://app:p%40ss@h:7000/3", Target.standalone("h", 7000, username="app", password="p@ss", db=3)),
        ("redis://:secret@h/0", Target.standalone("h", password="secret")),
        ("redis://[::1]:7000", Target.standalone("::1", 7000)),
        ("redis+cluster://a:1,b:2", Target.cluster([("a", 1), ("b", 2)])),
        ("redis+sentinel://u:p@a:1,b:2/m", Target.sentinel([("a", 1), ("b", 2)], "m", username="u", password="p")),
        (
            "redis+sentinel://a:1/m?sentinel-username=s&sentinel-password=t&db=2",
            Target.sentinel([("a", 1)], "m", sentinel_username="s", sentinel_password="t", db=2),
        ),
    ],
)
def test_urls(url: str, expected: Target) -> None:
    assert target_from_url(url) == expected


def test_a_binding_of_the_operator(tmp_path: Path) -> None:
    target = target_from_binding(bind(tmp_path, SENTINEL))
    assert target.topology is Topology.SENTINEL
    assert target.addresses == (Address("s0", 26379), Address("s1", 26379), Address("s2", 26379))
    assert (target.master_name, target.username, target.password) == ("ns.shop.12345678", "app", "pa ss:w@rd")
    assert (target.sentinel_username, target.sentinel_password) == ("app", "other")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"type": "redis", "host": "h", "port": "7000\n"}, Target.standalone("h", 7000)),
        ({"type": "redis", "uri": "redis://:pw@h:1/2"}, Target.standalone("h", 1, password="pw", db=2)),
        ({"host": "h", "mode": "cluster"}, Target.cluster([("h", 6379)])),
    ],
)
def test_other_bindings(tmp_path: Path, values: dict[str, str], expected: Target) -> None:
    assert target_from_binding(bind(tmp_path, values)) == expected


def test_the_environment_in_its_order(tmp_path: Path) -> None:
    root = tmp_path / "root"
    bind(root / "cache", {"type": "redis", "host": "from-root"})
    bind(root / "db", {"type": "postgresql", "host": "no"})
    bound = bind(tmp_path / "bound", {"host": "from-binding"})
    environ = {"SERVICE_BINDING_ROOT": str(root), "POD_NAME": "shop-1", "POD_NAMESPACE": "shop"}
    settings = Settings.from_environ(environ)
    assert settings.target.addresses[0].host == "from-root"
    assert settings.identity.client.startswith("shop-1-")
    assert settings.identity.namespace == "shop"
    environ["CARNELIAN_URL"] = "redis://from-url"
    assert Settings.from_environ(environ).target.addresses[0].host == "from-url"
    environ["CARNELIAN_BINDING"] = str(bound)
    assert Settings.from_environ(environ).target.addresses[0].host == "from-binding"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            {"host": "h", "port": "0"},
            "port: '0': Input should be greater than or equal to 1; use a number from 1 to 65535",
        ),
        ({"host": "h", "port": "x"}, "port: 'x': Input should be a valid integer"),
        (
            {"host": "h", "type": "kafka"},
            "type: 'kafka': Input should be 'redis'; this library speaks to bindings of type",
        ),
        ({"host": "h", "mode": "ring"}, "mode: 'ring': Input should be 'standalone', 'sentinel' or 'cluster'; use"),
        ({"mode": "sentinel", "sentinels": "s0", "master-name": "m"}, "'s0' is not host:port; write them as host:port"),
        ({"mode": "sentinel", "sentinels": "s0:1"}, "needs both sentinels (host:port,…) and master-name"),
        ({"mode": "cluster"}, "mode cluster needs nodes"),
        ({"type": "redis"}, "mode standalone needs host"),
        ({"host": "h", "username": "app"}, "user 'app' has no password"),
    ],
)
def test_an_unusable_binding_names_folder_key_value_and_remedy(
    tmp_path: Path, values: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ({"CARNELIAN_BINDING": str(bind(tmp_path, values))})
    assert f"CARNELIAN_BINDING='{tmp_path}'" in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("localhost:6379", "CARNELIAN_URL: scheme 'localhost' is not supported; write redis://"),
        ("rediss://u:hunter2@h", "scheme 'rediss' is not supported"),
        ("redis://u:hunter2@h/x", "db: 'x': Input should be a valid integer"),
        ("redis://u:hunter2@h:99999", "port: '99999'"),
        ("redis://u:hunter2@", "needs host"),
        ("redis+sentinel://u:hunter2@h:1", "needs both sentinels"),
        ("redis+cluster://u:hunter2@h:1,h", "'h' is not host:port"),
        ("redis://u:hunter2#x@h:1", "write / ? and # in the user and the password as %2F, %3F and %23"),
        ("redis://:hunter2/x@h:1/0", "write / ? and # in the user"),
        ("redis://:hunter2?x@h:1/0", "write / ? and # in the user"),
        ("redis+sentinel://:hunter2?x@h:1/m", "write / ? and # in the user"),
        ("redis+cluster://:hunter2/x@h:1", "write / ? and # in the user"),
        ("redis://u:hunter2\N{ACCOUNT OF}@h:1", "cannot be read as a URL; write redis://"),
        ("redis://u:hunter2@[::1", "cannot be read as a URL"),
    ],
)
def test_an_unusable_url_is_named_without_its_password(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environ({"CARNELIAN_URL": url})
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_without_anything_all_three_ways_are_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Carnelian.from_env({})
    assert all(name in str(caught.value) for name in ("CARNELIAN_BINDING", "CARNELIAN_URL", "SERVICE_BINDING_ROOT"))


def test_a_root_without_or_with_several_bindings(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no folder with a file `type` that says redis"):
        Settings.from_environ({"SERVICE_BINDING_ROOT": str(tmp_path)})
    bind(tmp_path / "a", {"type": "redis"})
    bind(tmp_path / "b", {"type": "redis"})
    with pytest.raises(
        ConfigurationError, match=r"several bindings of type redis \(a, b\); choose with CARNELIAN_BINDING"
    ):
        Settings.from_environ({"SERVICE_BINDING_ROOT": str(tmp_path)})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read \(No such file or directory\); mount the instance's"):
        Carnelian.from_binding(tmp_path / "none")


def test_limiters_may_be_taken_before_the_data_plane_is_there() -> None:
    policy = RateLimitPolicy.model_validate({"rules": [{"name": "all", "limit": 1}]})
    svc = Carnelian(url="redis://localhost:1", limits={"api": policy})
    assert svc.limits("api") is svc.limits("api")
    assert svc.limits("api").generation == 0
    assert svc.limits("other").generation is None


async def test_what_needs_the_data_plane_says_that_it_must_be_entered() -> None:
    svc = Carnelian(url="redis://localhost:1")
    with pytest.raises(RuntimeError, match="async with"):
        await svc.execute("PING")
    with pytest.raises(RuntimeError, match="async with"):
        await svc.limits("api").check()
