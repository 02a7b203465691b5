"""`python -m maas.doctor recipe=NAME key=value …` examines a recipe for classic mistakes."""

import sys

from maas import cli
from maas.config import RunConfig, build
from maas.doctor.examining import check_names, examine


def main() -> None:
    """Examines."""
    cli.run("doctor", _doctor)


def _doctor(config: RunConfig) -> None:
    splits = build(config.data, "data")
    processor = build(config.processor, "processor").fit(splits.train.inputs)
    findings = examine(config, splits, processor)
    for finding in findings:
        cli.say(str(finding))
    if not findings:
        cli.say(f"{config.name} is well: {len(check_names())} checks found nothing.")
    if any(finding.severity == "error" for finding in findings):
        sys.exit(cli.USAGE_STATUS)


if __name__ == "__main__":
    main()
