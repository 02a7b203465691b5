"""`python -m maas.register recipe=NAME key=value …` makes a version of the newest bundle."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import maas
from maas import cli
from maas.outcomes import VerbOutcome

if TYPE_CHECKING:
    from maas.registry.catalogue.versions import ModelVersion


def main(arguments: Sequence[str] | None = None) -> None:
    """Registers."""
    cli.enter("register", _register, arguments, _shown)


def _register(config: maas.RunConfig) -> "ModelVersion":
    return maas.lifecycle.register(config, maas.lifecycle.newest_bundle(config))


def _shown(version: "ModelVersion", _: maas.RunConfig) -> VerbOutcome:
    return VerbOutcome({"uri": version.uri, "version": version}, f"{version.uri}: {version.note}")


if __name__ == "__main__":
    main()
