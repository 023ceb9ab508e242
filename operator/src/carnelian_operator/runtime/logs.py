"""One log for all: ours by structlog, kopf's and the libraries' by the standard module, both as the same JSON lines.

What a reconcile says carries its kind, instance and reconcile id from context variables. Values under a name that
smells of a secret are never printed, however deep they sit.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

_SECRET = re.compile(r"pass(word|wd|phrase)?s?$|secret|token|auth(orization)?$|credentials?$|private.?key|^uri$", re.I)
_IN_URL = re.compile(r"(?P<scheme>\w[\w+.-]*://)[^/@\s]*:[^/@\s]+@")
_HIDDEN = "[redacted]"
Format = Literal["json", "console"]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that hides secrets by the names of their fields, and passwords inside of URLs."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {inner: _clean(str(inner), item) for inner, item in value.items()}
    if _SECRET.search(key) and not key.endswith("name") and value not in (None, ""):
        return _HIDDEN
    if isinstance(value, (list, tuple)):
        return [_clean(key, item) for item in value]
    if isinstance(value, str):
        return _IN_URL.sub(rf"\g<scheme>{_HIDDEN}@", value)
    return value


def configure(level: str, form: Format, **bound: str) -> None:
    """Send every log line of the process to standard error.

    Args:
        level: of the standard module, such as ``INFO``.
        form: JSON for machines, console for people.
        bound: fields of every line, such as this process's identity.
    """

    def bind(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**bound, **event}

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        bind,
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
        if form == "json"
        else [
            redact,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,  # the other one prints local variables
            ),
        ]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    # Kopf says at INFO what belongs to it alone, and at DEBUG whole objects, among them Secrets.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, root.level))
    for noisy in ("asyncio", "aiohttp", "kubernetes"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
