"""What is measured of a server, in the words of Prometheus; and its log: one JSON object a line, never with data."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from ..core.extras import need

LOG = "senzai.serving"
EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meters:
    """Counters and times of one server, in a registry of their own.

    Paths are those of the description, so that their number does not grow with what strangers ask.
    """

    def __init__(self) -> None:
        self._prometheus: Any = need("prometheus_client", extra="serve", to="count requests")
        self.registry = self._prometheus.CollectorRegistry(auto_describe=False)
        made = {"registry": self.registry}
        p = self._prometheus
        by = ["path", "run", "status"]
        self.requests = p.Counter("senzai_requests", "Requests by path, run and status.", by, **made)
        self.seconds = p.Histogram("senzai_request_seconds", "Time of answers.", ["path"], buckets=EDGES, **made)
        self.held = p.Gauge("senzai_requests_held", "Requests that are here now.", **made)
        sizes = (1, 2, 4, 8, 16, 32, 64, 128, 256)
        self.joined = p.Histogram("senzai_joined_requests", "Requests that one call answered.", buckets=sizes, **made)
        self.runs = p.Gauge("senzai_runs_loaded", "Runs in memory.", **made)
        self._known: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        p.ProcessCollector(registry=self.registry)

    def saw(self, path: str, run: str, status: int, seconds: float) -> None:
        """Count an answer."""
        known = self._known.get((path, run, status))
        if known is None:
            known = self.requests.labels(path, run, str(status)), self.seconds.labels(path)
            self._known[path, run, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        found: bytes = self._prometheus.generate_latest(self.registry)
        return found

    @property
    def media(self) -> str:
        """Content type of :meth:`text`."""
        return str(self._prometheus.CONTENT_TYPE_LATEST)


class JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, event, and what the event says."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        made = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(), "event": record.getMessage(), **getattr(record, "told", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            made["where"] = where(record.exc_info[1])
        return json.dumps(made, ensure_ascii=False)


def where(err: BaseException) -> list[str]:
    """Return where an error was raised, without its text, which could hold data."""
    import traceback

    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(err.__traceback__)][-12:]


def log_to_stderr() -> None:
    """Write the log of the server to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(LOG)
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
