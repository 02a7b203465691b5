"""What compressing leaves in a run's folder for the later stages."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from maas.compression.search import SearchResult
from maas.compression.store import CHECKPOINT
from maas.errors import BundleError
from maas.files import read_json, sha256_of
from maas.records.evidence import CompressionRecord
from maas.records.older import compression_today
from maas.runtime.bundle import Bundle
from maas.runtime.bundle_files import PREDICT
from maas.training.checkpoint import Checkpoint


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
            return cls(folder, read_json(folder / "compression.json", CompressionRecord, compression_today))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BundleError(
                f"{folder / 'compression.json'} cannot be read: {reason}. Remove {folder} and run python -m "
                "maas.compress again."
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
        return (
            bundle.manifest.files[bundle.manifest.graphs[PREDICT]] == self.record.candidate(self.record.chosen).sha256
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


def keep(found: SearchResult, folder: Path) -> None:
    """Copies what later stages need of a search: the chosen model, what it was made of, and its checkpoint."""
    record = found.record.candidate(found.record.chosen)
    for name in filter(None, (record.parent, record.name)):
        shutil.copyfile(found.chosen.model(name), folder / f"{name}.onnx")
    if record.applied_passes:
        shutil.copytree(found.chosen.variant.trained.folder, folder / CHECKPOINT)
