from typing import Any

import pytest

from e2e.cluster.storage import Create, Delete, Expand, decide, parse_size, render_volume

pytestmark = pytest.mark.unit


def claim(uid: str = "u1", *, asks: str = "1Gi", volume: str = "", holds: str = "", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "demo", "name": f"data-{uid}", "uid": uid},
        "spec": {
            "storageClassName": "carnelian-local",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": asks}},
            **({"volumeName": volume} if volume else {}),
            **spec,
        },
        "status": {"phase": "Bound", "capacity": {"storage": holds}} if holds else {"phase": "Pending"},
    }


def volume(name: str, *, holds: str = "1Gi", phase: str = "Bound", policy: str = "Delete") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {
            "storageClassName": "carnelian-local",
            "capacity": {"storage": holds},
            "persistentVolumeReclaimPolicy": policy,
        },
        "status": {"phase": phase},
    }


def test_a_new_claim_gets_a_volume_once() -> None:
    new = claim()
    assert decide([new], []) == [Create(new)]
    assert decide([new], [volume("pvc-u1", phase="Available")]) == []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(claim(storageClassName="fast"), id="another class"),
        pytest.param(claim(storageClassName=None), id="no class"),
        pytest.param(claim(volume="pvc-foreign"), id="bound to a volume that is not ours"),
    ],
)
def test_what_is_not_ours_is_left_alone(other: dict[str, Any]) -> None:
    assert decide([other], []) == []


def test_a_claim_that_is_going_away_gets_nothing() -> None:
    going = claim()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert decide([going], []) == []


@pytest.mark.parametrize(("on_volume", "on_claim"), [("1Gi", "1Gi"), ("2Gi", "1Gi")])
def test_expansion_goes_on_until_volume_and_claim_agree(on_volume: str, on_claim: str) -> None:
    grown = claim(asks="2Gi", volume="pvc-u1", holds=on_claim)
    assert decide([grown], [volume("pvc-u1", holds=on_volume)]) == [Expand(grown, "pvc-u1")]


def test_a_settled_claim_needs_nothing() -> None:
    assert decide([claim(asks="2Gi", volume="pvc-u1", holds="2Gi")], [volume("pvc-u1", holds="2Gi")]) == []


@pytest.mark.parametrize(("policy", "expected"), [("Delete", [Delete("pvc-u1")]), ("Retain", [])])
def test_a_released_volume_goes_unless_it_is_retained(policy: str, expected: list[Delete]) -> None:
    assert decide([], [volume("pvc-u1", phase="Released", policy=policy)]) == expected


def test_a_volume_points_back_at_its_claim_and_fits_every_node() -> None:
    made = render_volume(claim(asks="256Mi"))
    assert made["metadata"]["name"] == "pvc-u1"
    assert made["spec"]["claimRef"]["uid"] == "u1"
    assert made["spec"]["capacity"] == {"storage": "256Mi"}
    expression = made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]
    assert expression["values"] == ["carn-node1", "carn-node2", "carn-node3"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1Ki", 1024), ("1.5Gi", 3 * 2**29), ("5G", 5 * 10**9), ("128974848", 128974848), ("100m", 0)],
)
def test_quantities(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "Gi", "1KiB", "one", "1GiGi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_size(text)
