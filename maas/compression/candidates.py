"""The candidates of a variant: its checkpoint exported, and what ONNX passes make of that; measured together."""

import gzip
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import msgspec
import torch
from torch import nn

from maas.compression.budget import Budget
from maas.compression.evaluator import TimingTarget
from maas.compression.naming import PARENT
from maas.compression.net_size import NetSize
from maas.compression.passes import Calibration, PassContext
from maas.compression.pipeline import Variant
from maas.compression.settings import CompressionSettings
from maas.compression.store import CandidateStore, import_path_of, pass_settings
from maas.data.splits import Split
from maas.errors import BundleError, ExportError
from maas.files import read_json, sha256_of, write_atomically
from maas.records.evidence import CandidateRecord
from maas.runtime.codec import ModelInputs
from maas.training.checkpoint import Checkpoint

log = logging.getLogger("maas")
CANDIDATE_RECORDS = "candidates.json"
LARGEST_PACKED_BYTES = 100_000_000
Exporter = Callable[[Checkpoint, Path], Path]


class CandidateEvaluator(Protocol):
    """Evaluates the candidates of a search, all of them by the same rows that training did not see."""

    @property
    def graph(self) -> Path:
        """ONNX file of the uncompressed model."""
        ...

    @property
    def metric(self) -> str | None:
        """Name of the metric; None where rows have no targets."""
        ...

    @property
    def size(self) -> int:
        """Number of rows, or of tokens, that candidates are evaluated on."""
        ...

    def target(self, budget: Budget) -> TimingTarget:
        """Returns the batch size and threads that candidates are to be fast at."""
        ...

    def calibration(self, train: Split, seed: int) -> Calibration:
        """Returns training rows for ONNX passes."""
        ...

    def timed_inputs(self, batch_size: int | None = None, count: int = 1) -> list[ModelInputs]:
        """Returns inputs of the graph for a few full batches."""
        ...

    def require_running(self, model: Path) -> None:
        """Requires an ONNX file that can be opened and run; raises BundleError or ExportError."""
        ...

    def evaluated(
        self, variant: Variant, records: Sequence[CandidateRecord], models: Mapping[str, Path], target: TimingTarget
    ) -> list[CandidateRecord]:
        """Returns the records of a variant's candidates with what was measured; those without a model as they are."""
        ...


@dataclass(frozen=True)
class MeasuredVariant:
    """A variant with its candidates.

    Args:
        variant: checkpoint, or the graph that the search began with.
        records: records of its candidates, the exported one first; not yet compared with a budget.
        folder: folder of their ONNX files.
    """

    variant: Variant
    records: tuple[CandidateRecord, ...]
    folder: Path

    @property
    def exported(self) -> Path:
        """The ONNX file of the variant as it is."""
        return self.folder / f"{PARENT}.onnx"

    def model(self, name: str) -> Path:
        """Returns the ONNX file of a candidate."""
        return self.exported if name == self.records[0].name else self.folder / f"{self._pass_of(name)}.onnx"

    def _pass_of(self, name: str) -> str:
        return name.removeprefix(f"{self.variant.name}-") if self.variant.name else name


@dataclass(frozen=True)
class CandidateBuilder:
    """Makes and measures candidates: a variant exported, and what ONNX passes make of that.

    Args:
        evaluator: what evaluates them.
        context: root, recipe and rows.
        settings: passes and budget.
        store: where variants and candidates lie; what lies there already is not made again.
        export: writes a checkpoint as an ONNX file; None where there is no pipeline. The root is exported already.
    """

    evaluator: CandidateEvaluator
    context: PassContext
    settings: CompressionSettings
    store: CandidateStore
    export: Exporter | None = None

    @cached_property
    def calibration(self) -> Calibration:
        """Training rows for ONNX passes."""
        return self.evaluator.calibration(self.context.splits.train, self.context.seed)

    def measured(self, variant: Variant) -> MeasuredVariant:
        """Makes and measures the candidates of a variant, or reads what was measured before.

        Raises:
            ExportError: the checkpoint cannot be exported.
            ParityError: its ONNX file does not predict as its net; nothing that is made of the file may ship.
            ConfigError: the uncompressed model has answers that are no numbers to compare others with.
        """
        passes = {name: [import_path_of(one), pass_settings(one)] for name, one in self.settings.onnx_passes.items()}
        target = self.evaluator.target(self.settings.budget)
        place = self.store.place(self._digest(variant), passes, [target.batch_size, target.threads])
        if before := measured_before(variant, place):
            return before
        place.mkdir(parents=True, exist_ok=True)
        made = MeasuredVariant(variant, tuple(self._made(variant, place)), place)
        models = {one.name: made.model(one.name) for one in made.records if not one.reasons}
        made = replace(made, records=tuple(self.evaluator.evaluated(variant, made.records, models, target)))
        write_atomically(place / CANDIDATE_RECORDS, msgspec.json.encode(made.records))
        return made

    def _digest(self, variant: Variant) -> str:
        return variant.checkpoint.digest if variant.checkpoint else sha256_of(self.evaluator.graph)

    def _exported(self, variant: Variant, out: Path) -> Path:
        """Writes the ONNX file of a variant; that of the root was exported before the search began."""
        if not variant.name:
            return Path(shutil.copyfile(self.evaluator.graph, out))
        if self.export is None:
            raise ExportError("This search exports no checkpoints; nothing can be made of the model but graphs.")
        return self.export(variant.trained, out)

    def _made(self, variant: Variant, place: Path) -> list[CandidateRecord]:
        """Exports the variant and applies every pass; one that cannot be applied leaves a record with the reason."""
        started, exported = time.perf_counter(), self._exported(variant, place / f"{PARENT}.onnx")
        size = _size(variant, self.evaluator)
        first = CandidateRecord(
            name=_name(variant),
            parent_sha256="",
            sha256=sha256_of(exported),
            bytes=exported.stat().st_size,
            gzip_bytes=_packed(exported),
            seconds=round(time.perf_counter() - started, 3),
            applied_passes=variant.applied_passes,
            seed=self.context.seed,
            parameters=size.parameters if size else None,
            macs=size.macs if size else None,
        )
        return [first, *(self._applied(variant, name, first, exported) for name in self.settings.onnx_passes)]

    def _applied(self, variant: Variant, key: str, parent: CandidateRecord, exported: Path) -> CandidateRecord:
        one, started, out = self.settings.onnx_passes[key], time.perf_counter(), exported.with_name(f"{key}.onnx")
        fault: tuple[str, ...] = ()
        try:
            one.apply(exported, out, self.calibration)
            self.evaluator.require_running(out)
        except (ExportError, BundleError) as error:
            fault = (str(error),)
        return msgspec.structs.replace(
            parent,
            name=_name(variant, key),
            parent=parent.name,
            parent_sha256=parent.sha256,
            target=import_path_of(one),
            settings=pass_settings(one),
            sha256="" if fault else sha256_of(out),
            bytes=0 if fault else out.stat().st_size,
            gzip_bytes=None if fault else _packed(out),
            seconds=round(time.perf_counter() - started, 3),
            reasons=fault,
        )


def measured_before(variant: Variant, place: Path) -> MeasuredVariant | None:
    """Returns what was measured before; None where there is nothing, or its files were altered or cannot be read.

    Args:
        variant: variant whose name its candidates have.
        place: folder of the candidates.
    """
    if not (place / CANDIDATE_RECORDS).is_file():
        return None
    try:
        records = read_json(place / CANDIDATE_RECORDS, tuple[CandidateRecord, ...])
        found = MeasuredVariant(variant, tuple(_renamed(one, variant) for one in records), place)
        files = {found.model(one.name).name: one.sha256 for one in found.records if one.sha256}
        fault = next((f"{file} was altered" for file, digest in files.items() if sha256_of(place / file) != digest), "")
    except (OSError, ValueError) as error:
        fault = str(error)
    if fault:
        log.warning("%s is passed over, and its candidates are made again: %s", place, fault)
    return None if fault else found


def _name(variant: Variant, key: str = "") -> str:
    """Returns a candidate's name: of the pipeline, then of the pass."""
    return "-".join(filter(None, (variant.name, key))) or PARENT


def _renamed(record: CandidateRecord, variant: Variant) -> CandidateRecord:
    """Returns a record that was kept, under the name by which its pipeline goes now."""
    key = record.name.removeprefix(record.parent).lstrip("-") if record.parent != PARENT else record.name
    name = _name(variant, key if record.parent else "")
    parent = _name(variant) if record.parent else ""
    return msgspec.structs.replace(record, name=name, parent=parent, applied_passes=variant.applied_passes)


def _size(variant: Variant, evaluator: CandidateEvaluator) -> NetSize | None:
    """Returns the size of a net; None for an imported model or a graph."""
    model = variant.checkpoint.model() if variant.checkpoint else None
    if not isinstance(model, nn.Module):
        return None
    (model_inputs,) = evaluator.timed_inputs(count=1)
    return NetSize.of(model, {name: torch.from_numpy(array) for name, array in model_inputs.items()})


def _packed(path: Path) -> int | None:
    """Returns the bytes of a file when it is packed; None for a large one, which takes long."""
    return gzip_bytes(path) if path.stat().st_size <= LARGEST_PACKED_BYTES else None


def gzip_bytes(path: Path) -> int:
    """Returns the bytes of a file when it is packed."""
    return len(gzip.compress(path.read_bytes(), compresslevel=6, mtime=0))
