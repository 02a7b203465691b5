"""The candidates of a variant: its checkpoint exported, and what ONNX passes make of that; measured together."""

import gzip
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from maas.compression.evaluator import Evaluator, TimingTarget
from maas.compression.passes import OnnxPass
from maas.compression.pipeline import Variant
from maas.compression.pruning import macs, parameters
from maas.compression.store import CandidateStore, settings_of, target_of
from maas.errors import BundleError, ConfigError, ExportError
from maas.evidence.parity import parity_of, require_parity
from maas.evidence.task_metrics.base import Scores
from maas.files import read_json, sha256_of, write_atomically
from maas.records.evidence import CandidateRecord
from maas.training.checkpoint import Checkpoint
from maas.training.evaluation import scores_of

log = logging.getLogger("maas")
PARENT, RECORDS = "fp32", "candidates.json"
Exporter = Callable[[Checkpoint, Path], Path]


@dataclass(frozen=True)
class Group:
    """What became of one variant.

    Args:
        variant: the checkpoint.
        records: of its candidates, the exported one first; not yet compared with a budget.
        folder: where their ONNX files lie.
    """

    variant: Variant
    records: tuple[CandidateRecord, ...]
    folder: Path

    @property
    def exported(self) -> Path:
        """The ONNX file of the checkpoint as it is."""
        return self.folder / f"{PARENT}.onnx"

    def model(self, name: str) -> Path:
        """Returns the ONNX file of a candidate."""
        return self.exported if name == self.records[0].name else self.folder / f"{self._pass_of(name)}.onnx"

    def _pass_of(self, name: str) -> str:
        return name.removeprefix(f"{self.variant.name}-") if self.variant.name else name


@dataclass(frozen=True)
class CandidateBuilder:
    """What makes and measures groups.

    Args:
        evaluator: where candidates are evaluated.
        passes: over ONNX files, by name.
        export: writes a checkpoint as an ONNX file.
        store: where groups lie.
        target: batch size and threads that candidates are to be fast at.
    """

    evaluator: Evaluator
    passes: Mapping[str, OnnxPass]
    export: Exporter
    store: CandidateStore
    target: TimingTarget

    def group(self, variant: Variant, root: Path | None = None) -> Group:
        """Makes and measures the candidates of a variant, or reads what was measured before.

        Args:
            variant: the checkpoint.
            root: the ONNX file of the uncompressed model; None where this variant is it.

        Raises:
            ExportError: the checkpoint cannot be exported.
            ParityError: its ONNX file does not answer as its net; nothing that is made of the file may ship.
            ConfigError: the uncompressed model has answers that are no numbers to compare others with.
        """
        passes = {name: [target_of(one), settings_of(one)] for name, one in self.passes.items()}
        place = self.store.place(variant.checkpoint.digest, passes, [self.target.batch_size, self.target.threads])
        if group := kept(variant, place):
            return group
        place.mkdir(parents=True, exist_ok=True)
        group = Group(variant, tuple(self._made(variant, place)), place)
        group = replace(group, records=tuple(self._measured(group, root or group.exported)))
        write_atomically(place / RECORDS, msgspec.json.encode(group.records))
        return group

    def _made(self, variant: Variant, place: Path) -> list[CandidateRecord]:
        """Exports the checkpoint and applies every pass; one that cannot be applied leaves a record that says why."""
        started, exported = time.perf_counter(), self.export(variant.checkpoint, place / f"{PARENT}.onnx")
        facts: dict[str, Any] = {
            **_size(variant, self.evaluator),
            "applied_passes": variant.applied_passes,
            "seed": self.evaluator.calibration.seed,
        }
        first = CandidateRecord(
            name=_name(variant),
            parent_sha256="",
            sha256=sha256_of(exported),
            bytes=exported.stat().st_size,
            gzip_bytes=gzip_bytes(exported),
            seconds=round(time.perf_counter() - started, 3),
            **facts,
        )
        return [first, *(self._applied(variant, name, first, exported, facts) for name in self.passes)]

    def _applied(
        self, variant: Variant, key: str, parent: CandidateRecord, exported: Path, facts: Mapping[str, Any]
    ) -> CandidateRecord:
        one, started, out = self.passes[key], time.perf_counter(), exported.with_name(f"{key}.onnx")
        fault: tuple[str, ...] = ()
        try:
            one.apply(exported, out, self.evaluator.calibration)
            self.evaluator.running(out)
        except (ExportError, BundleError) as error:
            fault = (str(error),)
        return CandidateRecord(
            name=_name(variant, key),
            parent=parent.name,
            parent_sha256=parent.sha256,
            target=target_of(one),
            settings=settings_of(one),
            sha256="" if fault else sha256_of(out),
            bytes=0 if fault else out.stat().st_size,
            gzip_bytes=None if fault else gzip_bytes(out),
            seconds=round(time.perf_counter() - started, 3),
            reasons=fault,
            **facts,
        )

    def _measured(self, group: Group, root: Path) -> list[CandidateRecord]:
        """Adds to each record what was measured; those that failed stay as they are."""
        evaluator, first = self.evaluator, group.records[0]
        whole = [one.name for one in group.records if not one.reasons]
        models = {name: group.model(name) for name in whole}
        predictors = {name: evaluator.predictor(path) for name, path in models.items()}
        answers = {name: evaluator.scores(predictor) for name, predictor in predictors.items()}
        is_root = root == group.exported
        whose = answers[first.name] if is_root else evaluator.scores(evaluator.parent)
        _require_finite(whose)
        trained = whose if is_root else self._trained(group.variant, answers[first.name])
        made = {name: found for name, found in answers.items() if not (is_root and name == first.name)}
        broken = {name for name, found in made.items() if not np.isfinite(found).all()}
        baselines = {} if is_root else {"": root}  # a model is not timed beside itself
        raced = evaluator.latencies({**models, **baselines}, first.name if is_root else "", self.target)

        def measured(record: CandidateRecord) -> CandidateRecord:
            if record.name in broken:
                return msgspec.structs.replace(record, reasons=("some of its answers are not finite numbers",))
            own, footprint = answers[record.name], evaluator.footprint(models[record.name])
            parent = trained if record is first else answers[first.name]
            return msgspec.structs.replace(
                record,
                metric=evaluator.value(own),
                drop=evaluator.drop(whose, own),
                drop_from_parent=None if record is first else evaluator.drop(parent, own),
                worst_slice=evaluator.worst_slice(whose, own),
                agreement=float(evaluator.task_metrics.agrees(parent, own).mean()),
                batch_effect=evaluator.batch_effect(predictors[record.name]),
                latency=raced[record.name][0],
                latencies=raced[record.name],
                load_ms=round(footprint.load_ms, 2),
                peak_bytes=footprint.peak_bytes,
            )

        return [measured(record) if record.name in predictors else record for record in group.records]

    def _trained(self, variant: Variant, exported: Scores) -> Scores:
        """Returns what the checkpoint answers by torch, (N, K), if its ONNX file answers the same."""
        evaluator, parent = self.evaluator, self.evaluator.parent
        rows, run = evaluator.validation.inputs, variant.checkpoint.run()
        found = scores_of(run, parent.postprocessor, parent.processor, rows, parent.batch_size)
        allowed = evaluator.tolerance * parent.postprocessor.scale(found)
        require_parity(parity_of(evaluator.task_metrics, "torch", "onnxruntime", found, exported, allowed))
        return found


def kept(variant: Variant, place: Path) -> Group | None:
    """Returns what was measured before; None where there is nothing, or its files were altered or cannot be read.

    Args:
        variant: by whose name its candidates go.
        place: where they lie.
    """
    if not (place / RECORDS).is_file():
        return None
    try:
        records = read_json(place / RECORDS, tuple[CandidateRecord, ...])
        group = Group(variant, tuple(_renamed(one, variant) for one in records), place)
        files = {group.model(one.name).name: one.sha256 for one in group.records if one.sha256}
        fault = next((f"{file} was altered" for file, digest in files.items() if sha256_of(place / file) != digest), "")
    except (OSError, ValueError) as error:
        fault = str(error)
    if fault:
        log.warning("%s is passed over, and its candidates are made again: %s", place, fault)
    return None if fault else group


def _require_finite(answers: Scores) -> None:
    """Raises ConfigError where the uncompressed model itself answers rows with what is no number."""
    broken = int((~np.isfinite(answers).reshape(len(answers), -1).all(1)).sum())
    if broken:
        raise ConfigError(
            f"The model as it was given answers {broken:,} of {len(answers):,} rows with numbers that are not finite; "
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


def _size(variant: Variant, evaluator: Evaluator) -> dict[str, int]:
    """Returns parameters and multiply-accumulates of a net; nothing of an imported model."""
    model = variant.checkpoint.model()
    if not isinstance(model, nn.Module):
        return {}
    model_inputs = {name: torch.from_numpy(array) for name, array in evaluator.timed_inputs(count=1)[0].items()}
    return {"parameters": parameters(model), "macs": macs(model, model_inputs)}


def gzip_bytes(path: Path) -> int:
    """Returns the bytes of a file when it is packed."""
    return len(gzip.compress(path.read_bytes(), compresslevel=6, mtime=0))
