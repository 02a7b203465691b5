"""Spans against what the specifications say, in memory and at a small collector of the test's own."""

import json
import re
import subprocess
import sys
import time

import grpc
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from maas.errors import ConfigError
from maas.serving.observers import Outcome
from maas.serving.observers.access_log import line_of
from maas.serving.observers.chosen import exports_traces
from maas.serving.observers.tracing import Tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def outcome(status: int = 200, *, model: str = "digits", method: str = "POST", flags: str | None = "01") -> Outcome:
    metadata = {} if flags is None else {b"traceparent": f"00-{TRACE}-{PARENT}-{flags}".encode()}
    return Outcome(
        method=method,
        path="/predict",
        route="/predict",
        protocol="rest",
        model=model,
        version="3",
        request_id=b"r1",
        status=status,
        seconds=0.25,
        metadata=metadata,
    )


def spans_of(*outcomes: Outcome):
    exporter = InMemorySpanExporter()
    tracing = Tracing(SimpleSpanProcessor(exporter))
    for one in outcomes:
        tracing.observe(one)
    return exporter.get_finished_spans()


def test_span_is_a_child_of_the_callers_and_lasts_as_long_as_the_request():
    before = time.time_ns()
    (span,) = spans_of(outcome())
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.parent.is_remote
    assert (span.name, span.kind) == ("POST /predict", SpanKind.SERVER)
    assert span.end_time - span.start_time == 250_000_000
    assert before <= span.end_time <= time.time_ns()
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "url.path": "/predict",
        "http.response.status_code": 200,
        "maas.protocol": "rest",
        "maas.model": "digits",
        "maas.version": "3",
        "maas.request_id": "r1",
    }


def test_span_begins_a_trace_when_the_caller_has_none():
    first, second = spans_of(outcome(flags=None), outcome(flags=None))
    assert first.parent is None
    assert first.context.trace_id != second.context.trace_id


@pytest.mark.parametrize(
    ("status", "code"), [(200, StatusCode.UNSET), (404, StatusCode.UNSET), (500, StatusCode.ERROR)]
)
def test_span_is_an_error_when_the_server_failed(status, code):
    assert spans_of(outcome(status))[0].status.status_code is code


def test_request_is_not_sampled_when_its_caller_is_not():
    assert not spans_of(outcome(flags="00"))


def test_page_has_a_span_when_its_caller_has_a_trace_and_only_then():
    assert not spans_of(outcome(model="", flags=None))
    assert len(spans_of(outcome(model="", method="GET"))) == 1


def test_unknown_method_has_no_name_of_its_own():
    (span,) = spans_of(outcome(method="EVIL" * 100))
    assert (span.name, span.attributes["http.request.method"]) == ("HTTP /predict", "_OTHER")


@pytest.mark.parametrize(("code", "status"), [(0, StatusCode.UNSET), (3, StatusCode.UNSET), (13, StatusCode.ERROR)])
def test_span_names_service_and_method_when_it_is_of_grpc(code, status):
    (span,) = spans_of(msgspec.structs.replace(outcome(code), route="/inference.GRPCInferenceService/ModelInfer"))
    assert span.name == "inference.GRPCInferenceService/ModelInfer"
    assert span.status.status_code is status
    found = {name: value for name, value in span.attributes.items() if not name.startswith("maas.")}
    assert found == {
        "rpc.system": "grpc",
        "rpc.service": "inference.GRPCInferenceService",
        "rpc.method": "ModelInfer",
        "rpc.grpc.status_code": code,
    }


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_traces_are_exported_when_an_exporter_is_set(environment, expected):
    assert exports_traces(environment) is expected


@pytest.mark.parametrize(
    "environment",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_exporter_or_protocol_that_is_not_there_is_refused(environment):
    name = list(environment)[-1]
    with pytest.raises(ConfigError, match=f"^{name} is '{environment[name]}'; traces are sent by "):
        exports_traces(environment)


def test_nothing_of_opentelemetry_is_imported_when_no_exporter_is_set():
    code = (
        "import sys\nimport maas.serve, maas.serving.transports.process\n"
        "from maas.serving.observers.chosen import chosen_observers\n"
        "from maas.serving.observers.metrics import Metrics\n"
        "chosen_observers(Metrics(), {}, has_access_log=True)\nprint([n for n in sys.modules if 'opentelemetry' in n])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_access_log_names_the_trace_when_the_caller_has_one():
    assert line_of(outcome())["trace_id"] == TRACE
    assert "trace_id" not in line_of(outcome(flags=None))


def test_collector_receives_the_spans_of_a_server(start, scripted, reply, array_folder, monkeypatch):
    bodies = []

    def collect(handler, _, body):
        bodies.append((handler.path, body))
        reply(handler, 200)

    with scripted(collect) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "digits-server")
        with start(f"model={array_folder}") as server:
            traced = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            for body in ({"inputs": [[1] * 64]}, {"inputs": []}):
                server.client.post("/v1/predictions", json=body, headers=traced)
            server.process.terminate()
            assert server.process.wait(timeout=30) == 0
    requests = [ExportTraceServiceRequest.FromString(body) for path, body in bodies if path == "/v1/traces"]
    resources = [resource for request in requests for resource in request.resource_spans]
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    names = {one.key: one.value.string_value for one in resources[0].resource.attributes}
    assert names["service.name"] == "digits-server"
    assert [(span.name, span.trace_id.hex(), span.parent_span_id.hex()) for span in spans] == [
        ("POST /v1/predictions", TRACE, PARENT)
    ] * 2
    statuses = [
        one.value.int_value for span in spans for one in span.attributes if one.key == "http.response.status_code"
    ]
    assert statuses == [200, 400]


def test_log_names_the_trace_when_a_caller_of_grpc_has_one(start, array_folder):
    with start(f"model={array_folder}", "grpc_port=0", "access_log=true") as server:
        address = re.search(r"gRPC: (\S+)", server.process.stdout.readline())[1]
        with grpc.insecure_channel(address) as channel:
            live = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
            live(b"", metadata=[("traceparent", f"00-{TRACE}-{PARENT}-01"), ("x-request-id", "r7")])
        server.process.terminate()
        (line,) = map(json.loads, server.process.stderr.read().splitlines())
    assert (line["trace_id"], line["request_id"], line["status"]) == (TRACE, "r7", 0)
