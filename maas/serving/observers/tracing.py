"""Traces for OpenTelemetry: a span for each request, within the trace that its caller named by `traceparent`.

It is imported once an exporter is set. The SDK's own variables (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, headers,
batches) hold as everywhere.
Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/, https://www.w3.org/TR/trace-context/
"""

import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from maas.serving.observers import TRACE_CONTEXT, Outcome

HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"})
FIRST_OF_HTTP = 100
GRPC_FAILURES = frozenset({2, 4, 12, 13, 14, 15})
"""gRPC's codes that are the server's fault; all of its codes are below HTTP's."""


class Tracing:
    """Makes a span of each request that a model ran for, or whose caller has a trace.

    Args:
        processor: receives the spans; null for one that sends them in batches, as the environment says.
    """

    def __init__(self, processor: SpanProcessor | None = None) -> None:
        resource = Resource({SERVICE_NAME: "maas"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("maas.serving")
        self._propagator = TraceContextTextMapPropagator()

    def observe(self, outcome: Outcome) -> None:
        """Makes the span of one request, which has just ended."""
        carrier = {
            name.decode(): outcome.metadata[name].decode("latin-1")
            for name in TRACE_CONTEXT
            if name in outcome.metadata
        }
        if not carrier and not outcome.model:
            return
        end = time.time_ns()
        span = self._tracer.start_span(
            span_name(outcome),
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            attributes=attributes_of(outcome),
            start_time=end - int(outcome.seconds * 1e9),
        )
        if outcome.status >= 500 or outcome.status in GRPC_FAILURES:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()


def span_name(outcome: Outcome) -> str:
    """Returns a span's name: the method of gRPC, or HTTP's method and the route."""
    if outcome.status < FIRST_OF_HTTP:
        return outcome.route.strip("/")
    return f"{outcome.method if outcome.method in HTTP_METHODS else 'HTTP'} {outcome.route}"


def attributes_of(outcome: Outcome) -> dict[str, str | int]:
    """Returns what a span says of a request."""
    transport: dict[str, str | int] = {
        "http.request.method": outcome.method if outcome.method in HTTP_METHODS else "_OTHER",
        "http.route": outcome.route,
        "url.path": outcome.path,
        "http.response.status_code": outcome.status,
    }
    if outcome.status < FIRST_OF_HTTP:
        service, _, method = outcome.route.strip("/").rpartition("/")
        code = {"rpc.grpc.status_code": outcome.status}
        transport = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, **code}
    return {
        **transport,
        "maas.protocol": outcome.protocol,
        "maas.model": outcome.model,
        "maas.version": outcome.version,
        "maas.request_id": outcome.request_id.decode("latin-1"),
    }
