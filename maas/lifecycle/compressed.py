"""What compressing leaves in a run's folder for the later stages."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from maas.compression.candidates import CandidateBuilder
from maas.compression.evaluator import Evaluator
from maas.compression.pipeline import Variant
from maas.compression.search import Search, SearchResult
from maas.compression.store import CHECKPOINT
from maas.errors import BundleError
from maas.evidence.model_plots import compression_picture
from maas.exporting.source import Source
from maas.files import read_json, sha256_of, write_json
from maas.records.evidence import CalibrationRecord, CompressionRecord
from maas.records.older import compression_today
from maas.runtime.bundle import Bundle
from maas.training.checkpoint import Checkpoint

RECORD, PICTURE = "compression.json", "compression.png"
CALIBRATION = ("log_loss", "ece_15")
"""Metrics that calibrating is measured by."""
log = logging.getLogger("maas")


@dataclass(frozen=True)
class Compressed:
    """What `compress` leaves.

    Args:
        folder: where it lies.
        record: the search, with every candidate's numbers.
    """

    folder: Path
    record: CompressionRecord

    @classmethod
    def open(cls, folder: Path) -> "Compressed":
        """Opens a finished search.

        Raises:
            BundleError: its record is missing or cannot be read.
        """
        try:
            return cls(folder, read_json(folder / RECORD, CompressionRecord, compression_today))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BundleError(
                f"{folder / RECORD} cannot be read: {reason}. Remove {folder} and run python -m maas.compress again."
            ) from error

    @property
    def model(self) -> Path:
        """The chosen ONNX file."""
        return self._file(self.record.chosen)

    @property
    def exported(self) -> Path:
        """What it was made of: the ONNX file of its checkpoint as it is."""
        return self._file(self.record.candidate(self.record.chosen).parent or self.record.chosen)

    def is_in(self, bundle: Bundle) -> bool:
        """Whether a bundle ships what was chosen."""
        model = bundle.model_path.relative_to(bundle.folder).as_posix()
        return bundle.manifest.files[model] == self.record.candidate(self.record.chosen).sha256

    def require_in(self, bundle: Bundle) -> None:
        """Requires a bundle that ships what was chosen.

        Raises:
            BundleError: it ships something else.
        """
        if not self.is_in(bundle):
            raise BundleError(
                f"{bundle.folder} holds another model than {self.folder} chose since then. Run python -m maas.export "
                f"recipe={bundle.manifest.name} with the same overrides."
            )

    def checkpoint(self, trained: Checkpoint) -> Checkpoint:
        """Returns the checkpoint that ships: what passes made of the one that was trained, or that one."""
        own = self.folder / CHECKPOINT
        return Checkpoint.open(own) if own.is_dir() else trained

    def _file(self, name: str) -> Path:
        file = self.folder / f"{name}.onnx"
        if not file.is_file() or sha256_of(file) != self.record.candidate(name).sha256:
            raise BundleError(f"{file} is missing or was altered since it was made. Run python -m maas.compress again.")
        return file


def searched(
    builder: CandidateBuilder, folder: Path, calibration: CalibrationRecord | None = None
) -> CompressionRecord:
    """Searches, and leaves in a folder what later stages need, with the record and its picture.

    Args:
        builder: makes and measures candidates.
        folder: draft of a run's `compress/`.
        calibration: of the model as exported; None where there is none.

    Raises:
        BudgetError: the settings allow no search.
    """
    found = Search(builder).run()
    _keep(found, folder)
    record = replace(found.record, calibration=calibration)
    write_json(folder / RECORD, record)
    compression_picture(record, folder / PICTURE)
    return record


def calibration_of(source: Source, evaluator: Evaluator, root: Variant) -> CalibrationRecord | None:
    """Measures how far probabilities can be believed before and after they were calibrated; None where they were not.

    Args:
        source: as trained.
        evaluator: over the calibrated model as exported.
        root: the calibrated checkpoint.
    """
    targets, rows = evaluator.validation.targets, evaluator.validation.inputs
    if not root.applied_passes or targets is None:
        return None
    before, after = source.model.scores(rows, source.serving.batch_size), evaluator.scores(evaluator.parent)
    measured = [source.task_metrics.value(targets, one, name) for name in CALIBRATION for one in (before, after)]
    temperature = root.trained.record.temperature
    log.info("compress  logits are divided by %.4f: log loss %s, was %s", temperature, measured[1], measured[0])
    return CalibrationRecord(temperature, len(rows), *measured)


def _keep(found: SearchResult, folder: Path) -> None:
    """Copies the chosen model, what it was made of, and its checkpoint."""
    record = found.record.candidate(found.record.chosen)
    for name in filter(None, (record.parent, record.name)):
        shutil.copyfile(found.chosen.model(name), folder / f"{name}.onnx")
    if record.applied_passes:
        shutil.copytree(found.chosen.variant.trained.folder, folder / CHECKPOINT)
