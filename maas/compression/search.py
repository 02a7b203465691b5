"""Trying chains of passes, judging what they give, and choosing what may ship."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from maas.bounds import NonNegativeCount
from maas.compression.budget import Budget
from maas.compression.candidates import Exporter, Group, Workbench
from maas.compression.chain import Variant, variant_of
from maas.compression.choosing import choice
from maas.compression.control import control_of
from maas.compression.measuring import Bench, Target
from maas.compression.naming import require_names
from maas.compression.passes import CheckpointPass, OnnxPass, Pass, Workshop
from maas.compression.rungs import GivenUp, Rungs, Shown, Size
from maas.compression.store import Store
from maas.errors import BudgetError, CheckpointError, ExportError
from maas.records.evidence import CandidateRecord, CompressionRecord
from maas.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from maas.compression.proposing import Proposals

REFUSED = 0.5
"""Points by which a chain is said to exceed the budget where it loses few enough and is refused for something else."""
FAILED = 1e3
"""Likewise where it could not be followed."""


@dataclass(frozen=True)
class Search:
    """The `compress` section of a recipe.

    Args:
        budget: what may be lost.
        passes: what is tried, by name: those over checkpoints one on what the other made, in this order; each of those
            over ONNX files on the model as exported, and on what the chain made.
        trials: proposals for the settings in `space`; 0 takes the passes as they are written.
        space: what may be proposed of passes over checkpoints: pass → setting → a list of values, or `{low, high}` with
            `step` or `log`.
        controls: nets of the chosen one's shape that are trained from scratch beside it; 0 for none.
    """

    budget: Budget
    passes: Mapping[str, Pass]
    trials: NonNegativeCount = 0
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    controls: NonNegativeCount = 0

    @property
    def chain(self) -> dict[str, CheckpointPass]:
        """The passes over checkpoints."""
        return {name: one for name, one in self.passes.items() if one.side == "checkpoint"}

    @property
    def variants(self) -> int:
        """Checkpoints that are made at most."""
        return (max(1, self.trials) if self.chain else 0) + self.controls

    def epochs(self, trained: int, *, is_augmented: bool) -> float:
        """Returns the epochs that all of them are trained for at most; those with a teacher count for a third more.

        Args:
            trained: epochs of the root.
            is_augmented: whether rows differ from epoch to epoch; else a teacher is asked once.
        """
        spans = [(getattr(one, "epochs", 0), hasattr(one, "temperature")) for one in self.chain.values()]
        weighed = sum(
            epochs + (epochs if is_augmented else 1) / 3 if is_taught else epochs for epochs, is_taught in spans
        )
        scratch = trained + sum(epochs for epochs, _ in spans)
        return max(1, self.trials) * weighed + self.controls * scratch

    @property
    def graph_passes(self) -> dict[str, OnnxPass]:
        """The passes over ONNX files."""
        return {name: one for name, one in self.passes.items() if one.side == "onnx"}


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Args:
        record: all that was tried.
        chosen: the files of what ships.
    """

    record: CompressionRecord
    chosen: Group


def search(settings: Search, workshop: Workshop, bench: Bench, export: Exporter, store: Store) -> Found:
    """Makes candidates, measures them in turns with the model as exported, and chooses.

    Of the candidates that keep the budget the one with the smallest product of size and time is chosen, as far as
    timings can tell; if none does, the model as exported is. What is proposed and made depends on the seed alone, down
    to the bytes; the clock decides what is fast enough, and between candidates that differ by more than its noise.

    Args:
        settings: budget, passes, and what of them is searched.
        workshop: the trained checkpoint, and what passes over checkpoints need.
        bench: where candidates are judged.
        export: writes a checkpoint as an ONNX file.
        store: where candidates lie; what lies there already is not made again.

    Raises:
        BudgetError: a pass is named as the parent is, or the space cannot be read.
    """
    require_searchable(settings)
    hunt = _Hunt(settings, workshop, bench, export, store)
    if settings.chain:
        hunt.follow_chains()
    chosen, reason = choice(hunt.records, hunt.given_up)
    if settings.controls and chosen.links:
        chosen, reason = hunt.held_against_controls(chosen, reason)
    record = CompressionRecord(
        metric=bench.metric,
        budget=asdict(settings.budget),
        candidates=tuple(hunt.records),
        chosen=chosen.name,
        reason=reason,
        rows=len(bench.validation),
        given_up=hunt.given_up,
        controls=hunt.controls,
    )
    return Found(record, hunt.group_of(chosen))


def require_searchable(settings: Search) -> None:
    """Raises BudgetError where candidates would have one name, or proposals are asked for that nothing can take."""
    require_names(settings.chain, settings.graph_passes, trials=settings.trials, controls=settings.controls)
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


def timed_at(settings: Search, bench: Bench) -> Target:
    """Returns the batch size and threads that candidates are to be fast at."""
    budget, declared = settings.budget, bench.declared
    return Target(budget.batch_size or declared.batch_size, budget.threads or declared.threads)


class _Hunt:
    """Everything that was tried so far."""

    def __init__(self, settings: Search, workshop: Workshop, bench: Bench, export: Exporter, store: Store) -> None:
        self._settings = settings
        self._workshop = workshop
        self._store = store
        self._workbench = Workbench(bench, settings.graph_passes, export, store, timed_at(settings, bench))
        self.groups: list[Group] = []
        self.given_up: dict[str, str] = {}
        self.controls: tuple[str, ...] = ()
        self._add(Variant("", workshop.root))

    @property
    def records(self) -> list[CandidateRecord]:
        """All candidates, held against the budget; the model as exported first."""
        return list(chain.from_iterable(group.records for group in self.groups))

    def group_of(self, record: CandidateRecord) -> Group:
        """Returns the group that a candidate belongs to."""
        return next(group for group in self.groups if record in group.records)

    def follow_chains(self) -> None:
        """Takes the chain as it is written, or with one proposal after another."""
        settings, started = self._settings, time.monotonic()
        feeds = self._workbench.bench.timed_feeds(count=1)[0]
        rungs = Rungs(
            f"validation_{self._workshop.config.metric}", {name: torch.from_numpy(one) for name, one in feeds.items()}
        )
        name = "-".join(settings.chain)
        if not settings.trials:
            self._follow(name, settings.chain, rungs)
            return
        proposals, limit = _proposals(settings, self._workshop.seed), settings.budget.max_minutes
        shown: dict[str, tuple[float, float]] = {}
        for number in range(settings.trials):
            if limit is not None and time.monotonic() - started > 60 * limit:
                self.given_up[f"{name}-{number}"] = f"{limit:g} minutes are over"
                break
            proposal = proposals.ask()
            if proposal.key not in shown:
                shown[proposal.key] = self._follow(f"{name}-{number}", proposal.passes, rungs)
            proposals.tell(proposal, *shown[proposal.key])

    def _follow(self, name: str, passes: Mapping[str, CheckpointPass], rungs: Rungs) -> tuple[float, float]:
        """Follows one chain; returns the cost of its net, and by how much it exceeds the budget."""
        histories: dict[str, tuple[dict[str, float], ...]] = {}
        size: Size | None = None

        def admit(key: str, checkpoint: Checkpoint) -> None:
            nonlocal size
            size, histories[key] = rungs.size_of(checkpoint), checkpoint.record.history
            following = list(passes.values())[len(histories) :]
            if not checkpoint.record.history and following and all(hasattr(one, "epochs") for one in following):
                rungs.admit(size)  # it was cut for the last time, and is to be trained

        def watch(epoch: int, values: Mapping[str, float]) -> None:
            key = list(passes)[len(histories)]  # the one at work
            if size is not None:
                rungs.watch(key, size, epoch, getattr(passes[key], "epochs", 0), values)

        try:
            variant = variant_of(name, passes, replace(self._workshop, listener=watch), self._store, admit)
            group = self._add(variant)
        except GivenUp as ending:
            self.given_up[name] = str(ending)
            return ending.size.cost, ending.excess
        except (ExportError, CheckpointError) as error:
            self.given_up[name] = str(error)
            return (size.cost if size else 1.0), FAILED
        size = rungs.size_of(variant.checkpoint)
        excess = self._excess(group)
        rungs.learn(Shown(name, size, histories, excess))
        return size.cost, excess

    def _excess(self, group: Group) -> float:
        """Returns by how much the best of a group exceeds the budget, whatever its time: a seed proposes the same."""
        budget, root = self._settings.budget, self.groups[0].records[0]
        made = [one for one in group.records if one.agreement is not None]  # the others could not be measured
        is_good = any(not list(budget.lasting_reasons(one, root)) for one in made)
        return max(min(map(budget.excess, made), default=FAILED), 0.0 if is_good else REFUSED)

    def held_against_controls(self, chosen: CandidateRecord, reason: str) -> tuple[CandidateRecord, str]:
        """Trains nets of the chosen one's shape from scratch; returns what ships now, and the reason.

        Args:
            chosen: before.
            reason: why.
        """
        variant, kind = self.group_of(chosen).variant, (chosen.target, chosen.settings)
        groups, faults = list[Group](), list[str]()
        for number in range(self._settings.controls):
            try:
                groups.append(self._add(control_of(variant, self._workshop, self._store, number)))
            except (ExportError, CheckpointError) as error:
                faults.append(str(error))
        if not groups:
            return chosen, f"{reason} There is no control: {faults[0]}"
        records = list(chain.from_iterable(group.records for group in groups))
        self.controls = tuple(one.name for one in records)
        rivals = [one for one in records if (one.target, one.settings) == kind and one.metric]
        values = [one.metric.value for one in rivals if one.metric]
        if not chosen.metric or not values:
            return chosen, reason
        said = (
            f"{reason} Its {self._workshop.config.metric} is {chosen.metric.value:.4f}; of {len(values)} nets of this "
            f"shape that were trained from scratch for as many epochs {min(values):.4f} to {max(values):.4f}."
        )
        allowed = [one for one in rivals if not one.reasons]
        if statistics.fmean(values) > chosen.metric.value and allowed:
            best = max(allowed, key=lambda one: one.metric.value if one.metric else 0.0)
            return best, f"{said} They win: {best.name} ships."
        return chosen, said

    def _add(self, variant: Variant) -> Group:
        """Measures the candidates of a variant and holds them against the budget."""
        root = self.groups[0] if self.groups else None
        group = self._workbench.group(variant, root.exported if root else None)
        first = root.records[0] if root else group.records[0]

        def judged(record: CandidateRecord) -> CandidateRecord:
            if record.reasons or record is first:
                return record
            return msgspec.structs.replace(record, reasons=tuple(self._settings.budget.reasons(record, first)))

        group = replace(group, records=tuple(map(judged, group.records)))
        self.groups.append(group)
        return group


def _proposals(settings: Search, seed: int) -> "Proposals":
    try:
        from maas.compression.proposing import Proposals  # noqa: PLC0415 - optuna is an extra, and takes its time
    except ImportError as error:
        raise BudgetError("Searching compress.space needs optuna. Install maas[compress].") from error
    return Proposals(settings.chain, settings.space, seed)
