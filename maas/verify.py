"""`python -m maas.verify recipe=NAME key=value …` measures the newest bundle again and replaces its evidence."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import maas
from maas import cli
from maas.outcomes import VerbOutcome

if TYPE_CHECKING:
    from maas.records.evidence import Evidence


def main(arguments: Sequence[str] | None = None) -> None:
    """Verifies."""
    cli.enter("verify", _verify, arguments, _shown)


def _verify(config: maas.RunConfig) -> "tuple[maas.Bundle, Evidence]":
    bundle = maas.lifecycle.newest_bundle(config, check_evidence=False)
    return bundle, maas.lifecycle.verify(config, maas.lifecycle.checkpoint_of(bundle), bundle)


def _shown(verified: "tuple[maas.Bundle, Evidence]", config: maas.RunConfig) -> VerbOutcome:
    bundle, evidence = verified
    found = {
        "name": config.name,
        "bundle": bundle.folder,
        "metrics": evidence.metrics,
        "parity": evidence.parity,
        "reference_faults": evidence.reference_faults,
    }
    return VerbOutcome(found, "\n".join(_lines(evidence)))


def _lines(evidence: "Evidence") -> Iterator[str]:
    for parity in evidence.parity:
        yield f"{parity.left} and {parity.right}: {parity.rows} rows, largest difference {parity.max_difference:.3g}"
    for fault in evidence.reference_faults:
        yield f"The reference was not compared: {fault}"


if __name__ == "__main__":
    main()
