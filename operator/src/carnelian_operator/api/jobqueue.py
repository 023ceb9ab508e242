"""`JobQueue`: a queue's policy, and the workers that the operator scales for it."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from carnelian.policies import Duration, Name, QueuePolicy, Text
from carnelian.policies.cel import ListMap, cel, matches
from carnelian_operator.api.base import OnCluster, SpecModel, StatusModel
from carnelian_operator.api.pods import NodeSelector, Resources, Toleration
from carnelian_operator.api.ratelimitrule import PolicyStatus
from carnelian_operator.api.rediscluster import IMAGE, ImagePullPolicy

_MODULE = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$"
_ENV = r"^[A-Za-z_][A-Za-z0-9_]*$"


class WorkloadKind(StrEnum):
    """Kinds of workloads that can run workers."""

    DEPLOYMENT = "Deployment"


class WorkloadRef(SpecModel):
    """A workload in the same namespace; the operator sets its number of replicas and nothing else."""

    kind: WorkloadKind = WorkloadKind.DEPLOYMENT
    """The workload's kind."""
    name: Name
    """The workload's name."""


class EnvVar(SpecModel):
    """An environment variable."""

    name: Annotated[
        str,
        Field(pattern=_ENV, min_length=1, max_length=253),
        matches(_ENV, "must be letters, digits and '_', and start with a letter or '_'"),
    ]
    """The variable's name."""
    value: Text
    """Its value."""


class WorkerTemplate(SpecModel):
    """Workers that the operator runs as a Deployment of its own."""

    image: Annotated[
        str,
        Field(pattern=IMAGE, min_length=1, max_length=255),
        matches(IMAGE, "image must be an image reference like registry.example.org/shop:1.4, without spaces or quotes"),
    ]
    """The application's image; it contains the library."""
    image_pull_policy: ImagePullPolicy = ImagePullPolicy.IF_NOT_PRESENT
    """When nodes pull the image."""
    module: Annotated[
        str,
        Field(pattern=_MODULE, max_length=253),
        matches(_MODULE, "must be a module and the queue in it, like shop.jobs:queue"),
    ]
    """Where the tasks are: a module and the queue in it, like shop.jobs:queue."""
    service_account_name: Name | None = None
    """The service account of the workers' pods; the namespace's default when absent."""
    env: Annotated[list[EnvVar], Field(max_length=64), ListMap("name")] = []
    """Environment variables."""
    env_from_secrets: Annotated[list[Name], Field(max_length=8)] = []
    """Secrets whose entries become environment variables."""
    resources: Resources = Resources()
    """CPU and memory of each worker."""
    node_selector: NodeSelector = {}
    """Labels that a Kubernetes node must have to run workers."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Taints of Kubernetes nodes that workers put up with."""


class Scaling(SpecModel):
    """What decides how many workers there are."""

    latency_target: Duration = "5s"
    """How long a job should wait at most before it starts."""
    drain_target: Duration = "1m"
    """How long it should take to work off what waits."""
    stabilize: Duration = "1m"
    """Workers are taken away only when fewer would have been enough for this long."""
    scale_to_zero_after: Duration = "2m"
    """With `min` 0: the last worker goes when there was nothing to do for this long."""
    wake_burst: Annotated[int, Field(ge=1, le=1000)] = 1
    """Workers that are started at once when the first job arrives."""
    look_ahead: Duration | None = None
    """Counts jobs and schedules that become due within this time. Absent: the measured start-up time of a worker."""


class DrainStrategy(StrEnum):
    """Which workers go first."""

    LEAST_BUSY = "LeastBusy"
    NEWEST = "Newest"


class Drain(SpecModel):
    """How workers are taken away."""

    max_duration: Duration = "30m"
    """How long a worker may finish its jobs; then they are handed to others."""
    strategy: DrainStrategy = DrainStrategy.LEAST_BUSY
    """LeastBusy: the one with the fewest running jobs goes first. Newest: the one that started last."""


@cel(
    "has(self.workloadRef) != has(self.template)",
    "workers are either a workload of yours or run from a template: set exactly one of workloadRef and template",
    field=".workloadRef",
)
@cel(
    "self.min <= self.max",
    "min must not be above max: lower min, or raise max",
    field=".min",
)
@cel(
    "self.scaling.wakeBurst <= self.max",
    "scaling.wakeBurst must not be above max: lower wakeBurst, or raise max",
    field=".scaling.wakeBurst",
)
class Workers(SpecModel):
    """The pods that run the jobs; the operator decides how many there are."""

    workload_ref: WorkloadRef | None = None
    """A workload of yours. No other autoscaler may target it."""
    template: WorkerTemplate | None = None
    """Workers that the operator runs itself."""
    min: Annotated[int, Field(ge=0, le=1000)] = 0
    """Fewest workers; 0 lets the last one go when there is nothing to do."""
    max: Annotated[int, Field(ge=1, le=1000)] = 10
    """Most workers."""
    slots_per_pod: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Jobs that one worker runs at the same time."""
    scaling: Scaling = Scaling()
    """What decides how many workers there are."""
    drain: Drain = Drain()
    """How workers are taken away."""


class JobQueueSpec(QueuePolicy, OnCluster):
    """How a queue works. Its name is the resource's name: ``svc.queue("<name>")``."""

    operator_only: ClassVar[frozenset[str]] = frozenset({"cluster_ref", "workers"})

    workers: Workers | None = None
    """The pods that run the jobs. Absent: you run them, and nobody scales them."""


class WorkersStatus(StatusModel):
    """The pods that run the jobs."""

    desired: Annotated[int, Field(ge=0)] = 0
    """Workers that there should be now."""
    ready: Annotated[int, Field(ge=0)] = 0
    """Workers that take jobs."""
    draining: Annotated[int, Field(ge=0)] = 0
    """Workers that finish what they have and then go."""


class LastScale(StatusModel):
    """The last change of the number of workers."""

    at: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When."""
    before: Annotated[int, Field(ge=0)]
    """Workers before."""
    after: Annotated[int, Field(ge=0)]
    """Workers after."""
    reason: Annotated[str, Field(max_length=63)]
    """Why, in one word."""


class ScheduleStatus(StatusModel):
    """A schedule's past and future."""

    name: Annotated[str, Field(max_length=63)]
    """The schedule's name."""
    next: Annotated[str | None, Field(max_length=32, json_schema_extra={"format": "date-time"})] = None
    """When it runs next; absent while paused."""
    last: Annotated[str | None, Field(max_length=32, json_schema_extra={"format": "date-time"})] = None
    """When it ran last."""


class JobQueueStatus(PolicyStatus):
    """How far the policy has come, and what the queue does."""

    depth: Annotated[int | None, Field(ge=0)] = None
    """Jobs that could start now."""
    delayed: Annotated[int | None, Field(ge=0)] = None
    """Jobs that wait for their time, retries included."""
    in_flight: Annotated[int | None, Field(ge=0)] = None
    """Jobs that run."""
    dead_letters: Annotated[int | None, Field(ge=0)] = None
    """Jobs that were given up."""
    oldest_age_seconds: Annotated[int | None, Field(ge=0)] = None
    """How long the oldest job that could start has been waiting."""
    arrivals_per_minute: Annotated[int | None, Field(ge=0)] = None
    """Jobs that were added."""
    completions_per_minute: Annotated[int | None, Field(ge=0)] = None
    """Jobs that were finished."""
    predicted_drain_seconds: Annotated[int | None, Field(ge=0)] = None
    """How long the workers there are will take for what waits."""
    workers: WorkersStatus | None = None
    """The pods that run the jobs."""
    last_scale: LastScale | None = None
    """The last change of the number of workers."""
    schedules: Annotated[list[ScheduleStatus], Field(max_length=64), ListMap("name")] = []
    """When each schedule runs next, and ran last."""
