"""Trying pipelines of passes, evaluating what they give, and choosing what may ship."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain

import msgspec
import torch

from maas.compression.candidates import CandidateBuilder, MeasuredVariant
from maas.compression.choosing import better_of, choice
from maas.compression.net_size import NetSize
from maas.compression.passes import CheckpointPass
from maas.compression.passes.base import is_training
from maas.compression.pipeline import Variant, scratch_baseline_of, variant_of
from maas.compression.trial_pruner import FinishedTrial, PrunedTrial, Pruner
from maas.errors import CheckpointError, ExportError
from maas.records.evidence import CandidateRecord, CompressionRecord
from maas.scoring.names import is_loss, monitored
from maas.training.checkpoint import Checkpoint

REFUSED_EXCESS = 0.5
"""Percentage points beyond the budget of a pipeline that keeps max_drop and is refused for something else."""
FAILED_EXCESS = 1e3
"""Percentage points beyond the budget of a pipeline that could not be followed."""


@dataclass(frozen=True)
class SearchResult:
    """What a search ends with.

    Args:
        record: all that was tried.
        chosen: the variant whose file ships.
    """

    record: CompressionRecord
    chosen: MeasuredVariant


class Search:
    """Everything that was tried so far, and the choice.

    Of the candidates that keep the budget the one with the smallest product of size and time is chosen, as far as
    timings can decide; if none does, the model as exported is. What is proposed and made depends on the seed alone,
    down to the bytes; the clock decides what is fast enough, and between candidates that differ by more than its noise.

    Args:
        builder: makes and measures candidates.

    Raises:
        BudgetError: the settings allow no search.
        ConfigError: passes need a checkpoint, and there is none.
    """

    def __init__(self, builder: CandidateBuilder) -> None:
        builder.settings.require_searchable()
        if builder.context.root is None:
            builder.settings.require_no_pipeline(builder.evaluator.graph.name)
        self._builder = builder
        self._settings = builder.settings
        self._variants: list[MeasuredVariant] = []
        self._pruned: dict[str, str] = {}
        self._baselines: tuple[str, ...] = ()

    def run(self) -> SearchResult:
        """Makes candidates, measures them in turns with the model as exported, and chooses."""
        evaluator = self._builder.evaluator
        context = self._builder.context
        self._add(Variant("", context.root, context.applied_passes))
        if self._settings.pipeline:
            self._follow_pipelines()
        chosen, reason = choice(self._records, self._pruned)
        if self._settings.scratch_baselines and self._variant_of(chosen).variant.name:
            chosen, reason = self._compared_with_scratch(chosen, reason)
        record = CompressionRecord(
            metric=evaluator.metric,
            budget=asdict(self._settings.budget),
            candidates=tuple(self._records),
            chosen=chosen.name,
            reason=reason,
            rows=evaluator.size,
            pruned_trials=self._pruned,
            scratch_baselines=self._baselines,
        )
        return SearchResult(record, self._variant_of(chosen))

    @property
    def _records(self) -> list[CandidateRecord]:
        """All candidates, compared with the budget; the model as exported first."""
        return list(chain.from_iterable(one.records for one in self._variants))

    def _variant_of(self, record: CandidateRecord) -> MeasuredVariant:
        return next(one for one in self._variants if record in one.records)

    @cached_property
    def _pruner(self) -> Pruner:
        model_inputs = self._builder.evaluator.timed_inputs(count=1)[0]
        metric = self._builder.context.training.metric
        return Pruner(
            monitored(metric),
            {name: torch.from_numpy(one) for name, one in model_inputs.items()},
            is_smaller_better=metric is not None and is_loss(metric),
        )

    def _follow_pipelines(self) -> None:
        """Follows the pipeline as it is written, or with one proposal after another."""
        settings, started = self._settings, time.monotonic()
        name = "-".join(settings.pipeline)
        if not settings.trials:
            self._follow(name, settings.pipeline)
            return
        proposals, limit = settings.proposals(self._builder.context.seed), settings.budget.max_minutes
        shown: dict[str, tuple[float, float]] = {}
        for number in range(settings.trials):
            if limit is not None and time.monotonic() - started > 60 * limit:
                self._pruned[f"{name}-{number}"] = f"{limit:g} minutes are over"
                break
            proposal = proposals.ask()
            if proposal.key not in shown:
                shown[proposal.key] = self._follow(f"{name}-{number}", proposal.passes)
            proposals.tell(proposal, *shown[proposal.key])

    def _follow(self, name: str, passes: Mapping[str, CheckpointPass]) -> tuple[float, float]:
        """Follows one pipeline; returns the cost of its net, and by how much it exceeds the budget."""
        histories: dict[str, tuple[dict[str, float], ...]] = {}
        size: NetSize | None = None

        def admit(key: str, checkpoint: Checkpoint) -> None:
            nonlocal size
            size, histories[key] = self._pruner.size_of(checkpoint), checkpoint.record.history
            following = list(passes.values())[len(histories) :]
            if not checkpoint.record.history and following and all(one.trains for one in following):
                self._pruner.check_size(size)  # it was pruned for the last time, and is to be trained

        def watch(epoch: int, values: Mapping[str, float]) -> None:
            key = list(passes)[len(histories)]  # the one at work
            if size is not None and is_training(one := passes[key]):
                self._pruner.check_epoch(key, size, epoch, one.epochs, values)

        context = replace(self._builder.context, listener=watch)
        try:
            variant = variant_of(name, passes, context, self._builder.store, admit)
            measured = self._add(variant)
            size = self._pruner.size_of(variant.trained)
        except PrunedTrial as ending:
            self._pruned[name] = str(ending)
            return ending.size.cost, ending.excess
        except (ExportError, CheckpointError) as error:
            self._pruned[name] = str(error)
            return (size.cost if size else 1.0), FAILED_EXCESS
        excess = self._excess(measured)
        self._pruner.record(FinishedTrial(name, size, histories, excess))
        return size.cost, excess

    def _excess(self, measured: MeasuredVariant) -> float:
        """Returns by how much the best of a variant exceeds the budget, whatever its time: a seed proposes the same."""
        budget, root = self._settings.budget, self._variants[0].records[0]
        made = [one for one in measured.records if one.agreement is not None]  # the others could not be measured
        is_good = any(not list(budget.lasting_reasons(one, root)) for one in made)
        return max(min(map(budget.excess, made), default=FAILED_EXCESS), 0.0 if is_good else REFUSED_EXCESS)

    def _compared_with_scratch(self, chosen: CandidateRecord, reason: str) -> tuple[CandidateRecord, str]:
        """Trains nets of the chosen one's shape from scratch; returns what ships now, and the reason.

        Args:
            chosen: best candidate so far.
            reason: why it is.
        """
        variant, kind = self._variant_of(chosen).variant, (chosen.target, chosen.settings)
        measured, faults = list[MeasuredVariant](), list[str]()
        for number in range(self._settings.scratch_baselines):
            try:
                baseline = scratch_baseline_of(variant, self._builder.context, self._builder.store, number)
                measured.append(self._add(baseline))
            except (ExportError, CheckpointError) as error:
                faults.append(str(error))
        if not measured:
            return chosen, f"{reason} There is no from-scratch baseline: {faults[0]}"
        records = list(chain.from_iterable(one.records for one in measured))
        self._baselines = tuple(one.name for one in records)
        alike = [one for one in records if (one.target, one.settings) == kind]
        return better_of(chosen, reason, alike, self._builder.evaluator.metric)

    def _add(self, variant: Variant) -> MeasuredVariant:
        """Measures the candidates of a variant and compares them with the budget."""
        measured = self._builder.measured(variant)
        first = (self._variants[0] if self._variants else measured).records[0]

        def evaluated(record: CandidateRecord) -> CandidateRecord:
            if record.reasons or record is first:
                return record
            return msgspec.structs.replace(record, reasons=tuple(self._settings.budget.reasons(record, first)))

        measured = replace(measured, records=tuple(map(evaluated, measured.records)))
        self._variants.append(measured)
        return measured
