"""The dashboard for Grafana, and the alerts for Prometheus, on the metrics that the server has."""

from importlib.resources import files
from typing import NamedTuple

FAILED, REFUSED = "500|504|2|4|13", "429|503|8|14"
"""Statuses of HTTP, and below 100 those of gRPC."""
_RATE = "[$__rate_interval]"
_CHOSEN = 'job=~"$job",model=~"$model"'
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3
"""Of a panel, in the grid of Grafana, which is 24 wide."""


class Panel(NamedTuple):
    """A panel of the dashboard.

    Args:
        title: above it.
        unit: as Grafana calls it.
        queries: of Prometheus, each with its legend.
        kind: of Grafana's panels.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"


def _per_s(metric: str, selected: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{selected}}}{_RATE}))"


def _quantile(quantile: float) -> tuple[str, str]:
    buckets = _per_s("maas_request_seconds_bucket", f'{_CHOSEN},model!=""', "model, le")
    return f"histogram_quantile({quantile}, {buckets})", f"{{{{model}}}} p{100 * quantile:g}"


def _fraction(statuses: str) -> str:
    """Returns the fraction of requests with some statuses; 0 where there were none of them."""
    some = _per_s("maas_requests_total", f'{_CHOSEN},status=~"{statuses}"', "model")
    everything = _per_s("maas_requests_total", _CHOSEN, "model")
    return f"({some} or 0 * {everything}) / {everything}"


_MEAN_ROWS = " / ".join(_per_s(f"maas_batch_rows_{part}", _CHOSEN, "model") for part in ("sum", "count"))
_ROLLOUTS = f"max by (instance, rollout, model, kind, status) (maas_rollout_info{{{_CHOSEN}}})"
_MODELS = f"max by (instance, model, version, precision) (maas_model_info{{{_CHOSEN}}})"
PANELS = (
    Panel(
        "Requests a second, by model and status",
        "reqps",
        ((_per_s("maas_requests_total", _CHOSEN, "model, status"), "{{model}} {{status}}"),),
    ),
    Panel("Latency, by model", "s", tuple(map(_quantile, (0.5, 0.9, 0.99)))),
    Panel(
        "Failed and refused requests, by model",
        "percentunit",
        ((_fraction(FAILED), "{{model}} failed"), (_fraction(REFUSED), "{{model}} refused")),
    ),
    Panel(
        "Requests a second, by protocol",
        "reqps",
        ((_per_s("maas_requests_total", _CHOSEN, "protocol"), "{{protocol}}"),),
    ),
    Panel(
        "Rows that wait",
        "short",
        (
            (f"sum by (model) (maas_queue_rows{{{_CHOSEN}}})", "{{model}}"),
            ('sum(maas_reading_rows{job=~"$job"})', "to be read"),
        ),
    ),
    Panel(
        "Rows in a run of the model, on average",
        "short",
        (
            (
                _MEAN_ROWS,
                "{{model}}",
            ),
        ),
    ),
    Panel(
        "New versions, by result",
        "short",
        ((f"sum by (model, result) (increase(maas_swaps_total{{{_CHOSEN}}}{_RATE}))", "{{model}} {{result}}"),),
    ),
    Panel(
        "Copies for a candidate a second, by result",
        "reqps",
        ((_per_s("maas_shadow_total", _CHOSEN, "model, result"), "{{model}} {{result}}"),),
    ),
    Panel("Memory", "bytes", (('process_resident_memory_bytes{job=~"$job"}', "{{instance}}"),)),
    Panel("Processors in use", "short", ((f'rate(process_cpu_seconds_total{{job=~"$job"}}{_RATE})', "{{instance}}"),)),
    Panel(
        "Models",
        "short",
        ((_MODELS, ""),),
        "table",
    ),
    Panel("Roll-outs", "short", ((_ROLLOUTS, ""),), "table"),
)


def alert_rules() -> bytes:
    """Returns the alerts as a file of rules for Prometheus."""
    return files(__package__).joinpath("alerts.yaml").read_bytes()


def grafana_dashboard() -> dict[str, object]:
    """Returns the dashboard as Grafana imports it: its data source, jobs and models are chosen there."""
    return {
        "title": "maas",
        "uid": "maas-serving",
        "tags": ["maas"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "data source", "type": "datasource", "query": "prometheus"},
                _variable("job", "label_values(maas_model_info, job)"),
                _variable("model", 'label_values(maas_model_info{job=~"$job"}, model)'),
            ]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _variable(name: str, query: str) -> dict[str, object]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(number: int, panel: Panel) -> dict[str, object]:
    is_table = panel.kind == "table"
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": query,
            "legendFormat": legend or "__auto",
            "instant": is_table,
            "format": "table" if is_table else "time_series",
        }
        for index, (query, legend) in enumerate(panel.queries)
    ]
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "title": panel.title,
        "type": panel.kind,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }
