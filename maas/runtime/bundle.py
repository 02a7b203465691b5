"""The bundle: the one directory that leaves the line. Opening it proves that it is whole, its first use its outputs.

A manifest has the digests of all other files but the evidence, and the evidence has the manifest's.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maas.errors import BundleError, one_line
from maas.records.manifest import Manifest
from maas.records.older import evidence_today
from maas.runtime import later
from maas.runtime.bundle_files import (
    ASSETS,
    DECODE,
    EVIDENCE,
    EXPORT,
    GOLDEN,
    MANIFEST,
    MEASURE,
    PREDICT,
    Measured,
    read_manifest,
    read_record,
    require_whole,
)
from maas.runtime.golden import TOLERANCE, Golden, compared_with_golden
from maas.runtime.model import Predictor, Runnable
from maas.runtime.postprocessors import load_postprocessor
from maas.runtime.postprocessors.translation import TRANSLATED_TEXT
from maas.runtime.processors import Processor, load_processor
from maas.runtime.searched_rows import following
from maas.runtime.table_rows import NamedColumns, raw_rows_of

if TYPE_CHECKING:
    from maas.records.evidence import Evidence
    from maas.runtime.generation.generator import Generated, Prompt, TextGenerator
    from maas.runtime.generation.text import Piece


@dataclass(frozen=True)
class Bundle:
    """A model with everything that is needed to predict with it, and everything that is claimed of it.

    Args:
        folder: where it lies.
        manifest: what it holds.
        digest: SHA-256 of the manifest, and so of all that it covers, as it was when the bundle was opened.

    Example:
        >>> bundle = Bundle.open("runs/sentiment_zh/latest/bundle")  # doctest: +SKIP
        >>> bundle.predict(["这是一个很棒的文本"])  # doctest: +SKIP
        [{'label': 'positive', 'score': 0.98}]
    """

    folder: Path
    manifest: Manifest
    digest: str

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
        folder = Path(folder).expanduser()
        manifest = read_manifest(folder)
        require_whole(folder, manifest)
        bundle = cls(folder, manifest, hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest())
        if check_evidence and (folder / EVIDENCE).exists():
            bundle.require_measured(read_record(folder / EVIDENCE, Measured, MEASURE).manifest_sha256)
        return bundle

    @property
    def model_path(self) -> Path:
        """The ONNX file that predicts, or generates; of a model of two, the one that writes."""
        is_written = self.is_generative or self.manifest.search is not None
        return self.folder / self.manifest.graphs[DECODE if is_written else PREDICT]

    @property
    def is_generative(self) -> bool:
        """Whether the model continues texts, by `generate`, rather than predicting."""
        return self.manifest.generation is not None

    @cached_property
    def predictor(self) -> Predictor:
        """The inference path with the manifest's batch size and threads; the session opens at the first use."""
        return self.make_predictor()

    def load_processor(self) -> Processor:
        """Loads the processor, for another bundle or checkpoint that is to have the same.

        Raises:
            BundleError: the model generates texts, or its processor cannot be loaded.
        """
        self.require_predictive()
        return following(load_processor(self.manifest.processor, self.folder / ASSETS), self.manifest.search)

    def make_predictor(
        self, *, batch_size: int | None = None, threads: int | None = None, model: Path | None = None
    ) -> Predictor:
        """Builds a predictor of its own.

        Args:
            batch_size: instead of the manifest's.
            threads: instead of the manifest's.
            model: another ONNX file of the same signature, instead of the bundle's.
        """
        processor = self.load_processor()
        run: Path | Runnable = model or self.model_path
        if self.manifest.search is not None:
            run = later.opened_translator(self.folder, self.manifest, processor, threads)
        return Predictor(
            run,
            processor,
            load_postprocessor(self.manifest.postprocessor),
            batch_size=batch_size or self.manifest.serving.batch_size,
            threads=threads or self.manifest.serving.threads,
        )

    def predict(self, rows: Sequence[Any] | NamedColumns) -> list[dict[str, Any]]:
        """Returns one prediction a row; the first time, the golden inputs are predicted before.

        Args:
            rows: N raw rows, or a table of N rows (of pandas, polars, pyarrow, …), whose other columns are left out.

        Raises:
            InputError: a row cannot be understood, or a column is missing.
            BundleError: the golden outputs are others.
        """
        return self.checked_predictor.predict(raw_rows_of(rows, self.predictor.processor))

    def predict_proba(self, rows: Sequence[Any] | NamedColumns) -> NDArray[np.float32]:
        """Returns the probability of each label, float32 (N, K), in the order of `labels`; errors are `predict`'s.

        Args:
            rows: as `predict` takes them.

        Raises:
            BundleError: the model gives no probabilities of labels.
        """
        if not self.labels:
            raise BundleError(f"{self.folder} holds a model without labels, so without probabilities; call predict.")
        return self.checked_predictor.scores(raw_rows_of(rows, self.predictor.processor))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a classifier, in the order of its probabilities; none for other models."""
        return tuple(self.manifest.postprocessor.get("labels", ()))

    def translate(self, texts: Sequence[str], **settings: object) -> list[str]:
        """Returns what the model makes of each text; the first time, the golden inputs are translated before.

        Args:
            texts: raw texts.
            **settings: instead of the manifest's: `num_beams`, `length_penalty`, `max_tokens`.

        Raises:
            InputError: a text or a setting cannot be understood.
            BundleError: the model does not translate, or the golden translations are others.
        """
        predictor = self.checked_predictor
        if not isinstance(predictor.graph, later.Translator) or self.manifest.translation is None:
            raise BundleError(f"{self.folder} holds a model that does not translate; call predict.")
        outputs = predictor.with_graph(predictor.graph.changed(settings)).outputs(texts)
        return list(outputs[TRANSLATED_TEXT])

    def require_predictive(self) -> None:
        """Requires a model that predicts.

        Raises:
            BundleError: it generates texts.
        """
        if self.is_generative:
            raise BundleError(
                f"{self.folder} holds a model that generates texts: it does not predict. Open it with maas.load and "
                "call generate."
            )

    @cached_property
    def generator(self) -> "TextGenerator":
        """The path from prompts to texts, once it has reproduced the golden texts.

        Raises:
            BundleError: the model predicts, or it does not generate as when the bundle was made.
        """
        from maas.runtime.generation import opening  # noqa: PLC0415 - only a bundle that generates needs jinja2

        generator = opening.open_generator(self.folder, self.manifest)
        opening.check_golden(self.folder, generator)
        return generator

    def generate(self, prompt: "Prompt", **settings: object) -> "Generated":
        """Continues a text, or answers a conversation; the first time, the golden texts are reproduced before.

        Args:
            prompt: a text, or messages `{"role": …, "content": …}`.
            **settings: as in `maas.runtime.generation.settings.GenerationSettings`, e.g. `max_tokens=64`,
                `temperature=0.7`, `seed=1`, `stop="###"`.

        Raises:
            InputError: prompt or settings cannot be understood, or exceed the model's context.
            BundleError: the model predicts, or it does not generate as when the bundle was made.
            GenerationError: the model gives no finite logits.
        """
        return self.generate_many([prompt], **settings)[0]

    def generate_many(self, prompts: "Sequence[Prompt]", **settings: object) -> "list[Generated]":
        """Continues several prompts together; each text is the one that its prompt alone gives.

        Args:
            prompts: texts or conversations.
            **settings: of all of them, as in `generate`.

        Raises:
            InputError: a prompt or the settings cannot be understood, or exceed the model's context.
            BundleError: the model predicts, or it does not generate as when the bundle was made.
            GenerationError: the model gives no finite logits for a text.
        """
        return self.generator.generate(prompts, later.generation_settings(settings))

    def stream(self, prompt: "Prompt", **settings: object) -> "Iterator[Piece]":
        """Yields the pieces of a text as they are generated; arguments and errors as in `generate`."""
        return self.generator.stream(prompt, later.generation_settings(settings))

    @property
    def evidence(self) -> "Evidence":
        """What was measured of this bundle.

        Raises:
            BundleError: there is none, or it is about another bundle.
        """
        evidence = read_record(self.folder / EVIDENCE, later.Evidence, MEASURE, evidence_today)
        self.require_measured(evidence.manifest_sha256)
        return evidence

    def _repr_html_(self) -> str:
        return later.bundle_card(self)

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
        return Golden.read(self.folder / GOLDEN)

    @cached_property
    def checked_predictor(self) -> Predictor:
        """The predictor, once it has predicted the golden inputs as when the bundle was made.

        Raises:
            BundleError: the golden outputs are others.
        """
        self.check_golden()
        return self.predictor

    def check_golden(self, tolerance: float = TOLERANCE, *, predictor: Predictor | None = None) -> float:
        """Predicts the golden inputs again and returns the largest difference from the golden outputs.

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
