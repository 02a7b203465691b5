"""The candidates of a variant: its checkpoint exported, and what ONNX passes make of that; measured together."""

import gzip
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn

from maas.compression.evaluator import Evaluator, TimingTarget
from maas.compression.naming import PARENT
from maas.compression.net_size import NetSize
from maas.compression.passes import Calibration, PassContext
from maas.compression.pipeline import Variant
from maas.compression.settings import CompressionSettings
from maas.compression.store import CandidateStore, import_path_of, pass_settings
from maas.errors import BundleError, ConfigError, ExportError
from maas.evidence.parity import parity_of, require_parity
from maas.evidence.task_metrics.base import Scores
from maas.files import read_json, sha256_of, write_atomically
from maas.records.evidence import CandidateRecord
from maas.training.checkpoint import Checkpoint
from maas.training.evaluation import scores_of

log = logging.getLogger("maas")
CANDIDATE_RECORDS = "candidates.json"
Exporter = Callable[[Checkpoint, Path], Path]


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

    evaluator: Evaluator
    context: PassContext
    settings: CompressionSettings
    store: CandidateStore
    export: Exporter | None = None

    @cached_property
    def calibration(self) -> Calibration:
        """Training rows for ONNX passes."""
        return Calibration.of(self.evaluator.parent, self.context.splits.train, self.context.seed)

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
        made = replace(made, records=tuple(self._evaluated(made, target)))
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
            gzip_bytes=gzip_bytes(exported),
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
            self.evaluator.running(out)
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
            gzip_bytes=None if fault else gzip_bytes(out),
            seconds=round(time.perf_counter() - started, 3),
            reasons=fault,
        )

    def _evaluated(self, made: MeasuredVariant, target: TimingTarget) -> list[CandidateRecord]:
        """Adds to each record what was measured; those that failed stay as they are."""
        evaluator, first = self.evaluator, made.records[0]
        is_root = not made.variant.name
        models = {one.name: made.model(one.name) for one in made.records if not one.reasons}
        predictors = {name: evaluator.predictor(path) for name, path in models.items()}
        scores = {name: evaluator.scores(predictor) for name, predictor in predictors.items()}
        whose = scores[first.name] if is_root else evaluator.scores(evaluator.parent)
        _require_finite(whose)
        trained = whose if is_root else self._trained(made.variant, scores[first.name])
        broken = {name for name, found in scores.items() if not np.isfinite(found).all()}
        baselines = {} if is_root else {"": evaluator.graph}  # a model is not timed beside itself
        timed = evaluator.latencies({**models, **baselines}, first.name if is_root else "", target)

        def evaluated(record: CandidateRecord) -> CandidateRecord:
            if record.name in broken:
                return msgspec.structs.replace(record, reasons=("some of its scores are not finite numbers",))
            own, footprint = scores[record.name], evaluator.footprint(models[record.name])
            parent = trained if record is first else scores[first.name]
            return msgspec.structs.replace(
                record,
                metric=evaluator.value(own),
                drop=evaluator.drop(whose, own),
                drop_from_parent=None if record is first else evaluator.drop(parent, own),
                worst_slice=evaluator.worst_slice(whose, own),
                agreement=float(evaluator.task_metrics.agrees(parent, own).mean()),
                batch_effect=evaluator.batch_effect(predictors[record.name]),
                latency=timed[record.name][0],
                latencies=timed[record.name],
                load_ms=round(footprint.load_ms, 2),
                peak_bytes=footprint.peak_bytes,
            )

        return [evaluated(record) if record.name in predictors else record for record in made.records]

    def _trained(self, variant: Variant, exported: Scores) -> Scores:
        """Returns what the checkpoint answers by torch, (N, K), if its ONNX file answers the same."""
        evaluator, parent = self.evaluator, self.evaluator.parent
        rows, run = evaluator.validation.inputs, variant.trained.run()
        found = scores_of(run, parent.postprocessor, parent.processor, rows, parent.batch_size)
        allowed = evaluator.tolerance * parent.postprocessor.scale(found)
        require_parity(parity_of(evaluator.task_metrics, "torch", "onnxruntime", found, exported, allowed))
        return found


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


def _require_finite(scores: Scores) -> None:
    """Raises ConfigError where the uncompressed model itself answers rows with what is no number."""
    broken = int((~np.isfinite(scores).reshape(len(scores), -1).all(1)).sum())
    if broken:
        raise ConfigError(
            f"The model as it was given answers {broken:,} of {len(scores):,} rows with numbers that are not finite; "
            "nothing can be compared with them. Leave these rows out, or mend the model first."
        )


def _name(variant: Variant, key: str = "") -> str:
    """Returns a candidate's name: of the pipeline, then of the pass."""
    return "-".join(filter(None, (variant.name, key))) or PARENT


def _renamed(record: CandidateRecord, variant: Variant) -> CandidateRecord:
    """Returns a record that was kept, under the name by which its pipeline goes now."""
    key = record.name.removeprefix(record.parent).lstrip("-") if record.parent != PARENT else record.name
    name = _name(variant, key if record.parent else "")
    parent = _name(variant) if record.parent else ""
    return msgspec.structs.replace(record, name=name, parent=parent, applied_passes=variant.applied_passes)


def _size(variant: Variant, evaluator: Evaluator) -> NetSize | None:
    """Returns the size of a net; None for an imported model or a graph."""
    model = variant.checkpoint.model() if variant.checkpoint else None
    if not isinstance(model, nn.Module):
        return None
    (model_inputs,) = evaluator.timed_inputs(count=1)
    return NetSize.of(model, {name: torch.from_numpy(array) for name, array in model_inputs.items()})


def gzip_bytes(path: Path) -> int:
    """Returns the bytes of a file when it is packed."""
    return len(gzip.compress(path.read_bytes(), compresslevel=6, mtime=0))
