"""Writes a dashboard for Grafana and alert rules for Prometheus, on the metrics of the server.

usage: python -m maas.dashboards OUT

    OUT    a folder, which is made: grafana.json to import in Grafana, alerts.yaml for rule_files of Prometheus

example: python -m maas.dashboards monitoring
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from maas.errors import ConfigError, MaasError
from maas.serving.observers.dashboards import alert_rules, grafana_dashboard

ALERTS, DASHBOARD = "alerts.yaml", "grafana.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `python -m maas.dashboards`; a wrong argument prints one line and exits with status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or set(arguments) & {"-h", "--help", "help"}:
        print(__doc__.strip() if __doc__ else "")
        return
    try:
        if len(arguments) > 1:
            raise ConfigError(
                f"{len(arguments)} folders are named; name one, e.g. python -m maas.dashboards monitoring."
            )
        print("\n".join(map(str, write_dashboards(Path(arguments[0])))))
    except MaasError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


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
