from pathlib import Path

import pytest

from e2e.cluster import versions
from e2e.cluster.cli import parser
from e2e.cluster.control_plane import render_corefile
from e2e.cluster.images import source_key
from e2e.cluster.layout import NODES, node
from e2e.cluster.local import mounts_below
from e2e.cluster.nodes import is_ready, render_cni, render_containerd, render_kubelet
from e2e.cluster.packages import missing
from e2e.cluster.paths import cache_dir
from e2e.cluster.rootfs import parse_version
from e2e.cluster.shell import HarnessError, run
from e2e.cluster.versions import TOOLS, GoTool

pytestmark = pytest.mark.unit


def test_the_key_follows_everything_that_decides_the_programs() -> None:
    one = (GoTool("etcd", "go.etcd.io/etcd/server/v3", "3.6.5"),)
    other = (GoTool("etcd", "go.etcd.io/etcd/server/v3", "3.6.6"),)
    keys = {versions.key(one), versions.key(other), versions.key(one, "package main")}
    assert len(keys) == 3
    assert versions.key(one) == versions.key(one)


def test_kubernetes_replaces_its_staging_modules_by_version() -> None:
    kubelet = next(tool for tool in TOOLS if tool.name == "kubelet")
    assert "-replace=k8s.io/api=k8s.io/api@v0.34.4" in kubelet.replacements
    assert kubelet.target == "k8s.io/kubernetes/cmd/kubelet"
    assert GoTool("etcd", "go.etcd.io/etcd/server/v3", "3.6.5").replacements == []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Valkey server v=9.1.2 sha=00000000:0 malloc=jemalloc-5.3.1 bits=64 build=9108", "9.1.2"),
        ("Redis server v=8.0.2 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=b843", "8.0.2"),
    ],
)
def test_the_version_is_what_the_server_says(text: str, version: str) -> None:
    assert parse_version(text) == version


def test_no_version_is_an_error() -> None:
    with pytest.raises(HarnessError, match="no version"):
        parse_version("command not found")


def test_the_cache_is_where_the_caller_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("CARNELIAN_CACHE", raising=False)
    assert cache_dir() == Path("/x/carnelian")
    monkeypatch.setenv("CARNELIAN_CACHE", "/c")
    assert cache_dir() == Path("/c")


def test_mounts_below_a_folder_come_deepest_and_latest_first() -> None:
    table = "\n".join(
        f"none {point} tmpfs rw 0 0"
        for point in ("/", "/var/lib/state", "/var/lib/state/a", "/var/lib/state-of-others", "/var/lib/state/a\\040b")
    )
    found = mounts_below(Path("/var/lib/state"), table)
    assert found == ["/var/lib/state/a b", "/var/lib/state/a", "/var/lib/state"]


def test_an_image_is_built_again_when_a_source_changes_and_only_then(tmp_path: Path) -> None:
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator" / "a.py").write_text("1")
    first = source_key(tmp_path, ["operator"])
    (tmp_path / "operator" / "__pycache__").mkdir()
    (tmp_path / "operator" / "__pycache__" / "a.pyc").write_text("x")
    assert source_key(tmp_path, ["operator"]) == first
    (tmp_path / "operator" / "a.py").rename(tmp_path / "operator" / "b.py")
    assert source_key(tmp_path, ["operator"]) != first


def test_nodes_have_names_addresses_and_networks_of_their_own() -> None:
    for attribute in ("name", "address", "pods", "link", "socket"):
        assert len({getattr(each, attribute) for each in NODES}) == len(NODES)
    assert node("2") == node("carn-node2") == NODES[1]
    with pytest.raises(ValueError, match="carn-node1, carn-node2, carn-node3"):
        node("node9")


def test_everything_a_node_writes_lies_in_its_folder() -> None:
    first = NODES[0]
    kubelet = render_kubelet(first)
    for key in ("podLogsDir", "resolvConf", "volumePluginDir"):
        assert str(kubelet[key]).startswith(str(first.folder))
    config = render_containerd(first, "native")
    assert f'root = "{first.folder}/containerd"' in config
    assert 'snapshotter = "native"' in config
    assert str(first.folder) in str(render_cni(first))


def test_dns_answers_for_the_cluster_and_denies_the_rest() -> None:
    text = render_corefile(Path("/k"))
    assert "kubernetes cluster.local" in text
    assert "NXDOMAIN" in text
    assert "forward" not in text  # no way out


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [([{"type": "Ready", "status": "True"}], True), ([{"type": "Ready", "status": "Unknown"}], False), ([], False)],
)
def test_a_node_is_ready_when_its_condition_says_so(conditions: list[dict[str, str]], expected: bool) -> None:
    assert is_ready({"status": {"conditions": conditions}}) is expected


def test_missing_packages_are_named_once() -> None:
    needs = {"no-such-program": "some-package", "/no/such/file": "some-package", "sh": "dash"}
    assert missing(needs) == ["some-package"]


def test_a_failed_program_shows_what_it_said() -> None:
    with pytest.raises(HarnessError, match=r"exit status 3\nbroken pipe dream"):
        run(["sh", "-c", "echo broken pipe dream; exit 3"])
    with pytest.raises(HarnessError, match="'no-such-program' is not installed"):
        run(["no-such-program"])


@pytest.mark.parametrize(
    "words",
    [
        ["fault", "kill-process", "shop-0", "-n", "demo", "--signal", "term", "--process", "valkey-server"],
        ["fault", "cut-link", "2"],
        ["fault", "fill-volume", "data-0", "-n", "demo"],
        ["load-image", "--build"],
        ["build", "--servers"],
    ],
)
def test_the_command_line_understands(words: list[str]) -> None:
    assert callable(parser().parse_args(words).run)
