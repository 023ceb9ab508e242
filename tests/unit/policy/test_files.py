"""Policies from files, as one would apply them to a cluster."""

import json
from pathlib import Path

import pytest

from carnelian._client import KINDS
from carnelian._policy.files import load
from carnelian.errors import ConfigurationError

pytestmark = pytest.mark.unit

RULE = """
apiVersion: carnelian.dev/v1alpha1
kind: RateLimitRule
metadata: {name: api}
spec:
  clusterRef: {name: shop}
  rules: [{name: all, limit: 5}]
"""
OTHERS = """
apiVersion: carnelian.dev/v1alpha1
kind: RedisCluster
metadata: {name: shop}
---
apiVersion: v1
kind: Secret
---
"""


def _json(name: str) -> str:
    spec = {"rules": [{"name": "all", "limit": 7}]}
    resource = {
        "apiVersion": "carnelian.dev/v1alpha1",
        "kind": "RateLimitRule",
        "metadata": {"name": name},
        "spec": spec,
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [resource]})


def test_a_folder_that_is_applied_to_a_cluster_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(OTHERS + RULE)
    (tmp_path / "b.json").write_text(_json("login"))
    (tmp_path / "notes.txt").write_text("{")
    snapshot = load(tmp_path, KINDS)
    assert snapshot.epoch == 0
    assert snapshot.names("RateLimitRule") == ["api", "login"]
    assert snapshot.held["RateLimitRule/api"].policy.rules[0].limit == 5
    assert snapshot.held["RateLimitRule/login"].policy.rules[0].limit == 7


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.json", "{", "a.json: cannot be read as JSON"),
        ("a.yaml", "a: [", "a.yaml: cannot be read as YAML"),
        ("a.yaml", RULE.replace("limit: 5", "limit: 0"), "RateLimitRule/api: rules.0.limit: Input should be greater"),
        ("a.yaml", RULE.replace("limit: 5", "limits: 5"), "(got '5')"),
        ("a.yaml", RULE.replace("{name: api}", "{}"), "needs metadata.name and spec"),
        ("a.yaml", RULE.replace("rules: ", "rules: [] # "), "rules: List should have at least 1 item"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / name, KINDS)
    assert complaint in str(caught.value)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is neither a file nor a folder"):
        load(tmp_path / "none", KINDS)
