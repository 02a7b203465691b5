"""A bundle's files: which there are, how its manifest is read, and whether they are those that it names."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from maas.errors import BundleError, one_line
from maas.files import read_json, sha256_of
from maas.records.manifest import (
    GENERATION_VERSION,
    MANIFEST_VERSION,
    TIMED_TRANSCRIPTION_VERSION,
    TRANSCRIPTION_VERSION,
    TRANSLATION_VERSION,
    Manifest,
)
from maas.records.older import Record, manifest_today
from maas.suggesting import nearest_name

_T = TypeVar("_T")
Today = Callable[[Record], Record]
PREDICT = "predict"
"""The role of the graph that turns a batch of inputs into outputs."""
PREFILL, DECODE, ENCODE, HEAR = "prefill", "decode", "encode", "hear"
"""The roles of the graphs, or of the graph, that read prompts and continue them; and of one that reads a whole text or
sound, of which `decode` then makes a text; and of one that makes a sound's spectrogram, which is then read."""
MODEL, MANIFEST, EVIDENCE, ASSETS, GOLDEN = "model.onnx", "manifest.json", "evidence.json", "assets", "golden"
EXPORT = "Export the model again."
MEASURE = "Export the model again, or run python -m maas.verify."


class Version(msgspec.Struct, frozen=True):
    """The part of a manifest that is read first: all else may be unknown in another version."""

    schema_version: int


class Measured(msgspec.Struct, frozen=True):
    """The part of evidence that is read when a bundle opens."""

    manifest_sha256: str = ""


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
        raise BundleError(_missing_bundle(folder))
    found = read_record(path, Version, EXPORT).schema_version
    if not 1 <= found <= TIMED_TRANSCRIPTION_VERSION:
        raise BundleError(
            f"{folder} has schema version {found}; this maas reads 1 to {TIMED_TRANSCRIPTION_VERSION}. Upgrade maas."
        )
    return read_record(path, Manifest, today=manifest_today)


def _missing_bundle(folder: Path) -> str:
    """Returns what is there instead of a bundle, and which folder may have been meant."""
    for below in ("bundle", "latest/bundle"):
        if (folder / below / MANIFEST).is_file():
            return f"{folder} holds no {MANIFEST}; its bundle is {folder / below}."
    there = sorted(folder.parent.iterdir()) if folder.parent.is_dir() and not folder.exists() else []
    near = nearest_name(folder.name, [one.name for one in there if (one / MANIFEST).is_file()])
    if near is not None:
        return f"There is no folder {folder}. Did you mean {folder.parent / near}?"
    return f"{folder} holds no {MANIFEST}; name the folder of a bundle, e.g. runs/NAME/latest/bundle."


def require_whole(folder: Path, manifest: Manifest) -> None:
    """Requires that the manifest names every file of the model and has its digest.

    Raises:
        BundleError: a graph, a file or a digest is missing, or a file is another one.
    """
    _require_roles(folder, manifest)
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


def _require_roles(folder: Path, manifest: Manifest) -> None:
    """Requires the graphs of what the model does, and, where it continues texts, the files of their tokens."""
    generation, path = manifest.generation, folder / MANIFEST
    if manifest.schema_version != _version_of(manifest):
        raise BundleError(f"{path} is of version {manifest.schema_version}, which does not fit what it holds. {EXPORT}")
    if manifest.search is not None:
        needed = {ENCODE, DECODE, *([] if manifest.timed_transcription is None else [HEAR])}
        if missing := sorted(needed - manifest.graphs.keys()):
            raise BundleError(f"{path} writes texts of what it reads and names no graph to {missing[0]}. {EXPORT}")
        return
    if generation is None:
        if PREDICT not in manifest.graphs:
            raise BundleError(f"{path} names no graph that predicts; this maas serves none else. {EXPORT}")
        return
    if missing := sorted({PREFILL, DECODE} - manifest.graphs.keys()):
        raise BundleError(f"{path} generates texts and names no graph to {missing[0]}. {EXPORT}")
    for name in filter(None, (generation.tokenizer, generation.chat_template)):
        if name not in manifest.files:
            raise BundleError(f"{path} does not name {_shown(name)}; export the model again.")


def _version_of(manifest: Manifest) -> int:
    """Returns the version of manifests that hold what this one does."""
    if manifest.timed_transcription is not None:
        return TIMED_TRANSCRIPTION_VERSION
    if manifest.search is not None:
        return TRANSLATION_VERSION if manifest.transcription is None else TRANSCRIPTION_VERSION
    return MANIFEST_VERSION if manifest.generation is None else GENERATION_VERSION


def read_record(path: Path, kind: type[_T], advice: str = "", today: Today | None = None) -> _T:
    """Reads a JSON file of a bundle.

    Args:
        path: the file.
        kind: what it holds.
        advice: end of the message where it cannot be read.
        today: brings a record of an older version into today's words.

    Raises:
        BundleError: it is missing or cannot be read.
    """
    try:
        return read_json(path, kind, today)
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing; export the model again.") from error
    except (OSError, ValueError) as error:
        raise BundleError(" ".join(filter(None, (f"{path} cannot be read: {one_line(error)}.", advice)))) from error


def _shown(name: str) -> str:
    return name if name.isprintable() and len(name) <= 200 else ascii(name)[:200]
