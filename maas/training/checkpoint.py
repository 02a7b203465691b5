"""The checkpoint: a trained model that can be rebuilt without its training, and without a pickle."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from maas.cards import card
from maas.config import Part, target_of
from maas.config.part import TARGET
from maas.errors import CheckpointError, MaasError
from maas.files import folder_published_whole, read_json, sha256_of
from maas.importing.base import ImportedModel
from maas.records.evidence import DataRecord, Interval
from maas.records.manifest import Lineage
from maas.records.older import checkpoint_today
from maas.runtime.codec import Run
from maas.runtime.postprocessors import Postprocessor, load_postprocessor
from maas.runtime.processors import Processor, load_processor
from maas.training.evaluation import NET_ERRORS, run_of
from maas.training.heads import TaskHead, task_head_of
from maas.training.net_weights import load_weights, save_weights
from maas.training.pruning_plan import PruningPlan, cast_, crop_, plan_of, shape_
from maas.training.reopening import require_same_outputs

CHECKPOINT_VERSION = 3
WEIGHTS, RECORD, PROCESSOR, SOURCE = "weights.safetensors", "checkpoint.json", "processor", "source"
REBUILDING_ERRORS: tuple[type[Exception], ...] = (
    MaasError,
    *NET_ERRORS,
    LookupError,
    AttributeError,
    ImportError,
    OSError,
    SafetensorError,
)
"""What a missing class or file, other arguments than the class takes, or weights of other shapes raise."""


class NetRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to build the net, or the imported model: an import path and its arguments."""

    target: str
    arguments: dict[str, Any]

    def part(self, path: str) -> Part[object]:
        """Returns the part that builds it.

        Args:
            path: name of the part in messages.
        """
        return Part.of({**self.arguments, TARGET: self.target}, path)


class CheckpointRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a checkpoint records.

    Args:
        schema_version: of this file.
        name: the model's name.
        task: what was learnt.
        net: how to build the net.
        plan: how the built net was cut; null where it was not.
        processor: kind and settings.
        labels: the K names, in the order of the plain numbers; none where predictions are no labels.
        postprocessor: kind and settings of the postprocessor.
        history: logged values, an entry each epoch.
        best_epoch: whose weights these are.
        metrics: on validation data.
        cross_validated: pooled over the folds of a cross-validation; empty without one.
        temperature: what logits of labels are divided by.
        data: the rows it was trained on.
        lineage: where it comes from.
        files: SHA-256 of the weights and of the processor's files, by path.
        tied: names of weights that are another's as well, and the name under which the file holds both.
    """

    schema_version: int
    name: str
    task: str
    net: NetRecord
    plan: PruningPlan | None
    processor: dict[str, Any]
    labels: tuple[str, ...]
    postprocessor: dict[str, Any]
    history: tuple[dict[str, float], ...]
    best_epoch: int
    metrics: dict[str, Interval]
    data: DataRecord
    lineage: Lineage
    files: dict[str, str]
    cross_validated: dict[str, Interval] = {}
    temperature: float = 1.0
    tied: dict[str, str] = {}


@dataclass(frozen=True)
class Checkpoint:
    """A trained model on disk.

    Args:
        folder: where it lies.
        record: how it was made and how to rebuild it.
    """

    folder: Path
    record: CheckpointRecord

    @classmethod
    def open(cls, folder: str | Path) -> "Checkpoint":
        """Opens a checkpoint and checks the digest of each of its files.

        Raises:
            CheckpointError: it is not a checkpoint, or it was altered.
        """
        folder = Path(folder)
        try:
            record = read_json(folder / RECORD, CheckpointRecord, checkpoint_today)
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{folder} holds no {RECORD}; train first: python -m maas.train recipe=NAME."
            ) from error
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{folder / RECORD} cannot be read: {error}.") from error
        if record.schema_version != CHECKPOINT_VERSION:
            raise CheckpointError(
                f"{folder} has schema version {record.schema_version}; this maas reads 2 and {CHECKPOINT_VERSION}. "
                "Train again."
            )
        for name, digest in record.files.items():
            if not (folder / name).is_file() or sha256_of(folder / name) != digest:
                raise CheckpointError(f"{folder / name} is missing or was altered since training; train again.")
        return cls(folder, record)

    @property
    def weights(self) -> list[str]:
        """The files that hold what was learnt, below the folder."""
        return [name for name in self.record.files if not name.startswith(PROCESSOR)]

    def model(self) -> nn.Module | ImportedModel:
        """Builds the net with its trained weights, in evaluation mode, or opens an imported model."""
        record = self.record.net
        try:
            target = target_of(record.target)[0]
            if isinstance(target, type) and issubclass(target, ImportedModel):
                return target.load(record.arguments, self.folder / SOURCE)
            net = self._built()
            weights = self._weights()
            if self.record.plan:
                shape_(net, self.record.plan, weights)
            cast_(net, weights)
            net.load_state_dict(weights)
        except REBUILDING_ERRORS as error:
            raise CheckpointError(f"{record.target} cannot be rebuilt from {self.folder}: {error}") from error
        return net.eval()

    @property
    def digest(self) -> str:
        """SHA-256 of what the model is, whatever its training was: how it is built, its weights, its processor."""
        record = self.record
        content: tuple[object, ...] = (record.net, record.plan, record.processor, record.postprocessor, record.files)
        if record.temperature != 1:
            content += (record.temperature,)
        return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()

    def succeeded_by(
        self,
        folder: Path,
        net: nn.Module,
        *,
        known: PruningPlan | None = None,
        rows: Sequence[Any] = (),
        **changes: Any,
    ) -> "Checkpoint":
        """Writes the checkpoint of a net that was made from this one: cut, trained further, or both.

        Args:
            folder: where to.
            net: what became of `model()`.
            known: layers that are gone and inputs that are clipped; None where they are those of this checkpoint.
            rows: raw inputs that it must predict as `net` does once it is opened again.
            changes: fields of `CheckpointRecord` that differ, e.g. `metrics`.

        Raises:
            CheckpointError: it does not predict so.
        """
        fields = {name: getattr(self.record, name) for name in self.record.__struct_fields__}
        for own in ("schema_version", "net", "plan", "processor", "files", "tied"):
            del fields[own]
        return save_checkpoint(
            folder,
            net,
            self.processor(),
            net_record=self.record.net,
            rows=rows,
            plan=plan_of(self._built(), net, known or self.record.plan or PruningPlan()),
            **{**fields, **changes},
        )

    def _repr_html_(self) -> str:
        record = self.record
        best = f"{record.best_epoch + 1} of {len(record.history)}" if record.history else "none: taken as it came"
        facts = [
            ("task", record.task),
            ("model", record.net.target),
            ("rows", ", ".join(f"{name} {count:,}" for name, count in record.data.rows.items())),
            ("epoch", best),
            ("recipe", record.lineage.recipe),
            ("folder", str(self.folder)),
        ]
        metrics = [[name, str(value)] for name, value in record.metrics.items()]
        return card(record.name, "checkpoint", facts, ["metric", "on validation rows"], metrics)

    def from_scratch(self, seed: int) -> nn.Module:
        """Returns a net of this one's shape with weights as they are before any training.

        Args:
            seed: random seed of the weights.
        """
        torch.manual_seed(seed)
        net = self._built()
        return crop_(net, self.record.plan, self._weights()) if self.record.plan else net

    def _built(self) -> nn.Module:
        return cast("nn.Module", self.record.net.part("net").build())

    def _weights(self) -> dict[str, Tensor]:
        """Returns the net's weights by name."""
        return load_weights(self.folder / WEIGHTS, self.record.tied)

    def task_head(self) -> TaskHead:
        """Returns what the net's logits mean."""
        task_head = task_head_of(self.record.task, self.record.labels).reading(self.record.postprocessor)
        return task_head.calibrated(self.record.temperature)

    def postprocessor(self) -> Postprocessor:
        """Returns what the plain numbers mean."""
        return load_postprocessor(self.record.postprocessor)

    def run(self) -> Run:
        """Returns how the model is run on model inputs by its own framework."""
        return run_of(self.model(), self.task_head(), self.postprocessor().output)

    def processor(self) -> Processor:
        """Loads the processor that the model was trained with."""
        return load_processor(self.record.processor, self.folder / PROCESSOR)


def save_checkpoint(
    folder: Path,
    model: nn.Module | ImportedModel,
    processor: Processor,
    *,
    net_record: NetRecord,
    rows: Sequence[Any] = (),
    **record: Any,
) -> Checkpoint:
    """Writes a checkpoint, whole or not at all.

    Args:
        folder: where to.
        model: a net, whose weights are kept, or an imported model.
        processor: fitted.
        net_record: how to build it again.
        rows: raw inputs that it must predict as `model` does once it is opened again; none where a copy cannot differ.
        record: the fields of `CheckpointRecord` that model and processor do not give.

    Raises:
        CheckpointError: the net holds what weights cannot, or the checkpoint does not predict as it does.
    """
    tied: dict[str, str] = {}
    with folder_published_whole(folder) as draft:
        if isinstance(model, ImportedModel):
            (draft / SOURCE).mkdir()
            model.save(draft / SOURCE)
        else:
            tied = save_weights(model, draft / WEIGHTS)
        processor.save(draft / PROCESSOR)
        files = sorted(file for file in draft.rglob("*") if file.is_file())
        content = CheckpointRecord(
            schema_version=CHECKPOINT_VERSION,
            net=net_record,
            processor=processor.record(),
            files={file.relative_to(draft).as_posix(): sha256_of(file) for file in files},
            tied=tied,
            **record,
        )
        (draft / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        if len(rows):
            require_same_outputs(net_record.target, model, processor, Checkpoint.open(draft), rows)
    return Checkpoint.open(folder)
