"""Traces of batches, received by a collector of OTLP over HTTP on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.command import Command, Done


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """A collector: its URL, and the spans that it has received."""
    spans: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest.FromString(body)
            assert self.path == "/v1/traces"
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    spans.extend((resource.resource, span) for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(command: Command, url: str, *words: str, **more: str) -> Done:
    """Runs a spec with a job that succeeds and one that fails twice."""
    command.write(
        "s.toml",
        '[batch]\nname = "nightly"\n[[jobs]]\nname = "good"\nactor = "orchestrator/simulated"\n'
        'input = { duration_secs = 0 }\n[[jobs]]\nname = "bad"\nretries = 1\n'
        'rules = [{ status = "FAILED", backoff_secs = 0 }]\nactor = "orchestrator/simulated"\n'
        'input = { duration_secs = 0, outcome = "FAILED" }\n',
    )
    variables = {**command.variables, "OTEL_EXPORTER_OTLP_ENDPOINT": url, **more}
    return Command(folder=command.folder, variables=variables).run("run", "s.toml", *words)


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span or a resource, as plain values."""
    return {
        one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in of.attributes
    }


def test_trace_has_a_span_of_each_attempt(command: Command) -> None:
    """All attempts are in the span of their batch, with job, number and status."""
    with collector() as (url, received):
        assert run(command, url).code == 1
    spans = [span for _, span in received]
    (batch,) = [span for span in spans if span.name == "batch nightly"]
    attempts = [span for span in spans if span.name == "attempt"]
    found = sorted(
        (attributes(one)["orchestrator.job"], attributes(one)["orchestrator.attempt"])
        for one in attempts
    )
    assert found == [("bad", 1), ("bad", 2), ("good", 1)]
    assert {one.parent_span_id for one in attempts} == {batch.span_id}
    assert {one.trace_id for one in spans} == {batch.trace_id}
    assert all(one.start_time_unix_nano <= one.end_time_unix_nano for one in spans)
    assert attributes(batch)["orchestrator.exit_code"] == 1
    assert attributes(received[0][0])["service.name"] == "orchestrator"


def test_trace_continues_that_of_the_caller(command: Command) -> None:
    """TRACEPARENT and OTEL_SERVICE_NAME mean what they mean to other programs."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collector() as (url, received):
        run(command, url, TRACEPARENT=parent, OTEL_SERVICE_NAME="nights")
    assert {span.trace_id.hex() for _, span in received} == {"0af7651916cd43dd8448eb211c80319c"}
    assert attributes(received[0][0])["service.name"] == "nights"


def test_collector_that_is_away_is_a_warning(command: Command) -> None:
    """The batch has its exit code, and one warning says what could not be sent."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = run(command, f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert done.code == 1
    assert done.err.count("trace not sent") == 1
    assert "Traceback" not in done.err


def test_collector_that_hangs_does_not_delay_the_end(command: Command) -> None:
    """The process waits for the collector for some seconds only."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        without = run(command, "", "--json")
        usual = time.monotonic() - began
        done = run(command, url, "--json")
        secs = time.monotonic() - began - usual
    assert (without.code, done.code) == (1, 1)
    assert "the collector does not answer within 3 s" in done.err
    assert secs < usual + 30


def test_disabled_sdk_sends_no_trace(command: Command) -> None:
    """OTEL_SDK_DISABLED turns traces off."""
    with collector() as (url, received):
        run(command, url, OTEL_SDK_DISABLED="true")
    assert received == []
