"""What is counted, for Prometheus, and how several processes are read as one.

How this works. Each process writes its values to files of its own in one folder (``prometheus_client``'s multiprocess mode, which
it decides when it is imported: hence ``gather_in`` before anything imports this module's names). A scrape answered by any worker
adds them up. Counters of a dead process stay, since what it did was done; its gauges go, since it does it no more.

https://prometheus.github.io/client_python/multiprocess/
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ecru.telemetry.exchange import Exchange
from ecru.telemetry.gathering import gathered_in

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

# A manifest takes less than a millisecond, a layer minutes.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0)

REQUESTS: Final = Counter("ecru_requests", "Requests answered.", ["route", "status"])
REQUEST_SECONDS: Final = Histogram("ecru_request_seconds", "From head to answer.", ["route"], buckets=_SECONDS)
RECEIVED_BYTES: Final = Counter("ecru_received_bytes", "Bytes of request bodies received.")
OFFERED_BYTES: Final = Counter(
    "ecru_offered_bytes", "Bytes of answers' bodies handed to the network; whether the client took them all cannot be seen."
)
UPLOADS_OPEN: Final = Gauge("ecru_uploads_open", "Uploads begun and neither finished nor given up.", multiprocess_mode="mostrecent")
JOBS: Final = Counter("ecru_jobs", "Runs of jobs that ended.", ["kind", "outcome"])
JOBS_DUE: Final = Gauge("ecru_jobs_due", "Jobs that could be run now.", multiprocess_mode="mostrecent")
WRITER_QUEUE: Final = Gauge("ecru_writer_queue", "Metadata writes that wait for their turn.", multiprocess_mode="livesum")


class RequestMetrics:
    """Counts requests; what belongs to a route and status is looked up once."""

    def __init__(self) -> None:
        self._by_outcome: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def add(self, exchange: Exchange) -> None:
        """Count a request that was answered."""
        outcome = exchange.route, exchange.status
        found = self._by_outcome.get(outcome)
        if found is None:
            found = self._by_outcome[outcome] = REQUESTS.labels(*outcome), REQUEST_SECONDS.labels(exchange.route)
        requests, seconds = found
        requests.inc()
        seconds.observe(exchange.seconds)
        if exchange.received_bytes:
            RECEIVED_BYTES.inc(exchange.received_bytes)
        if exchange.offered_bytes:
            OFFERED_BYTES.inc(exchange.offered_bytes)


def render() -> bytes:
    """Write all metrics down in Prometheus' text format, those of the other processes included."""
    folder = gathered_in()
    if folder is None:
        return generate_latest(REGISTRY)
    for process in _dead(folder):
        mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _dead(folder: Path) -> Iterator[int]:
    for file in folder.glob("gauge_live*_*.db"):
        process = int(file.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            yield process
        except PermissionError:
            # Somebody else's process has the number now.
            yield process
