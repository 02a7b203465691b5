"""Trying pipelines of passes, evaluating what they give, and choosing what may ship."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import torch

from maas.compression.candidates import CandidateBuilder, Exporter, Group
from maas.compression.choosing import choice
from maas.compression.evaluator import Evaluator, TimingTarget
from maas.compression.naming import require_names
from maas.compression.passes import CheckpointPass, PassContext
from maas.compression.pipeline import Variant, variant_of
from maas.compression.pruner import PrunedTrial, Pruner, Shown, Size
from maas.compression.scratch_baseline import scratch_baseline_of
from maas.compression.settings import CompressionSettings
from maas.compression.store import CandidateStore
from maas.errors import BudgetError, CheckpointError, ExportError
from maas.records.evidence import CandidateRecord, CompressionRecord
from maas.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from maas.compression.proposing import Proposals

REFUSED = 0.5
"""Percentage points beyond the budget of a pipeline that keeps max_drop and is refused for something else."""
FAILED = 1e3
"""Percentage points beyond the budget of a pipeline that could not be followed."""


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Args:
        record: all that was tried.
        chosen: the files of what ships.
    """

    record: CompressionRecord
    chosen: Group


def search(
    settings: CompressionSettings, context: PassContext, evaluator: Evaluator, export: Exporter, store: CandidateStore
) -> Found:
    """Makes candidates, measures them in turns with the model as exported, and chooses.

    Of the candidates that keep the budget the one with the smallest product of size and time is chosen, as far as
    timings can tell; if none does, the model as exported is. What is proposed and made depends on the seed alone, down
    to the bytes; the clock decides what is fast enough, and between candidates that differ by more than its noise.

    Args:
        settings: budget, passes, and what of them is searched.
        context: the trained checkpoint, and what passes over checkpoints need.
        evaluator: where candidates are evaluated.
        export: writes a checkpoint as an ONNX file.
        store: where candidates lie; what lies there already is not made again.

    Raises:
        BudgetError: a pass is named as the parent is, or the space cannot be read.
    """
    require_searchable(settings)
    search = Search(settings, context, evaluator, export, store)
    if settings.pipeline:
        search.follow_pipelines()
    chosen, reason = choice(search.records, search.pruned_trials)
    if settings.scratch_baselines and chosen.applied_passes:
        chosen, reason = search.compared_with_scratch(chosen, reason)
    record = CompressionRecord(
        metric=evaluator.metric,
        budget=asdict(settings.budget),
        candidates=tuple(search.records),
        chosen=chosen.name,
        reason=reason,
        rows=len(evaluator.validation),
        pruned_trials=search.pruned_trials,
        scratch_baselines=search.scratch_baselines,
    )
    return Found(record, search.group_of(chosen))


def require_searchable(settings: CompressionSettings) -> None:
    """Raises BudgetError where candidates would have one name, or proposals are asked for that nothing can take."""
    require_names(
        settings.pipeline, settings.graph_passes, trials=settings.trials, scratch_baselines=settings.scratch_baselines
    )
    if settings.trials and not settings.space:
        raise BudgetError(
            f"compress.trials is {settings.trials} and compress.space is empty. Set a space, e.g. "
            "'+compress.space.prune.ratio={low: 0.3, high: 0.8}', or compress.trials=0."
        )
    for name in settings.space:
        if name in settings.graph_passes:
            raise BudgetError(
                f"compress.space names {name}, a pass over ONNX files; those are all tried as they are written. Write "
                "it once more under another name with other settings."
            )
    if settings.space:
        _proposals(settings, seed=0)


def timed_at(settings: CompressionSettings, evaluator: Evaluator) -> TimingTarget:
    """Returns the batch size and threads that candidates are to be fast at."""
    budget, declared = settings.budget, evaluator.declared
    return TimingTarget(budget.batch_size or declared.batch_size, budget.threads or declared.threads)


class Search:
    """Everything that was tried so far."""

    def __init__(
        self,
        settings: CompressionSettings,
        context: PassContext,
        evaluator: Evaluator,
        export: Exporter,
        store: CandidateStore,
    ) -> None:
        self._settings = settings
        self._context = context
        self._store = store
        self._builder = CandidateBuilder(evaluator, settings.graph_passes, export, store, timed_at(settings, evaluator))
        self.groups: list[Group] = []
        self.pruned_trials: dict[str, str] = {}
        self.scratch_baselines: tuple[str, ...] = ()
        self._add(Variant("", context.root))

    @property
    def records(self) -> list[CandidateRecord]:
        """All candidates, held against the budget; the model as exported first."""
        return list(chain.from_iterable(group.records for group in self.groups))

    def group_of(self, record: CandidateRecord) -> Group:
        """Returns the group that a candidate belongs to."""
        return next(group for group in self.groups if record in group.records)

    def follow_pipelines(self) -> None:
        """Takes the pipeline as it is written, or with one proposal after another."""
        settings, started = self._settings, time.monotonic()
        model_inputs = self._builder.evaluator.timed_inputs(count=1)[0]
        pruner = Pruner(
            f"validation_{self._context.config.metric}",
            {name: torch.from_numpy(one) for name, one in model_inputs.items()},
        )
        name = "-".join(settings.pipeline)
        if not settings.trials:
            self._follow(name, settings.pipeline, pruner)
            return
        proposals, limit = _proposals(settings, self._context.seed), settings.budget.max_minutes
        shown: dict[str, tuple[float, float]] = {}
        for number in range(settings.trials):
            if limit is not None and time.monotonic() - started > 60 * limit:
                self.pruned_trials[f"{name}-{number}"] = f"{limit:g} minutes are over"
                break
            proposal = proposals.ask()
            if proposal.key not in shown:
                shown[proposal.key] = self._follow(f"{name}-{number}", proposal.passes, pruner)
            proposals.tell(proposal, *shown[proposal.key])

    def _follow(self, name: str, passes: Mapping[str, CheckpointPass], pruner: Pruner) -> tuple[float, float]:
        """Follows one pipeline; returns the cost of its net, and by how much it exceeds the budget."""
        histories: dict[str, tuple[dict[str, float], ...]] = {}
        size: Size | None = None

        def admit(key: str, checkpoint: Checkpoint) -> None:
            nonlocal size
            size, histories[key] = pruner.size_of(checkpoint), checkpoint.record.history
            following = list(passes.values())[len(histories) :]
            if not checkpoint.record.history and following and all(hasattr(one, "epochs") for one in following):
                pruner.admit(size)  # it was cut for the last time, and is to be trained

        def watch(epoch: int, values: Mapping[str, float]) -> None:
            key = list(passes)[len(histories)]  # the one at work
            if size is not None:
                pruner.watch(key, size, epoch, getattr(passes[key], "epochs", 0), values)

        try:
            variant = variant_of(name, passes, replace(self._context, listener=watch), self._store, admit)
            group = self._add(variant)
        except PrunedTrial as ending:
            self.pruned_trials[name] = str(ending)
            return ending.size.cost, ending.excess
        except (ExportError, CheckpointError) as error:
            self.pruned_trials[name] = str(error)
            return (size.cost if size else 1.0), FAILED
        size = pruner.size_of(variant.checkpoint)
        excess = self._excess(group)
        pruner.learn(Shown(name, size, histories, excess))
        return size.cost, excess

    def _excess(self, group: Group) -> float:
        """Returns by how much the best of a group exceeds the budget, whatever its time: a seed proposes the same."""
        budget, root = self._settings.budget, self.groups[0].records[0]
        made = [one for one in group.records if one.agreement is not None]  # the others could not be measured
        is_good = any(not list(budget.lasting_reasons(one, root)) for one in made)
        return max(min(map(budget.excess, made), default=FAILED), 0.0 if is_good else REFUSED)

    def compared_with_scratch(self, chosen: CandidateRecord, reason: str) -> tuple[CandidateRecord, str]:
        """Trains nets of the chosen one's shape from scratch; returns what ships now, and the reason.

        Args:
            chosen: before.
            reason: why.
        """
        variant, kind = self.group_of(chosen).variant, (chosen.target, chosen.settings)
        groups, faults = list[Group](), list[str]()
        for number in range(self._settings.scratch_baselines):
            try:
                groups.append(self._add(scratch_baseline_of(variant, self._context, self._store, number)))
            except (ExportError, CheckpointError) as error:
                faults.append(str(error))
        if not groups:
            return chosen, f"{reason} There is no from-scratch baseline: {faults[0]}"
        records = list(chain.from_iterable(group.records for group in groups))
        self.scratch_baselines = tuple(one.name for one in records)
        baselines = [one for one in records if (one.target, one.settings) == kind and one.metric]
        values = [one.metric.value for one in baselines if one.metric]
        if not chosen.metric or not values:
            return chosen, reason
        said = (
            f"{reason} Its {self._context.config.metric} is {chosen.metric.value:.4f}; of {len(values)} nets of this "
            f"shape that were trained from scratch for as many epochs {min(values):.4f} to {max(values):.4f}."
        )
        allowed = [one for one in baselines if not one.reasons]
        if statistics.fmean(values) > chosen.metric.value and allowed:
            best = max(allowed, key=lambda one: one.metric.value if one.metric else 0.0)
            return best, f"{said} They win: {best.name} ships."
        return chosen, said

    def _add(self, variant: Variant) -> Group:
        """Measures the candidates of a variant and holds them against the budget."""
        root = self.groups[0] if self.groups else None
        group = self._builder.group(variant, root.exported if root else None)
        first = root.records[0] if root else group.records[0]

        def evaluated(record: CandidateRecord) -> CandidateRecord:
            if record.reasons or record is first:
                return record
            return msgspec.structs.replace(record, reasons=tuple(self._settings.budget.reasons(record, first)))

        group = replace(group, records=tuple(map(evaluated, group.records)))
        self.groups.append(group)
        return group


def _proposals(settings: CompressionSettings, seed: int) -> "Proposals":
    try:
        from maas.compression.proposing import Proposals  # noqa: PLC0415 - optuna is an extra, and takes its time
    except ImportError as error:
        raise BudgetError("Searching compress.space needs optuna. Install maas[compress].") from error
    return Proposals(settings.pipeline, settings.space, seed)
