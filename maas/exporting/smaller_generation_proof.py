"""Proving a drafted bundle whose model generates by a smaller graph: against the graph that this was made of."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from maas.errors import ParityError
from maas.evidence.machine import this_machine
from maas.evidence.metrics import wilson
from maas.evidence.text_metrics import perplexity_ratio, text_metrics
from maas.evidence.token_scores import TokenScores, token_scores, window_likelihoods
from maas.records.evidence import EVIDENCE_VERSION, CompressionRecord, DataRecord, Evidence, Interval, Parity
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import EVIDENCE
from maas.runtime.generation.decoder import TokenIds
from maas.runtime.generation.opening import check_golden, open_generator

RATIO = "perplexity_ratio"


def prove_smaller(
    bundle: Bundle, parent: Bundle, texts: Sequence[TokenIds], *, data: DataRecord, compression: CompressionRecord
) -> Evidence:
    """Compares perplexity and next tokens on texts that neither calibrated nor chose.

    Args:
        bundle: what would ship.
        parent: bundle that it was made of.
        texts: token ids, two or more each.
        data: rows that the texts are of.
        compression: the search; its budget must not be exceeded here beyond doubt.

    Raises:
        ParityError: the perplexity is larger than the budget allows, even at the lower end of its interval.
        BundleError: the bundle does not reproduce its golden texts.
    """
    generators = [open_generator(one.folder, one.manifest) for one in (parent, bundle)]
    check_golden(bundle.folder, generators[1])
    before, after = (token_scores(one.decoder, texts) for one in generators)
    ratio = perplexity_ratio(before.sums, after.sums, after.tokens)
    _require_within(ratio, compression)
    trained, shipped = (
        text_metrics(window_likelihoods(found, texts, one.tokenizer))
        for found, one in zip((before, after), generators, strict=True)
    )
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=data,
        metrics={"trained": trained, "shipped": {**shipped, RATIO: ratio}},
        parity=(*_parities_of(parent), _parity(compression.candidates[0].name, before, after)),
        compression=compression,
        seconds={},
        parent_sha256=parent.digest,
    )


def _parities_of(parent: Bundle) -> tuple[Parity, ...]:
    """Returns how the parent itself compared with its framework; nothing where it has no evidence."""
    return parent.evidence.parity if (parent.folder / EVIDENCE).exists() else ()


def _parity(left: str, before: TokenScores, after: TokenScores) -> Parity:
    """Compares the likeliest tokens; differences are those of log probabilities of the texts' own tokens."""
    same = sum(int((one == other).sum()) for one, other in zip(before.likeliest, after.likeliest, strict=True))
    pairs = zip(before.nats, after.nats, strict=True)
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    count = int(after.tokens.sum())
    return Parity(left, "shipped", count, difference, None, wilson(same, count))


def _require_within(ratio: Interval, compression: CompressionRecord) -> None:
    """Requires that the texts of the proof do not contradict the choice."""
    allowed = compression.budget.get(f"max_{RATIO}")
    is_made = compression.chosen != compression.candidates[0].name
    if is_made and allowed is not None and not ratio.low <= allowed:
        raise ParityError(
            f"On the texts of the proof, the perplexity of {compression.chosen} is {ratio.value:.4f} times that of "
            f"{compression.candidates[0].name}, at least {ratio.low:.4f}; allowed is {allowed:g}. Nothing was written. "
            "Give more text, or leave the pass out.",
            found=ratio.low,
            allowed=allowed,
        )
