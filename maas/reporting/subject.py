"""What a page is about: a bundle, and what its evidence, its run folder and the registry know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from maas.errors import BundleError, ConfigError
from maas.files import read_json
from maas.records.evidence import Evidence, Interval
from maas.run_folders.folder import RunFolder
from maas.runtime.bundle import Bundle

CHECKPOINT = "checkpoint.json"


class TrainedNet(msgspec.Struct, frozen=True):
    """The part of a checkpoint's record that names what was trained."""

    target: str
    arguments: dict[str, Any] = {}


class TrainingHistory(msgspec.Struct, frozen=True):
    """The part of a checkpoint's record that a page shows; the rest is passed over.

    Args:
        history: logged values, an entry each epoch.
        best_epoch: epoch whose weights are kept, from 0; null where it is not known.
        net: what was trained; null where it is not known.
        metrics: on validation rows.
    """

    history: tuple[dict[str, float | None], ...] = ()
    best_epoch: int | None = None
    net: TrainedNet | None = None
    metrics: dict[str, Interval] = {}


@dataclass(frozen=True)
class Gap:
    """Something that a page lacks, and why.

    Args:
        key: key of the sentence that says so.
        values: what stands in its places.
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ReportedModel:
    """A model, and what is known of it beside its bundle.

    Args:
        address: address that it was opened by, as a user types it.
        bundle: the model.
        evidence: what was measured of it; None where there is none.
        training: how it was trained; None where that is not known.
        seconds: wall time in seconds by stage.
        version: number in the registry; empty where it was opened by a folder.
        gaps: what is not known, and why.
    """

    address: str
    bundle: Bundle
    evidence: Evidence | None
    training: TrainingHistory | None
    seconds: Mapping[str, float]
    version: str = ""
    gaps: tuple[Gap, ...] = ()

    @property
    def kind(self) -> str:
        """Kind of its predictions, such as `classification`, or `generation`."""
        if self.bundle.is_generative:
            return "generation"
        return str(self.bundle.manifest.postprocessor["kind"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that it predicts; none where predictions are no labels."""
        return tuple(self.bundle.manifest.postprocessor.get("labels", ()))

    @property
    def metric(self) -> str | None:
        """The metric that the model was chosen by, or the first of the evidence; None where there is none."""
        if self.evidence is None or "shipped" not in self.evidence.metrics:
            return None
        shipped, record = self.evidence.metrics["shipped"], self.evidence.compression
        chosen_by = record.metric if record is not None else None
        return chosen_by if chosen_by in shipped else next(iter(shipped), None)


def reported_model(
    bundle: Bundle, address: str, *, logged: TrainingHistory | None = None, version: str = ""
) -> ReportedModel:
    """Finds what is known of a model; what cannot be read is a gap, and no error.

    Args:
        bundle: the model.
        address: address that it was opened by.
        logged: how it was trained as the registry has it; None where that was not looked up.
        version: number in the registry; empty for none.
    """
    gaps: list[Gap] = []
    evidence = _evidence(bundle, gaps)
    folder = RunFolder(bundle.folder.resolve().parent)
    training, seconds = logged, dict(evidence.seconds) if evidence else {}
    if (folder.path / "run.json").is_file() and folder.bundle == bundle.folder.resolve():
        training = _training(folder, gaps) or logged
        seconds |= _seconds(folder, gaps)
    elif logged is None:
        gaps.append(Gap("gap_run"))
    return ReportedModel(address, bundle, evidence, training, seconds, version, tuple(gaps))


def _evidence(bundle: Bundle, gaps: list[Gap]) -> Evidence | None:
    try:
        return bundle.evidence
    except BundleError as error:
        gaps.append(Gap("gap_evidence", {"error": error}))
        return None


def _training(folder: RunFolder, gaps: list[Gap]) -> TrainingHistory | None:
    try:
        return read_json(folder.checkpoint / CHECKPOINT, TrainingHistory)
    except (OSError, ValueError):
        gaps.append(Gap("gap_checkpoint", {"folder": folder.checkpoint}))
        return None


def _seconds(folder: RunFolder, gaps: list[Gap]) -> dict[str, float]:
    try:
        return folder.state.seconds
    except ConfigError as error:
        gaps.append(Gap("gap_state", {"error": error}))
        return {}
