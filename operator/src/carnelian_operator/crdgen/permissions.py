"""Everything that the operator does to a cluster, and what its users may do: the one list that roles are made from."""

from dataclasses import dataclass

from carnelian_operator.api.base import GROUP
from carnelian_operator.api.resources import RESOURCES

_PLURALS = tuple(sorted(resource.kind.plural for resource in RESOURCES))
_READ = ("get", "list", "watch")
_APPLY = (*_READ, "create", "patch")
"""Nothing that an instance owns is deleted by the operator: the garbage collector does, by owner references."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One rule of a role, and why it is there."""

    why: str
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]

    def rule(self) -> dict[str, list[str]]:
        """The rule as a manifest has it."""
        return {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}


OPERATOR = (
    Permission("Read what people ask for; the operator never writes it.", GROUP, _PLURALS, _READ),
    Permission("Say what became of it.", GROUP, tuple(f"{plural}/status" for plural in _PLURALS), ("patch",)),
    Permission(
        "Own objects in the name of a resource, where the API server asks for this right (OpenShift does).",
        GROUP,
        tuple(f"{plural}/finalizers" for plural in _PLURALS),
        ("update",),
    ),
    Permission("Run the servers and the Sentinels.", "apps", ("statefulsets",), _APPLY),
    Permission("Give instances addresses and configuration.", "", ("configmaps", "services"), _APPLY),
    Permission(
        "Keep passwords and bindings. The operator asks only for Secrets with its own label; a role cannot say so.",
        "",
        ("secrets",),
        _APPLY,
    ),
    Permission("Keep a drain from taking too many nodes of an instance.", "policy", ("poddisruptionbudgets",), _APPLY),
    Permission("Label pods with their role, and restart them one by one.", "", ("pods",), (*_READ, "patch", "delete")),
    Permission("See whether volumes are bound, and let them grow.", "", ("persistentvolumeclaims",), (*_READ, "patch")),
    Permission("Tell people what happens to their resources.", "events.k8s.io", ("events",), ("create", "patch")),
)
"""In every namespace that the operator watches."""

USERS_VIEW = (Permission("Added to the built-in roles view, edit and admin.", GROUP, _PLURALS, _READ),)
USERS_EDIT = (
    Permission(
        "Added to the built-in roles edit and admin.",
        GROUP,
        _PLURALS,
        ("create", "update", "patch", "delete", "deletecollection"),
    ),
)
