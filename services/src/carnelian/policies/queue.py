"""The body of a `JobQueue`: how jobs are ordered, retried, limited, kept and scheduled."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from carnelian.policies._base import Attribute, Duration, Name, PolicyModel, Text, not_longer, seconds
from carnelian.policies._quantity import Size
from carnelian.policies._shared import Durability, Encryption
from carnelian.policies.cel import IMMUTABLE, Cel, ListMap, cel, matches


class QueueState(StrEnum):
    """What the queue does."""

    ACTIVE = "Active"
    PAUSED = "Paused"


class PriorityMode(StrEnum):
    """How the classes share the workers."""

    STRICT = "Strict"
    WEIGHTED = "Weighted"


class Backoff(StrEnum):
    """How the wait before a retry grows."""

    EXPONENTIAL = "Exponential"
    LINEAR = "Linear"
    FIXED = "Fixed"


class FailureAction(StrEnum):
    """What becomes of a job that failed with a certain exception."""

    RETRY = "Retry"
    DEAD_LETTER = "DeadLetter"
    DROP = "Drop"


class DeduplicationMode(StrEnum):
    """What becomes of a job whose key is already in the queue."""

    DROP = "Drop"
    REPLACE = "Replace"
    DEBOUNCE = "Debounce"
    THROTTLE = "Throttle"
    OFF = "Off"


class OnFull(StrEnum):
    """What an enqueue meets when the queue is full."""

    REJECT = "Reject"
    WAIT = "Wait"


class Missed(StrEnum):
    """What becomes of runs that were missed while nothing scheduled."""

    RUN_ONCE = "RunOnce"
    RUN_ALL = "RunAll"
    SKIP = "Skip"


class Overlap(StrEnum):
    """What becomes of a run while the one before still goes on."""

    ALLOW = "Allow"
    SKIP = "Skip"
    QUEUE = "Queue"
    REPLACE = "Replace"


class PriorityClass(PolicyModel):
    """One class of jobs."""

    name: Name
    """The class as `enqueue` names it; unique within the queue."""
    weight: Annotated[int | None, Field(ge=1, le=1000)] = None
    """Mode Weighted: the class' share of the workers, relative to the others."""


@cel(
    "self.mode == 'Weighted' ? self.classes.all(c, has(c.weight)) : !self.classes.exists(c, has(c.weight))",
    "weight belongs to mode Weighted: give every class a weight with Weighted, and none with Strict",
    field=".classes",
)
@cel(
    "self.classes.exists(c, c.name == self.fallback)",
    "fallback must name one of the classes: add the class, or change fallback",
    field=".fallback",
)
class Priorities(PolicyModel):
    """The order in which jobs are taken."""

    mode: PriorityMode = PriorityMode.STRICT
    """Strict: a class waits until those before it are empty. Weighted: classes share by weight."""
    classes: Annotated[list[PriorityClass], Field(min_length=1, max_length=8), ListMap("name")] = [
        PriorityClass(name="high"),
        PriorityClass(name="normal"),
        PriorityClass(name="low"),
    ]
    """The classes, most urgent first."""
    fallback: Name = "normal"
    """The class of jobs that name none."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [item.name for item in self.classes]
        if len(set(names)) != len(names):
            raise ValueError(f"priorities.classes: names must be unique, got {', '.join(names)}")
        if self.fallback not in names:
            raise ValueError(f"priorities.fallback {self.fallback!r} must name one of the classes {', '.join(names)}")
        weighted = self.mode is PriorityMode.WEIGHTED
        if any((item.weight is not None) != weighted for item in self.classes):
            raise ValueError("priorities.classes: every class needs a weight in mode Weighted, and none in Strict")
        return self


_EXCEPTION = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"


@cel(
    "!has(self.attempts) || self.action == 'Retry'",
    "attempts is only for action Retry: remove attempts, or set action Retry",
    field=".attempts",
    reason="FieldValueForbidden",
)
class FailureRule(PolicyModel):
    """What becomes of jobs that fail with one type of exception, or one derived from it."""

    exception: Annotated[
        str,
        Field(pattern=_EXCEPTION, min_length=1, max_length=253),
        matches(_EXCEPTION, "must be the name of an exception class, like ConnectionError or shop.errors.SoldOut"),
    ]
    """The class' name, with or without its module."""
    action: FailureAction
    """Retry, DeadLetter at once, or Drop silently (it is still counted)."""
    attempts: Annotated[int | None, Field(ge=1, le=1000)] = None
    """With Retry: most attempts, instead of the queue's."""


@cel(
    not_longer("self.base", "self.ceiling"),
    "base must not be longer than ceiling: lower base, or raise ceiling",
    field=".base",
)
class Retry(PolicyModel):
    """What becomes of jobs that fail."""

    attempts: Annotated[int, Field(ge=1, le=1000)] = 5
    """Most attempts at a job, the first included; then it goes to the dead letters."""
    backoff: Backoff = Backoff.EXPONENTIAL
    """How the wait grows from one retry to the next."""
    base: Duration = "1s"
    """The wait before the first retry."""
    ceiling: Duration = "10m"
    """The longest wait."""
    jitter_percent: Annotated[int, Field(ge=0, le=100)] = 50
    """Each wait is shortened by a random part of up to this much, so that retries do not come together."""
    exceptions: Annotated[list[FailureRule], Field(max_length=32), ListMap("exception")] = []
    """Exceptions that are treated otherwise; the most derived class that fits decides."""

    @model_validator(mode="after")
    def _base_is_below_the_ceiling(self) -> Self:
        if seconds(self.base) > seconds(self.ceiling):
            raise ValueError(f"retry.base {self.base} is longer than retry.ceiling {self.ceiling}: lower base")
        return self


class DeadLetters(PolicyModel):
    """Jobs that were given up, kept for people to look at and replay."""

    max_deliveries: Annotated[int, Field(ge=1, le=100)] = 3
    """A job whose worker died this many times is given up, whatever its retries: it may be what kills them."""
    retention: Duration = "14d"
    """How long a dead letter is kept."""
    max_jobs: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Most dead letters; the oldest go first."""


class Retention(PolicyModel):
    """What is kept of finished jobs."""

    results: Duration = "1h"
    """How long a result can be fetched."""
    history: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """How many finished jobs can still be listed."""


class Rate(PolicyModel):
    """How many jobs may start in a period."""

    limit: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Jobs that may start in each period, among all workers."""
    period: Duration = "1s"
    """The span that `limit` refers to."""


class PerKey(PolicyModel):
    """A bound for the jobs that share the value of an argument."""

    attribute: Attribute
    """The argument that tells the jobs apart, for example tenant_id."""
    max_in_flight: Annotated[int, Field(ge=1, le=1_000_000)]
    """Most jobs of one value that run at the same time."""


class QueueLimits(PolicyModel):
    """What the workers together may do."""

    rate: Rate | None = None
    """How many jobs may start in a period. Absent: any number."""
    max_in_flight: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    """Most jobs that run at the same time. Absent: as many as there are slots."""
    per_key: Annotated[list[PerKey], Field(max_length=4), ListMap("attribute")] = []
    """Bounds for jobs that share the value of an argument."""
    fair_by: Attribute | None = None
    """The argument among whose values workers take turns, for example tenant_id. Absent: first come, first served."""


class Backlog(PolicyModel):
    """How much may wait."""

    max_jobs: Annotated[int | None, Field(ge=1, le=1_000_000_000)] = None
    """Most jobs that may wait. Absent: as many as memory allows."""
    on_full: OnFull = OnFull.REJECT
    """Reject raises an error at once; Wait holds the producer until there is room or its deadline passes."""
    max_payload_bytes: Size = "256Ki"
    """Largest arguments of one job; larger ones are refused."""


class Deduplication(PolicyModel):
    """What becomes of a job whose key is already in the queue."""

    mode: DeduplicationMode = DeduplicationMode.DROP
    """Drop: the new job is not added. Replace: it takes the waiting one's place. Debounce: it does, and waits anew.
    Throttle: at most one in each window. Off: keys are ignored."""
    window: Duration = "5m"
    """How long a key is remembered; the wait of Debounce and the window of Throttle."""


class Argument(PolicyModel):
    """One argument of a scheduled job."""

    name: Attribute
    """The parameter of the task."""
    value: Text
    """Its value as text; the task's signature says what type it becomes."""


_TASK = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
_CRON_FIELD = r"[0-9A-Za-z*/,#?-]+"
_CRON = rf"^(@(yearly|annually|monthly|weekly|daily|hourly)|{_CRON_FIELD}( {_CRON_FIELD}){{4,5}})$"
_ZONE = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"


@cel(
    "has(self.cron) != has(self.every)",
    "a schedule has either cron or every: set exactly one of them",
    field=".cron",
)
@cel(
    "!has(self.timeZone) || has(self.cron)",
    "timeZone is only for cron: remove timeZone, or use cron instead of every",
    field=".timeZone",
    reason="FieldValueForbidden",
)
class Schedule(PolicyModel):
    """A job that is added to the queue at stated times; each time fires once, however many schedulers run."""

    name: Name
    """Names the schedule in status and metrics; unique within the queue."""
    task: Annotated[
        str,
        Field(pattern=_TASK, min_length=1, max_length=253),
        matches(_TASK, "must be the name of a task: letters, digits, '_', '.' and '-'"),
    ]
    """The task to run."""
    cron: Annotated[
        str | None,
        Field(pattern=_CRON, max_length=120),
        matches(_CRON, "must be a cron expression of five fields (six with seconds first), like '0 9 * * mon-fri'"),
    ] = None
    """When to run: minute, hour, day of month, month, day of week; with six fields, seconds come first."""
    time_zone: Annotated[
        str | None,
        Field(pattern=_ZONE, max_length=63),
        matches(_ZONE, "must be the name of a time zone, like Europe/Paris or UTC"),
    ] = None
    """The zone that `cron` refers to; UTC when absent. A time that a clock change skips runs at the first instant
    after the gap; a time that comes twice runs once."""
    every: Duration | None = None
    """Runs at this interval, counted in elapsed time."""
    arguments: Annotated[list[Argument], Field(max_length=16), ListMap("name")] = []
    """Arguments of the job."""
    priority: Name | None = None
    """The job's class; the queue's fallback when absent."""
    jitter: Duration | None = None
    """Each run is delayed by a random time of up to this long."""
    missed: Missed = Missed.RUN_ONCE
    """Runs missed while nothing scheduled: RunOnce makes up for all of them by one, RunAll for each, Skip for none."""
    overlap: Overlap = Overlap.SKIP
    """While the run before goes on: Skip leaves this one out, Allow starts it, Queue starts it afterwards,
    Replace aborts the one before."""
    state: QueueState = QueueState.ACTIVE
    """Paused: no runs, and none are made up for later."""

    @model_validator(mode="after")
    def _one_of_cron_and_every(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise ValueError(f"schedule {self.name!r} has either cron or every: set exactly one of them")
        return self


@cel(
    "!has(self.schedules) || self.schedules.all(s, !has(s.priority) || "
    "self.priorities.classes.exists(c, c.name == s.priority))",
    "priority of a schedule must name one of priorities.classes: add the class, or change the schedule",
    field=".schedules",
)
class QueuePolicy(PolicyModel):
    """What producers and workers need in order to run one queue."""

    state: QueueState = QueueState.ACTIVE
    """Paused: jobs are still accepted, and none is started."""
    durability: Durability = Durability.REPLICATED
    """What an accepted job has survived: Async the primary's memory, Replicated a replica too, Fsync a disk."""
    partitions: Annotated[
        int,
        Field(ge=1, le=64),
        Cel(
            IMMUTABLE,
            "partitions cannot be changed: create a new JobQueue and let the old one drain",
            reason="FieldValueForbidden",
        ),
    ] = 1
    """Spreads the queue over this many hash slots; order holds within a partition. Cannot be changed."""
    priorities: Priorities = Priorities()
    """The order in which jobs are taken."""
    timeout: Duration = "5m"
    """Longest run of one attempt, unless the task states another."""
    lease: Duration = "30s"
    """A worker not heard of for this long loses its jobs to others. Workers renew their leases while jobs run."""
    retry: Retry = Retry()
    """What becomes of jobs that fail."""
    dead_letters: DeadLetters = DeadLetters()
    """Jobs that were given up."""
    retention: Retention = Retention()
    """What is kept of finished jobs."""
    limits: QueueLimits = QueueLimits()
    """What the workers together may do."""
    backlog: Backlog = Backlog()
    """How much may wait."""
    deduplication: Deduplication = Deduplication()
    """What becomes of a job whose key is already in the queue."""
    encryption: Encryption | None = None
    """Encryption of arguments and results. Absent: none."""
    schedules: Annotated[list[Schedule], Field(max_length=64), ListMap("name")] = []
    """Jobs that are added at stated times."""

    @model_validator(mode="after")
    def _schedules_fit(self) -> Self:
        classes = {item.name for item in self.priorities.classes}
        names = [item.name for item in self.schedules]
        if len(set(names)) != len(names):
            raise ValueError(f"schedules: names must be unique, got {', '.join(names)}")
        for item in self.schedules:
            if item.priority is not None and item.priority not in classes:
                raise ValueError(f"schedule {item.name!r}: priority {item.priority!r} is none of {sorted(classes)}")
        return self
