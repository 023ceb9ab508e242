"""What the operator tells Prometheus about itself.

The queue and the watches are read when they are scraped (`collectors`), so that ages are true at that moment.
"""

from importlib.metadata import version

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info

API_CALLS = Counter(
    "carnelian_operator_api_calls", "Calls to the API server; code `none`: no answer.", ["verb", "kind", "code"]
)
API_SECONDS = Histogram(
    "carnelian_operator_api_seconds",
    "Duration of calls to the API server.",
    ["verb"],
    buckets=(0.01, 0.05, 0.2, 1, 5, 15),
)
RECONCILES = Counter("carnelian_operator_reconciles", "Reconciles by kind and outcome.", ["kind", "outcome"])
RECONCILE_SECONDS = Histogram(
    "carnelian_operator_reconcile_seconds",
    "Duration of reconciles.",
    ["kind"],
    buckets=(0.01, 0.05, 0.2, 1, 5, 30, 120),
)
QUEUE_DEPTH = Gauge("carnelian_operator_queue_depth", "Keys that are ready and wait for a worker.")
QUEUE_OLDEST = Gauge("carnelian_operator_queue_oldest_seconds", "Age of the key that has waited longest.")
QUEUE_RUNNING = Gauge("carnelian_operator_queue_running", "Keys that are being reconciled.")
QUEUE_WAIT = Histogram(
    "carnelian_operator_queue_wait_seconds",
    "Time from wake to reconcile.",
    ["priority"],
    buckets=(0.001, 0.01, 0.1, 1, 10),
)
WATCH_EVENTS = Counter("carnelian_operator_watch_events", "Events of watches.", ["kind", "type"])
WATCH_SILENT = Gauge(
    "carnelian_operator_watch_silent_seconds", "Time since the API server was last heard on a watch.", ["kind"]
)
WATCH_RESTARTS = Counter("carnelian_operator_watch_restarts", "Restarts of the whole watching layer after an error.")
CACHED = Gauge("carnelian_operator_cached_objects", "Objects in the cache.", ["kind"])
LEADER = Gauge("carnelian_operator_leader", "1 while this process leads.")
LOOP_LAG = Gauge(
    "carnelian_operator_event_loop_lag_seconds", "Longest delay of the event loop in the last half minute."
)
BUILD = Info("carnelian_operator_build", "The version that runs.")
BUILD.info({"version": version("carnelian-operator")})

__all__ = ["REGISTRY"]
