"""Runs on disk and versions in the registry, in lists, and a run or a bundle in short."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from maas.errors import MaasError, RegistryError
from maas.records.evidence import Interval
from maas.registry.reading.addresses import default_tracking_uri
from maas.run_folders.folder import RunFolder
from maas.run_folders.lookup import runs_of
from maas.runtime.bundle import Bundle

LEFT_BY_STAGE = {"train": "checkpoint", "compress": "compressed", "export": "bundle"}
"""Stages by the property of a run's folder that has what they leave."""


class RunLine(msgspec.Struct, frozen=True):
    """A run in a list.

    Args:
        name: name of the model and of the run, e.g. `digits_mlp/20260101-000000`.
        state: `finished`, `at work`, or the last stage that is done.
        metrics: what ships on test rows; empty before the export.
        seconds: wall time in seconds by stage.
        folder: where it lies.
    """

    name: str
    state: str
    metrics: Mapping[str, Interval]
    seconds: Mapping[str, float]
    folder: Path


class ModelLine(msgspec.Struct, frozen=True):
    """A registered model in a list.

    Args:
        name: name of the model.
        versions: numbers, the newest first.
        aliases: number of a version by alias.
        changed: when its newest version was made, in UTC.
    """

    name: str
    versions: tuple[int, ...]
    aliases: Mapping[str, int]
    changed: str


class ModelDetails(msgspec.Struct, frozen=True):
    """A bundle in short.

    Args:
        name: name of the model.
        task: what it does.
        precision: `fp32`, or how it was compressed.
        bytes: size of its ONNX file.
        inputs: raw inputs, by name, with their type.
        processor: kind of what reads rows.
        postprocessor: kind of what names outputs.
        labels: names of its labels.
        serving: batch size and threads.
        recipe: recipe that it was made by, with what was changed.
        metrics: on test rows, by who was measured.
        test_rows: number of these rows.
        parity: largest differences, by the pair that was compared.
        digest: digest of its manifest.
        folder: where it lies.
    """

    name: str
    task: str
    precision: str
    bytes: int
    inputs: Mapping[str, str]
    processor: str
    postprocessor: str
    labels: tuple[str, ...]
    serving: Mapping[str, int]
    recipe: str
    metrics: Mapping[str, Mapping[str, Interval]]
    test_rows: int | None
    parity: Mapping[str, float]
    digest: str
    folder: Path


def run_lines(root: Path) -> list[RunLine]:
    """Returns the runs below a folder, by model, the newest first."""
    names = sorted(folder.name for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []
    return [run_line(folder) for name in names for folder in runs_of(root, name)]


def run_line(folder: RunFolder) -> RunLine:
    """Returns what a run has come to."""
    done = [stage for stage, what in LEFT_BY_STAGE.items() if getattr(folder, what).is_dir()]
    state = "finished" if folder.state.finished else done[-1] if done else "begun"
    if folder.is_writable:
        with folder.try_lock() as is_free:
            state = state if is_free else "at work"
    return RunLine(
        f"{folder.path.parent.name}/{folder.path.name}", state, _metrics(folder), folder.state.seconds, folder.path
    )


def _metrics(folder: RunFolder) -> Mapping[str, Interval]:
    try:
        return Bundle.open(folder.bundle).evidence.metrics.get("shipped", {}) if folder.bundle.is_dir() else {}
    except MaasError:
        return {}


def model_lines(tracking_uri: str | None = None) -> list[ModelLine]:
    """Returns the models of the registry; none where there is no registry yet.

    Raises:
        RegistryError: it cannot be reached, or mlflow is not installed.
    """
    try:
        from maas.registry.catalogue.listing import registered_models  # noqa: PLC0415 - mlflow takes seconds to import
    except ModuleNotFoundError as error:
        raise RegistryError("Models need mlflow, which is not installed: pip install '.[registry]'") from error
    return [
        ModelLine(one.name, one.versions, one.aliases, datetime.fromtimestamp(one.changed_s, UTC).isoformat())
        for one in registered_models(tracking_uri or default_tracking_uri())
    ]


def model_details(bundle: Bundle) -> ModelDetails:
    """Returns a bundle in short, with what its evidence says."""
    manifest = bundle.manifest
    evidence = bundle.evidence if (bundle.folder / "evidence.json").is_file() else None
    lineage = manifest.lineage
    return ModelDetails(
        name=manifest.name,
        task=manifest.task,
        precision=manifest.precision,
        bytes=bundle.model_path.stat().st_size,
        inputs={spec.name: spec.datatype for spec in manifest.signature.inputs},
        processor=str(manifest.processor.get("kind", "")),
        postprocessor=str(manifest.postprocessor.get("kind", "")),
        labels=tuple(manifest.postprocessor.get("labels", ())),
        serving=msgspec.to_builtins(manifest.serving),
        recipe=" ".join([lineage.recipe or "none", *lineage.overrides]),
        metrics=evidence.metrics if evidence else {},
        test_rows=evidence.data.rows.get("test") if evidence else None,
        parity={f"{one.left} and {one.right}": one.max_difference for one in evidence.parity} if evidence else {},
        digest=bundle.digest,
        folder=bundle.folder,
    )
