"""Proving a drafted bundle whose model generates by a smaller graph: against the graph that this was made of."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from maas.runtime.generation.opening import check_golden, open_generator
from maas.runtime.generation.passages import Passage

RATIO = "perplexity_ratio"


@dataclass(frozen=True)
class Smaller:
    """How a smaller graph compares with the one that it was made of, on the same windows of texts.

    Args:
        before: metrics of the graph that it was made of.
        after: its own, with `perplexity_ratio`.
        parity: how often the likeliest next token is the same.
    """

    before: dict[str, Interval]
    after: dict[str, Interval]
    parity: Parity

    @property
    def ratio(self) -> Interval:
        """Its perplexity divided by that of the graph that it was made of."""
        return self.after[RATIO]


def compare_smaller(
    bundle: Bundle, parent: Bundle, windows: Sequence[Passage], compression: CompressionRecord
) -> Smaller:
    """Compares perplexity and next tokens on texts that neither calibrated nor chose.

    Args:
        bundle: what would ship.
        parent: bundle that it was made of.
        windows: texts and conversations, with a token to predict each.
        compression: the search; its budget must not be exceeded here beyond doubt.

    Raises:
        ParityError: the perplexity is larger than the budget allows, even at the lower end of its interval.
        BundleError: the bundle does not reproduce its golden texts.
    """
    generators = [open_generator(one.folder, one.manifest) for one in (parent, bundle)]
    check_golden(bundle.folder, generators[1])
    texts = [window.tokens for window in windows]
    before, after = (token_scores(one.decoder, texts).predicted(windows) for one in generators)
    ratio = perplexity_ratio(before.sums, after.sums, after.tokens)
    _require_within(ratio, compression)
    trained, shipped = (
        text_metrics(window_likelihoods(found, windows, one.tokenizer))
        for found, one in zip((before, after), generators, strict=True)
    )
    return Smaller(trained, {**shipped, RATIO: ratio}, _parity(compression.candidates[0].name, before, after))


def prove_smaller(
    bundle: Bundle, parent: Bundle, windows: Sequence[Passage], *, data: DataRecord, compression: CompressionRecord
) -> Evidence:
    """Returns what is claimed of a bundle that was made of another one; the arguments are those of `compare_smaller`.

    Args:
        bundle: what would ship.
        parent: bundle that it was made of.
        windows: texts.
        data: rows that the texts are of.
        compression: the search.

    Raises:
        ParityError: the perplexity is larger than the budget allows, even at the lower end of its interval.
        BundleError: the bundle does not reproduce its golden texts.
    """
    found = compare_smaller(bundle, parent, windows, compression)
    return Evidence(
        schema_version=EVIDENCE_VERSION,
        manifest_sha256=bundle.digest,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine(),
        data=data,
        metrics={"trained": found.before, "shipped": found.after},
        parity=(*_parities_of(parent), found.parity),
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
