"""The bundle: the one directory that leaves the line. Opening it proves that it is whole, its first use its answers.

A manifest has the digests of all other files but the evidence, and the evidence has the manifest's.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from maas.errors import BundleError, one_line
from maas.files import read_json, sha256_of
from maas.records.evidence import Evidence
from maas.records.manifest import MANIFEST_VERSION, Manifest
from maas.records.older import Record, evidence_today, golden_today, manifest_today
from maas.runtime.golden import TOLERANCE, Golden, GoldenOutputs, compared_with_golden
from maas.runtime.model import Predictor
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.processors import Processor, load_processor

_T = TypeVar("_T")
Today = Callable[[Record], Record]
PREDICT = "predict"
"""The role of the graph that turns a batch of inputs into outputs."""
MODEL, MANIFEST, EVIDENCE, ASSETS, GOLDEN = "model.onnx", "manifest.json", "evidence.json", "assets", "golden"
EXPORT = "Export the model again."
MEASURE = "Export the model again, or run python -m maas.verify."


class Measured(msgspec.Struct, frozen=True):
    """The part of evidence that is read when a bundle opens."""

    manifest_sha256: str = ""


class Version(msgspec.Struct, frozen=True):
    """The part of a manifest that is read first: all else may be unknown in another version."""

    schema_version: int


@dataclass(frozen=True)
class Bundle:
    """A model with everything that is needed to answer with it, and everything that is claimed of it.

    Args:
        folder: where it lies.
        manifest: what it holds.

    Example:
        >>> bundle = Bundle.open("runs/sentiment_zh/latest/bundle")  # doctest: +SKIP
        >>> bundle.predict(["这是一个很棒的文本"])  # doctest: +SKIP
        [{'label': 'positive', 'score': 0.98}]
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path, *, check_evidence: bool = True) -> "Bundle":
        """Opens a bundle and checks the digest of each of its files.

        A bundle without evidence opens, as does an old one whose evidence names no manifest.

        Args:
            folder: where it lies.
            check_evidence: also require that the evidence can be read and is about this very manifest; false opens
                what is to be measured again.

        Raises:
            BundleError: it is not a bundle, a file is missing or altered, or its version is unknown.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        _require_whole(folder, manifest)
        bundle = cls(folder, manifest)
        if check_evidence and (folder / EVIDENCE).exists():
            bundle.require_measured(_read(folder / EVIDENCE, Measured, MEASURE).manifest_sha256)
        return bundle

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest, and so of all that it covers."""
        return hashlib.sha256((self.folder / MANIFEST).read_bytes()).hexdigest()

    @property
    def model_path(self) -> Path:
        """The ONNX file that predicts."""
        return self.folder / self.manifest.graphs[PREDICT]

    @cached_property
    def predictor(self) -> Predictor:
        """The inference path with the manifest's batch size and threads; the session opens at the first use."""
        return self.make_predictor()

    def load_processor(self) -> Processor:
        """Loads the processor, for another bundle or checkpoint that is to have the same."""
        return load_processor(self.manifest.processor, self.folder / ASSETS)

    def make_predictor(
        self, *, batch_size: int | None = None, threads: int | None = None, model: Path | None = None
    ) -> Predictor:
        """Builds a predictor of its own.

        Args:
            batch_size: instead of the manifest's.
            threads: instead of the manifest's.
            model: another ONNX file of the same signature, instead of the bundle's.
        """
        return Predictor(
            model or self.model_path,
            self.load_processor(),
            load_postprocessor(self.manifest.postprocessor),
            batch_size=batch_size or self.manifest.serving.batch_size,
            threads=threads or self.manifest.serving.threads,
        )

    def predict(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Returns one prediction a raw row; the first time, the golden inputs are predicted before.

        Raises:
            InputError: a row cannot be understood.
            BundleError: the golden predictions are others.
        """
        return self.checked_predictor.predict(rows)

    @property
    def evidence(self) -> Evidence:
        """What was measured of this bundle.

        Raises:
            BundleError: there is none, or it is about another bundle.
        """
        evidence = _read(self.folder / EVIDENCE, Evidence, MEASURE, evidence_today)
        self.require_measured(evidence.manifest_sha256)
        return evidence

    def require_measured(self, manifest_sha256: str) -> None:
        """Requires that evidence is about this bundle.

        Args:
            manifest_sha256: of the manifest that it is about; empty where old evidence names none.

        Raises:
            BundleError: it is about another one.
        """
        if manifest_sha256 not in ("", self.digest):
            raise BundleError(
                f"{self.folder / EVIDENCE} is about another manifest than {self.folder / MANIFEST}: one of them was "
                f"altered or exchanged since. {MEASURE}"
            )

    @cached_property
    def golden(self) -> Golden:
        """The golden inputs and outputs."""
        inputs = _read(self.folder / GOLDEN / "inputs.json", list[Any])
        outputs = _read(self.folder / GOLDEN / "outputs.json", GoldenOutputs, today=golden_today)
        return Golden(inputs, outputs.scores, outputs.predictions)

    @cached_property
    def checked_predictor(self) -> Predictor:
        """The predictor, once it has predicted the golden inputs as when the bundle was made.

        Raises:
            BundleError: the golden predictions are others.
        """
        self.check_golden()
        return self.predictor

    def check_golden(self, tolerance: float = TOLERANCE, *, predictor: Predictor | None = None) -> float:
        """Predicts the golden inputs again and returns the largest difference from the golden predictions.

        Args:
            tolerance: the largest difference allowed: of a probability, of a vector of length 1, or in standard
                deviations of values, which may also be some steps of float32 away.
            predictor: answers instead of the bundle's own, which is then not opened.

        Raises:
            BundleError: a difference exceeds `tolerance` or a label is another one: this machine would not give the
                model's answers, or its manifest was altered.
        """
        predictor, golden = predictor or self.predictor, self.golden
        try:
            difference, fault = compared_with_golden(
                golden, predictor.postprocessor, predictor.outputs(golden.inputs), tolerance
            )
        except Exception as error:  # the processor's, or whatever ONNX Runtime raises
            raise BundleError(f"{self.folder} cannot predict its golden inputs: {one_line(error)}. {EXPORT}") from error
        if fault:
            raise BundleError(f"{self.folder} {fault}")
        return difference


def read_manifest(folder: Path) -> Manifest:
    """Returns the manifest of a bundle, whose other files are not looked at; its version is read first.

    Raises:
        BundleError: there is none, it cannot be read, or its version is unknown.
    """
    path = folder / MANIFEST
    try:
        is_there = path.is_file()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    if not is_there:
        raise BundleError(f"{folder} holds no {MANIFEST}; name the folder of a bundle, e.g. runs/NAME/latest/bundle.")
    found = _read(path, Version).schema_version
    if not 1 <= found <= MANIFEST_VERSION:
        raise BundleError(
            f"{folder} has schema version {found}; this maas reads 1 to {MANIFEST_VERSION}. Upgrade maas."
        )
    return _read(path, Manifest, today=manifest_today)


def _require_whole(folder: Path, manifest: Manifest) -> None:
    """Requires that the manifest names every file of the model and has its digest."""
    if PREDICT not in manifest.graphs:
        raise BundleError(f"{folder / MANIFEST} names no graph that predicts; this maas serves none else. {EXPORT}")
    if missing := sorted(set(manifest.graphs.values()) - set(manifest.files)):
        raise BundleError(f"{folder / MANIFEST} does not name {_shown(missing[0])}; export the model again.")
    try:
        root, own = folder.resolve(), [*(folder / ASSETS).rglob("*"), *(folder / GOLDEN).rglob("*")]
        for file in own:
            if file.is_file() and file.relative_to(folder).as_posix() not in manifest.files:
                raise BundleError(f"{file} is not named in the manifest; export the model again.")
        for name, digest in manifest.files.items():
            file = folder / name
            if not file.resolve().is_relative_to(root) or not file.is_file():
                raise BundleError(f"{folder} lacks {_shown(name)}, which its manifest names; export the model again.")
            if sha256_of(file) != digest:
                raise BundleError(f"{file} was altered since the bundle was made; export the model again.")
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder} cannot be read: {one_line(error)}. {EXPORT}") from error


def _read(path: Path, kind: type[_T], advice: str = "", today: Today | None = None) -> _T:
    try:
        return read_json(path, kind, today)
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing; export the model again.") from error
    except (OSError, ValueError) as error:
        raise BundleError(" ".join(filter(None, (f"{path} cannot be read: {one_line(error)}.", advice)))) from error


def _shown(name: str) -> str:
    return name if name.isprintable() and len(name) <= 200 else ascii(name)[:200]
