"""The bundle: the one directory that leaves the line. Opening it proves that it is whole."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from maas.errors import BundleError
from maas.files import sha256_of
from maas.runtime.answers import load_answer
from maas.runtime.evidence import Evidence
from maas.runtime.explaining import Explanation, explain
from maas.runtime.manifest import SCHEMA_VERSION, Manifest
from maas.runtime.predictor import Predictor
from maas.runtime.processors import load_processor

T = TypeVar("T")
MODEL, MANIFEST, EVIDENCE, ASSETS, GOLDEN = "model.onnx", "manifest.json", "evidence.json", "assets", "golden"


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raw inputs and the answers that the bundle gave when it was made.

    Args:
        inputs: raw rows.
        predictions: the plain numbers of the model, a row each.
        answers: the answers, a row each.
    """

    inputs: list[Any]
    predictions: list[list[float]]
    answers: list[dict[str, Any]]


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
    def open(cls, folder: str | Path) -> "Bundle":
        """Opens a bundle and checks the digest of each of its files.

        Raises:
            BundleError: it is not a bundle, a file is missing or altered, or its version is unknown.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise BundleError(
                f"{folder} holds no {MANIFEST}; name the folder of a bundle, e.g. runs/NAME/latest/bundle."
            )
        found = _read(folder / MANIFEST, Version).schema_version
        if found != SCHEMA_VERSION:
            raise BundleError(f"{folder} has schema version {found}; this maas reads {SCHEMA_VERSION}. Upgrade maas.")
        manifest = _read(folder / MANIFEST, Manifest)
        if MODEL not in manifest.files:
            raise BundleError(f"{folder / MANIFEST} does not name {MODEL}; export the model again.")
        for file in [*(folder / ASSETS).rglob("*"), *(folder / GOLDEN).rglob("*")]:
            if file.is_file() and file.relative_to(folder).as_posix() not in manifest.files:
                raise BundleError(f"{file} is not named in the manifest; export the model again.")
        for name, digest in manifest.files.items():
            file = folder / name
            if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
                raise BundleError(f"{folder} lacks {name}, which its manifest names; export the model again.")
            if sha256_of(file) != digest:
                raise BundleError(f"{file} was altered since the bundle was made; export the model again.")
        return cls(folder, manifest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest, and so of all that it covers."""
        return hashlib.sha256((self.folder / MANIFEST).read_bytes()).hexdigest()

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL

    @cached_property
    def predictor(self) -> Predictor:
        """The inference path with the manifest's batch size and threads; the session opens at the first use."""
        return self.make_predictor()

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
            load_processor(self.manifest.processor, self.folder / ASSETS),
            load_answer(self.manifest.answer),
            batch_size=batch_size or self.manifest.serving.batch_size,
            threads=threads or self.manifest.serving.threads,
        )

    def predict(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Returns one answer a raw row.

        Raises:
            InputError: a row cannot be understood.
        """
        return self.predictor.predict(rows)

    def explain(self, row: Any, **settings: Any) -> Explanation:
        """Tells which parts of one raw row speak for the answer; `maas.runtime.explaining.explain` has the settings.

        Raises:
            InputError: the row or a setting cannot be understood.
        """
        return explain(self.predictor, row, **settings)

    @property
    def evidence(self) -> Evidence:
        """What was measured of this bundle.

        Raises:
            BundleError: there is none, or it is about another bundle.
        """
        evidence = _read(self.folder / EVIDENCE, Evidence)
        if evidence.manifest_sha256 != self.digest:
            raise BundleError(f"{self.folder / EVIDENCE} is about another bundle; run python -m maas.verify.")
        return evidence

    @cached_property
    def golden(self) -> Golden:
        """The golden inputs and answers."""
        inputs = _read(self.folder / GOLDEN / "inputs.json", list[Any])
        outputs = _read(self.folder / GOLDEN / "outputs.json", dict[str, Any])
        return msgspec.convert({"inputs": inputs, **outputs}, Golden)

    def check_golden(self, tolerance: float = 1e-4, *, predictor: Predictor | None = None) -> float:
        """Answers the golden inputs again and returns the largest difference from the golden predictions.

        Args:
            tolerance: the largest difference allowed.
            predictor: answers instead of the bundle's own, which is then not opened.

        Raises:
            BundleError: a difference exceeds `tolerance`: this machine would not give the model's answers.
        """
        predictor = predictor or self.predictor
        found = predictor.answer.predictions(predictor.outputs(self.golden.inputs))
        golden = np.array(self.golden.predictions)
        if golden.shape != found.shape:
            raise BundleError(
                f"{self.folder} has golden answers of shape {golden.shape}, the model's are {found.shape}."
            )
        difference = float(np.abs(found - golden).max())
        if not difference <= tolerance:
            raise BundleError(
                f"{self.folder} answers its golden inputs otherwise than when it was made: a prediction differs by "
                f"{difference:.3g}, at most {tolerance:g} is allowed. It must not be served on this machine."
            )
        return difference


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing; export the model again.") from error
    except msgspec.DecodeError as error:
        raise BundleError(f"{path} cannot be read: {error}.") from error
