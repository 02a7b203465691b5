"""Which observers a server has: metrics always, the access log by its setting, traces where an exporter is set."""

from collections.abc import Mapping

from maas.errors import ConfigError, shortened_value
from maas.serving.observers import Observer
from maas.serving.observers.access_log import AccessLog
from maas.serving.observers.metrics import Metrics

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTER, DISABLED = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
OTLP_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
HTTP_PROTOBUF = "http/protobuf"


def chosen_observers(metrics: Metrics, environment: Mapping[str, str], *, has_access_log: bool) -> list[Observer]:
    """Returns the observers of a server.

    Args:
        metrics: always there.
        environment: variables by name; those of OpenTelemetry say whether and where traces go.
        has_access_log: whether each request is written to the log.

    Raises:
        ConfigError: traces are wanted in a way that is not known, or their packages are not installed.
    """
    observers: list[Observer] = [metrics]
    if has_access_log:
        observers.append(AccessLog())
    if exports_traces(environment):
        observers.append(_tracing())
    return observers


def exports_traces(environment: Mapping[str, str]) -> bool:
    """Returns whether traces are exported: to an address that is set, or where the exporter is named.

    Raises:
        ConfigError: another exporter than OTLP is named, or another protocol of it.
    """
    exporter = environment.get(EXPORTER, "")
    if environment.get(DISABLED, "").lower() == "true" or exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        raise ConfigError(f"{EXPORTER} is {shortened_value(exporter)}; traces are sent by otlp. Set otlp, or none.")
    if not exporter and not any(environment.get(name) for name in ENDPOINTS):
        return False
    for name in OTLP_PROTOCOLS:
        if (protocol := environment.get(name, "")) not in ("", HTTP_PROTOBUF):
            raise ConfigError(f"{name} is {shortened_value(protocol)}; traces are sent by {HTTP_PROTOBUF}. Set that.")
    return True


def _tracing() -> Observer:
    try:
        from maas.serving.observers.tracing import Tracing  # noqa: PLC0415 - an extra, which nothing else needs
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"Traces are to be exported ({EXPORTER}, {ENDPOINTS[0]}), and {missing.name} is not installed. In a "
            f"checkout of maas: pip install '.[telemetry]', or set {EXPORTER}=none."
        ) from None
    return Tracing()
