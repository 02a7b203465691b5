"""Writes a dashboard for Grafana and alert rules for Prometheus, on the metrics of the server.

usage: python -m maas.dashboards OUT [--json]

    OUT    a folder, which is made: grafana.json to import in Grafana, alerts.yaml for rule_files of Prometheus

example: python -m maas.dashboards monitoring
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from maas.command_line import CommandLine
from maas.errors import ConfigError
from maas.outcomes import VerbOutcome, give, reported, say, wants_json
from maas.serving.observers.dashboards import alert_rules, grafana_dashboard

ALERTS, DASHBOARD = "alerts.yaml", "grafana.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `python -m maas.dashboards`; a wrong argument prints one line and exits with status 2."""
    is_json = wants_json(arguments)
    with reported("dashboards", is_json=is_json, resumes=False):
        line = CommandLine.parse("dashboards", sys.argv[1:] if arguments is None else arguments)
        folders = [*line.names, *line.overrides]
        if line.wants_help or not folders or "help" in folders:
            say((__doc__ or "").strip())
            return
        if len(folders) > 1:
            raise ConfigError(f"{len(folders)} folders are named; name one, e.g. python -m maas.dashboards monitoring.")
        files = write_dashboards(Path(folders[0]))
        give(VerbOutcome({"files": files}, "\n".join(map(str, files))), is_json=is_json)


def write_dashboards(folder: Path) -> list[Path]:
    """Writes the dashboard and the alerts into a folder, which is made, and returns the files.

    Args:
        folder: where to.

    Raises:
        ConfigError: they cannot be written.
    """
    dashboard = msgspec.json.format(msgspec.json.encode(grafana_dashboard()), indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DASHBOARD).write_bytes(dashboard + b"\n")
        (folder / ALERTS).write_bytes(alert_rules())
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}. Name a folder of yours.") from error
    return [folder / DASHBOARD, folder / ALERTS]


if __name__ == "__main__":
    main()
