"""A pretrained Whisper, taken as it comes: exported with its spectrogram, proven window by window, a bundle."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from maas.bounds import Count
from maas.errors import ConfigError
from maas.exporting.bundling import attach_evidence
from maas.exporting.sequence_bundling import build_sequence_bundle
from maas.exporting.sequence_proof import prove_sequences
from maas.exporting.settings import ExportSettings
from maas.exporting.trained_transcriber import SpeechTranscriber
from maas.importing.speech.net import spoken_text_processor
from maas.importing.speech.pretrained import opened_whisper
from maas.lifecycle.given import new_folder
from maas.lifecycle.lineage import decoder_lineage
from maas.lifecycle.typed_arguments import typed_arguments
from maas.records.evidence import DataRecord, Evidence
from maas.records.manifest import ServingSettings
from maas.runtime.processors.spoken_text import RATE

log = logging.getLogger("maas")
SOUND_FILES = (".wav", ".flac", ".ogg")
TONES = (0.05, 0.15, 1.2)
"""Sounds that maas makes where none are given, in windows: the last one is longer than one."""
HEARD_TOGETHER = 4


@dataclass(frozen=True)
class GivenWhisper:
    """A Whisper that comes without a recipe, and how it is exported.

    Args:
        model: a folder of Hugging Face or of CTranslate2, `package:path` to one inside an installed package, or a hub
            id.
        name: name of the bundle; None for that of its folder.
        language: that is spoken, such as `en`; None for the only one of the model, or to hear which one it is.
        max_windows: most windows of a sound, of 30 s each.
        sounds: folder of sounds, or one, to prove the export with; None for tones that maas makes.
    """

    model: str
    name: str | None = None
    language: str | None = None
    max_windows: Count = 20
    sounds: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "GivenWhisper":
        """Reads what was typed.

        Args:
            values: by the names of the arguments.

        Raises:
            ConfigError: a value is none that the argument takes.
        """
        return cls(**typed_arguments(cls, values))


def export_whisper(given: GivenWhisper, out: Path) -> Evidence:
    """Writes the bundle of a Whisper that writes down speech as its own framework does; else nothing.

    Args:
        given: the model.
        out: folder to write, which must not be there.

    Raises:
        ConfigError: there is no such model or sound, or it is none that can be exported.
        ParityError: the graphs do not write as the model's own framework.
    """
    own = _own_sounds(given)
    with new_folder(out) as draft:
        found = opened_whisper(given.model, given.language)
        model = SpeechTranscriber(found, spoken_text_processor(given.model, given.max_windows))
        lengths = (part * model.processor.seconds for part in TONES[: 1 + given.max_windows])
        rows = own or [_tone(number, seconds) for number, seconds in enumerate(lengths)]
        log.info("export    %s + %s layers", found.shape.encoder_layers, found.shape.decoder_layers)
        fingerprint = _fingerprint_of(rows)
        settings: dict[str, str | int] = {
            "model": given.model,
            "language": given.language or "",
            "max_windows": given.max_windows,
        }
        bundle = build_sequence_bundle(
            draft,
            model=model,
            name=given.name or out.name,
            serving=ServingSettings(batch_size=HEARD_TOGETHER),
            lineage=decoder_lineage(settings, fingerprint),
            rows=rows,
            opset=ExportSettings().opset,
        )
        log.info("export    %s bytes", bundle.model_path.stat().st_size)
        record = DataRecord(fingerprint, {"test": len(rows)}, {})
        evidence = prove_sequences(bundle, model, rows, [], data=record, trained={})
        (parity,) = evidence.parity
        log.info("verify    %s texts as by %s, logits to %.2g", parity.rows, parity.left, parity.max_difference)
        attach_evidence(bundle, evidence)
    return evidence


def _own_sounds(given: GivenWhisper) -> Sequence[Any]:
    """Returns the caller's own sounds for the proof; none where none are named.

    Raises:
        ConfigError: there are no sounds where they should be.
    """
    if given.sounds is None:
        return []
    place = Path(given.sounds)
    files = sorted(place.rglob("*")) if place.is_dir() else [place]
    found = [file for file in files if file.is_file() and file.suffix.lower() in SOUND_FILES]
    if not found:
        raise ConfigError(f"sounds is {place}, where no {', '.join(SOUND_FILES)} is. Name a folder of sounds, or one.")
    return [file.read_bytes() for file in found]


def _tone(seed: int, seconds: float) -> list[float]:
    """Returns syllables of harmonics, as samples: nothing that anyone says, yet a model writes something of them."""
    random, times = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    pitch = 90 + 60 * random.random()
    waves = np.sum([np.sin(2 * np.pi * pitch * step * times) / step for step in range(1, 12)], axis=0)
    loudness = np.clip(np.sin(2 * np.pi * (2 + seed) * times), 0, 1)
    noise = 0.01 * random.normal(size=len(times))
    found: list[float] = (0.1 * loudness * waves + noise).astype(np.float32).round(5).tolist()
    return found


def _fingerprint_of(rows: Sequence[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()
