"""
A trace of each batch for OpenTelemetry: a span of the batch, and in it a span of each attempt.

It is sent over HTTP to the collector that the standard variables `OTEL_…` name. A thread of its own
makes the spans and sends them: a collector that is away or hangs delays nothing but, for some
seconds, the end of the process. The thread and those of the library are daemons.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from orchestrator.event_log import LOG
from orchestrator.extras import LIBRARIES_OF_EXTRAS, Extra, not_installed
from orchestrator.model.attempts import Attempt, Outcome
from orchestrator.model.batches import Batch
from orchestrator.model.states import JobStatus

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXPORTERS = "OTEL_TRACES_EXPORTER"
SERVICE = "orchestrator"
PATIENCE_SECS = 3.0
"""How long the end of the process waits for the collector."""

NANOSECONDS = 1_000_000_000


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environment.get(EXPORTERS, "").strip()
    if exporters:
        return "otlp" in [name.strip() for name in exporters.split(",")]
    return any(environment.get(name) for name in ENDPOINTS)


def trace_of(environment: Mapping[str, str]) -> BatchTrace | None:
    """
    The trace of a batch; None if nobody asks for it or it cannot be sent.

    A reason why it cannot be sent is a warning.
    """
    if not is_wanted(environment):
        return None
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), "")
    if protocol not in ("", "http/protobuf"):
        _warn(f"{protocol} is not supported; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
        return None
    if find_spec(LIBRARIES_OF_EXTRAS[Extra.OTEL]) is None:
        _warn(f"a trace {not_installed(Extra.OTEL)}")
        return None
    return BatchTrace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that is over, in the little that its span needs."""

    key: str
    number: int
    run_id: str | None
    begin: datetime
    end: datetime
    status: JobStatus
    error: str | None


@dataclass(kw_only=True)
class BatchTrace:
    """
    The trace of one batch.

    Attributes:
        patience_secs: how long the end of the process waits for the collector.
    """

    patience_secs: float = PATIENCE_SECS
    _queue: SimpleQueue[Ended | tuple[Batch, datetime] | Batch] = field(default_factory=SimpleQueue)
    _done: Event = field(default_factory=Event)
    _has_begun: bool = False

    def begin(self, batch: Batch, now: datetime) -> None:
        """Begins the span of the batch."""
        self._has_begun = True
        self._queue.put((batch, now))
        Thread(target=self._work, name="trace", daemon=True).start()

    def attempt_over(self, attempt: Attempt, outcome: Outcome, now: datetime) -> None:
        """Adds the span of an attempt."""
        # After an error, nobody takes what is put here.
        if self._done.is_set():
            return
        ended = Ended(
            key=attempt.job.key,
            number=attempt.number,
            run_id=None if attempt.run is None else attempt.run.id,
            begin=attempt.intent_at,
            end=now,
            status=outcome.status,
            error=outcome.error,
        )
        self._queue.put(ended)

    def finish(self, batch: Batch) -> None:
        """Ends the span of the batch, and sends what is not sent yet."""
        if not self._has_begun:
            return
        self._queue.put(batch)
        if not self._done.wait(self.patience_secs):
            _warn(f"the collector does not answer within {self.patience_secs:g} s")

    def _work(self) -> None:
        try:
            self._record()
        except Exception as error:  # noqa: BLE001 - a trace never ends a batch
            _warn(str(error))
        self._done.set()

    def _record(self) -> None:
        begun = self._queue.get()
        assert isinstance(begun, tuple)  # noqa: S101 - `begin` puts it first
        reasons = _Reasons()
        provider = _provider(reasons)
        tracer = provider.get_tracer(SERVICE)
        batch, began_at = begun
        span = tracer.start_span(
            f"batch {batch.name}", context=_parent(), start_time=_nanoseconds(began_at)
        )
        span.set_attributes({"orchestrator.batch": batch.name, "orchestrator.batch_id": batch.id})
        while isinstance(ended := self._queue.get(), Ended):
            _add_attempt(tracer, span, ended)
        assert isinstance(ended, Batch)  # noqa: S101 - `finish` puts it last
        _end_batch(span, ended)
        provider.shutdown()
        if reasons.last:
            _warn(reasons.last)


class _Reasons(logging.Handler):
    """Keeps the last reason why spans could not be sent, which the library only logs."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a warning or an error."""
        if record.levelno >= logging.WARNING:
            self.last = record.getMessage()


def _provider(reasons: logging.Handler) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    logger = logging.getLogger("opentelemetry")
    logger.addHandler(reasons)
    # Its lines would go to stderr, once for each try.
    logger.propagate = False
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if named else {"service.name": SERVICE})
    # Without a hook at exit, which would wait for the collector.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _parent() -> Context | None:
    """The span of the program that called the command, if it said so in TRACEPARENT."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": os.environ.get("TRACEPARENT", "")}
    return TraceContextTextMapPropagator().extract(carrier) if carrier["traceparent"] else None


def _add_attempt(tracer: Any, batch: Span, ended: Ended) -> None:
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    span = tracer.start_span(
        "attempt", context=set_span_in_context(batch), start_time=_nanoseconds(ended.begin)
    )
    span.set_attributes(
        {
            "orchestrator.job": ended.key,
            "orchestrator.attempt": ended.number,
            "orchestrator.status": ended.status.value,
        }
    )
    if ended.run_id is not None:
        span.set_attribute("apify.run_id", ended.run_id)
    if ended.error is not None:
        span.set_status(Status(StatusCode.ERROR, ended.error))
    span.end(end_time=_nanoseconds(max(ended.begin, ended.end)))


def _end_batch(span: Span, batch: Batch) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("orchestrator.state", batch.state.value)
    if batch.exit_code is not None:
        span.set_attribute("orchestrator.exit_code", batch.exit_code)
    if batch.exit_code:
        span.set_status(Status(StatusCode.ERROR, batch.stop_reason or f"exit {batch.exit_code}"))
    span.end(end_time=None if batch.ended_at is None else _nanoseconds(batch.ended_at))


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp() * NANOSECONDS)


def _warn(reason: str) -> None:
    LOG.warning("trace_not_sent", reason=reason)
