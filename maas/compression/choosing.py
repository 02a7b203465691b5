"""Choosing, of all that was tried, what ships."""

import statistics
from collections.abc import Iterable, Mapping

from maas.records.evidence import CandidateRecord
from maas.scoring.names import is_loss

REASONS_SHOWN = 5
"""Number of refusals that a reason repeats; the record has them all."""


def choice(records: Iterable[CandidateRecord], pruned_trials: Mapping[str, str]) -> tuple[CandidateRecord, str]:
    """Returns what ships and why, with numbers.

    Args:
        records: all candidates, the model as exported first.
        pruned_trials: reasons why pipelines were not followed to their end, by name.
    """
    root, *others = records
    allowed = [record for record in others if not record.reasons]
    if not allowed:
        refused = {record.name: ", ".join(record.reasons) for record in others} | dict(pruned_trials)
        return root, _kept(refused) if refused else "The recipe names no pass."
    best = best_candidate(allowed)
    lost = f", the metric drop is {best.drop.value:.2f} percentage points" if best.drop else ""
    if best.perplexity_ratio:
        lost = f", the perplexity is {best.perplexity_ratio.value:.4f} times that of {root.name}"
    return best, (
        f"{root.bytes / best.bytes:.2f} times smaller, a batch takes {best.time_ratio:.2f} of the time{lost}."
    )


def best_candidate(allowed: Iterable[CandidateRecord]) -> CandidateRecord:
    """Returns the candidate with the smallest product of size and time, as far as timings differ.

    A time lies between the quartiles of its rounds, and so does the product. Candidates whose product may be as small
    as the smallest one are equal; among them facts decide that are the same in every run: bytes, then
    multiply-accumulates, then who was first. Only where quartiles just about meet may another run choose otherwise.
    """
    candidates = list(allowed)
    least = min(candidates, key=lambda one: one.bytes * one.time_ratio)
    limit = least.bytes * _quartiles(least)[1]
    equal = [one for one in candidates if one.bytes * _quartiles(one)[0] <= limit]
    return min(equal, key=lambda one: (one.bytes, one.macs or 0))


def better_of(
    chosen: CandidateRecord, reason: str, scratch: Iterable[CandidateRecord], metric: str | None
) -> tuple[CandidateRecord, str]:
    """Compares a pruned net with nets of its shape that were trained from scratch.

    Args:
        chosen: the pruned one's candidate.
        reason: why it was chosen.
        scratch: the same candidate of each from-scratch baseline.
        metric: the recipe's metric.

    Returns:
        The best baseline if these are better on average and one keeps the budget, else `chosen`; and the reason.
    """
    scored = [(one.metric.value, one) for one in scratch if one.metric]
    if not chosen.metric or not scored:
        return chosen, reason
    values = [value for value, _ in scored]
    reason = (
        f"{reason} Its {metric} is {chosen.metric.value:.4f}; of {len(values)} nets of this shape that were trained "
        f"from scratch for as many epochs {min(values):.4f} to {max(values):.4f}."
    )
    allowed = [(value, one) for value, one in scored if not one.reasons]
    sign = -1 if metric is not None and is_loss(metric) else 1
    if sign * statistics.fmean(values) > sign * chosen.metric.value and allowed:
        _, best = max(allowed, key=lambda pair: sign * pair[0])
        return best, f"{reason} They win: {best.name} ships."
    return chosen, reason


def _quartiles(record: CandidateRecord) -> tuple[float, float]:
    return (record.latency.ratio_low, record.latency.ratio_high) if record.latency else (1.0, 1.0)


def _kept(refused: Mapping[str, str]) -> str:
    said = [f"{name}: {reason}" for name, reason in list(refused.items())[:REASONS_SHOWN]]
    more = [f"and {len(refused) - REASONS_SHOWN} more"] if len(refused) > REASONS_SHOWN else []
    return f"Nothing that was tried keeps the budget, so fp32 is kept ({'; '.join(said + more)})."
