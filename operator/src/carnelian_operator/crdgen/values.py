"""The values of the Helm chart: one model from which the schema, the defaults and their documentation are made."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Labels = dict[str, str]


class _Values(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


class PullPolicy(StrEnum):
    """When a node pulls an image."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"


class LogLevel(StrEnum):
    """The least urgent messages that are logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Image(_Values):
    """The operator's image."""

    repository: Annotated[str, Field(min_length=1)] = "carnelian/operator"
    """Registry and name."""
    tag: str = ""
    """Tag; the chart's appVersion when empty."""
    digest: Annotated[str, Field(pattern=r"^(sha256:[a-f0-9]{64})?$")] = ""
    """Digest (sha256:…); wins over the tag."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """When nodes pull it."""
    pull_secrets: list[str] = []
    """Names of Secrets with credentials of the registry."""


class ServiceAccount(_Values):
    """The operator's identity."""

    create: bool = True
    """Whether the chart creates it."""
    name: str = ""
    """Its name; the release's when empty."""
    annotations: Labels = {}
    """Annotations of the service account."""


class Rbac(_Values):
    """Roles."""

    create: bool = True
    """Whether the chart creates the operator's roles and bindings; if not, somebody else must."""
    aggregate: bool = True
    """Whether users who may view or edit a namespace may do so with the kinds of carnelian.dev."""


class Crds(_Values):
    """The definitions of the kinds of carnelian.dev."""

    enabled: bool = True
    """Whether this release installs and upgrades them. Only one release of a cluster may."""
    keep: bool = True
    """Whether they, and with them every resource and its data plane, stay when the release is uninstalled."""


class DisruptionBudget(_Values):
    """Protection from drains."""

    enabled: bool = True
    """Whether a drain must leave one replica of the operator running. Has no effect with one replica."""


class MetricsService(_Values):
    """Metrics in the Prometheus format, on /metrics of the health port."""

    enabled: bool = True
    """Whether a Service offers them."""
    annotations: Labels = {}
    """Annotations of the Service, for example for a Prometheus that scrapes by them."""


class Amounts(_Values):
    """Amounts of a pod's resources."""

    cpu: str | int | None = None
    """CPU, for example 100m."""
    memory: str | int | None = None
    """Memory, for example 128Mi."""


class ResourceValues(_Values):
    """CPU and memory of each replica."""

    requests: Amounts = Amounts(cpu="50m", memory="128Mi")
    """What is set aside for it."""
    limits: Amounts = Amounts(memory="256Mi")
    """What it may use at most."""


class Values(_Values):
    """All values of the chart."""

    name_override: str = ""
    """Instead of the chart's name in the names of objects."""
    fullname_override: str = ""
    """Instead of the release's and the chart's name in the names of objects."""
    image: Image = Image()
    """The operator's image."""
    replicas: Annotated[int, Field(ge=1, le=5)] = 2
    """Processes of the operator: one leads, the others stand by with warm caches."""
    watch_namespaces: list[Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]] = []
    """Namespaces that the operator serves, by Roles in each of them. Empty: all, by a ClusterRole."""
    log_level: LogLevel = LogLevel.INFO
    """The least urgent messages that are logged."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Reconciles side by side."""
    resync_seconds: Annotated[int, Field(ge=10, le=86_400)] = 300
    """Every resource is looked at again after this long, even when nothing seems to have changed."""
    extra_args: list[str] = []
    """Further arguments of `carnelian-operator run`."""
    resources: ResourceValues = ResourceValues()
    """CPU and memory of each replica."""
    service_account: ServiceAccount = ServiceAccount()
    """The operator's identity."""
    rbac: Rbac = Rbac()
    """Roles."""
    crds: Crds = Crds()
    """The definitions of the kinds of carnelian.dev."""
    pod_disruption_budget: DisruptionBudget = DisruptionBudget()
    """Protection from drains."""
    metrics: MetricsService = MetricsService()
    """Metrics in the Prometheus format."""
    pod_annotations: Labels = {}
    """Annotations of the operator's pods."""
    pod_labels: Labels = {}
    """Further labels of the operator's pods."""
    priority_class_name: str = ""
    """Priority class of the operator's pods."""
    node_selector: Labels = {}
    """Labels that a Kubernetes node must have to run the operator."""
    tolerations: list[dict[str, Any]] = []
    """Taints that the operator's pods put up with."""
    affinity: dict[str, Any] = {}
    """Affinity of the operator's pods. Replicas are spread over nodes and zones in any case."""
    termination_grace_period_seconds: Annotated[int, Field(ge=5, le=300)] = 30
    """How long a replica may finish what it is doing when it is stopped."""
    global_: Annotated[dict[str, Any], Field(alias="global")] = {}
    """Values that Helm shares among charts; none are used."""
